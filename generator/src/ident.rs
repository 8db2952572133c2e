//! Names and values as SQL text: the one place that quotes.

/// Words that the SQL parser would not take as a bare name.
const RESERVED: [&str; 60] = [
    "all",
    "and",
    "any",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "check",
    "column",
    "create",
    "cross",
    "current_date",
    "date",
    "delete",
    "desc",
    "distinct",
    "drop",
    "else",
    "end",
    "except",
    "exists",
    "false",
    "fetch",
    "for",
    "from",
    "full",
    "group",
    "having",
    "in",
    "index",
    "inner",
    "insert",
    "interval",
    "into",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "primary",
    "references",
    "right",
    "select",
    "set",
    "table",
    "then",
    "time",
    "timestamp",
    "true",
    "union",
    "user",
    "values",
];
const MORE_RESERVED: [&str; 8] = ["when", "where", "with", "update", "using", "natural", "partition", "over"];

/// A name, quoted where SQL would not read it back as the same name.
pub fn ident(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !RESERVED.contains(&name) && !MORE_RESERVED.contains(&name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Text as a SQL literal inside a template: no value can open a template expression.
pub fn text(value: &str) -> String {
    let quoted = format!("'{}'", value.replace('\'', "''"));
    if ["{{", "{%", "{#"].iter().any(|open| quoted.contains(open)) {
        format!("({})", quoted.replace('{', "{' || '"))
    } else {
        quoted
    }
}

/// A number as SQL: whole ones without a point.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value}") }
}

/// The nearest name that definitions accept: lower-case letters, digits and `_`, starting with a letter.
pub fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_');
    if out.starts_with(|c: char| c.is_ascii_alphabetic()) {
        out.to_owned()
    } else {
        format!("t_{out}").trim_end_matches('_').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_only_where_needed() {
        assert_eq!(ident("dep_delay"), "dep_delay");
        assert_eq!(ident("Dep Delay"), "\"Dep Delay\"");
        assert_eq!(ident("order"), "\"order\"");
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(ident("2nd"), "\"2nd\"");
    }

    #[test]
    fn values_stay_values() {
        assert_eq!(text("O'Hare"), "'O''Hare'");
        assert_eq!(text("'; DROP TABLE x --"), "'''; DROP TABLE x --'");
        let tricky = text("{{ params.x }} {% raw %} {# c #}");
        assert!(!tricky.contains("{{") && !tricky.contains("{%") && !tricky.contains("{#"), "{tricky}");
    }

    #[test]
    fn slugs_are_names() {
        assert_eq!(slug("Carrier Delays!"), "carrier_delays");
        assert_eq!(slug("2013 flights"), "t_2013_flights");
        assert_eq!(slug("—"), "t");
    }
}

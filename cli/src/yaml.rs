//! Values as YAML that people read and edit: blocks, short lists and maps on one line.

use serde_json::Value;

/// A value as a YAML block.
pub fn block(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => entries(map, 0, &mut out),
        other => out.push_str(&format!("{}\n", flow(other))),
    }
    out
}

/// The entries of a map, each on its own line, indented by `depth` steps.
pub fn entries(map: &serde_json::Map<String, Value>, depth: usize, out: &mut String) {
    const LINE: usize = 100;
    let indent = "  ".repeat(depth);
    for (key, value) in map {
        let key = scalar(key);
        let line = format!("{indent}{key}: {}", flow(value));
        match value {
            Value::Object(inner)
                if !inner.is_empty() && (depth == 0 || line.chars().count() > LINE || nests(inner)) =>
            {
                out.push_str(&format!("{indent}{key}:\n"));
                entries(inner, depth + 1, out);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
}

fn nests(map: &serde_json::Map<String, Value>) -> bool {
    map.values().any(|value| value.as_object().is_some_and(|inner| !inner.is_empty()))
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let one = |(key, value): (&String, &Value)| format!("{}: {}", scalar(key), flow(value));
            format!("{{{}}}", map.iter().map(one).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Text without quotes where nobody could take it for something else; in JSON's quotes, which YAML reads, otherwise.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_/.-".contains(c);
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/' || c == '.');
    let reserved = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | ".nan" | ".inf"
    );
    if word && !reserved && text.chars().all(plain) { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_to_be_read() {
        let value = json!({"shop": {"kind": "files", "path": "data/shop"}, "m": {"a": {"b": 1}, "c": ["NA", "no", 3]}});
        assert_eq!(block(&value), "shop:\n  kind: files\n  path: data/shop\nm:\n  a: {b: 1}\n  c: [NA, \"no\", 3]\n");
    }

    #[test]
    fn whatever_is_written_reads_back() {
        let value = json!({"a b": "x: y", "#": "- z", "e": "", "u": "é\n", "t": "true", "num": "12", "m": {}, "l": []});
        let (read, _) = tidemill_dag::read::document(&block(&value)).expect("valid YAML");
        assert_eq!(read, value);
    }
}

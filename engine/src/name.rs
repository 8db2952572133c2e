//! Names in SQL: how they are quoted, taken apart, found in spite of their case, and suggested.
//!
//! The rule for people: **names keep their case, and unquoted names are found whatever their case.** A column
//! `DepTime` is found as `deptime`, `DEPTIME` or `"DepTime"`, and appears as `DepTime` in the result. Where two
//! names differ only in case, the exact one wins; a quoted name is always taken as it is written. A name after `AS`
//! is spelled by its author.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::TableReference;
use sqlparser::{
    dialect::GenericDialect,
    keywords::Keyword,
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
};

use crate::{EngineError, SqlPlace};

/// Tasks live in a schema whose name nobody writes by accident, so that no connection can hide them.
pub(crate) const HOME: &str = "$tidemill";

/// A quoted identifier: the one way in which this crate puts a name into SQL text.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Takes a name apart as it is written in SQL: `shop.public.orders`, `files."my file"`.
pub(crate) fn table_reference(written: &str) -> Result<TableReference, EngineError> {
    let refuse = |problem| EngineError::RelationName { name: written.to_owned(), problem };
    let mut parts = Vec::new();
    let mut rest = written;
    loop {
        let (part, tail) = first_part(rest).ok_or_else(|| refuse("a part is empty or a quote is not closed"))?;
        parts.push(part);
        match tail {
            None => break,
            Some(tail) => rest = tail,
        }
    }
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(table), None, None, None) => Ok(TableReference::bare(table)),
        (Some(schema), Some(table), None, None) => Ok(TableReference::partial(schema, table)),
        (Some(catalog), Some(schema), Some(table), None) => Ok(TableReference::full(catalog, schema, table)),
        _ => Err(refuse("SQL names have at most three parts")),
    }
}

fn first_part(text: &str) -> Option<(String, Option<&str>)> {
    let (part, rest) = if let Some(quoted) = text.strip_prefix('"') {
        let mut part = String::new();
        let mut characters = quoted.char_indices().peekable();
        loop {
            match characters.next()? {
                (_, '"') if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                    characters.next();
                    part.push('"');
                }
                (at, '"') => break (part, &quoted[at + 1..]),
                (_, other) => part.push(other),
            }
        }
    } else {
        let end = text.find('.').unwrap_or(text.len());
        (text[..end].to_owned(), &text[end..])
    };
    match (part.is_empty(), rest.strip_prefix('.'), rest.is_empty()) {
        (true, ..) => None,
        (false, Some(tail), _) => Some((part, Some(tail))),
        (false, None, true) => Some((part, None)),
        (false, None, false) => None,
    }
}

/// The known name that is most like `wanted`, if any is like it at all.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let limit = (wanted.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(&wanted, &name.to_lowercase(), limit), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name.to_owned())
}

/// How many letters must be changed, added, removed or swapped; `limit + 1` where one is part of the other.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let contains = a.len() >= 3 && b.len() >= 3 && (a.contains(b) || b.contains(a));
    let edits = strsim::osa_distance(a, b);
    if edits > limit && contains { limit } else { edits }
}

/// Rewrites unquoted names to the case in which they are known. The text keeps its length and lines, so that
/// places in it stay what they are.
pub(crate) fn fold_case<'a>(sql: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return sql.to_owned();
    };
    let mut names = Names::new(known);
    names.add_aliases(&tokens);
    let lines = line_starts(sql);
    let mut out = sql.to_owned();
    for token in &tokens {
        let Token::Word(word) = &token.token else { continue };
        if word.quote_style.is_some() || !word.value.is_ascii() {
            continue;
        }
        let folded = names.fold(&word.value, word.keyword != Keyword::NoKeyword);
        if let (Some(folded), Some(start)) = (folded, offset(sql, &lines, token.span.start)) {
            let end = start + word.value.len();
            if out.get(start..end) == Some(word.value.as_str()) {
                out.replace_range(start..end, &folded);
            }
        }
    }
    out
}

/// Rewrites one unquoted name, the last part of the one at `place`, to the spelling that its relation has. For
/// names that differ only in case between two relations of a query, which [`fold_case`] cannot tell apart.
pub(crate) fn respell(sql: &str, place: SqlPlace, wanted: &str) -> Option<String> {
    let at = Location { line: place.line.into(), column: place.column.into() };
    let start = offset(sql, &line_starts(sql), at)?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let end = sql[start..].find(|c| !is_name(c)).map_or(sql.len(), |length| start + length);
    let name = sql.get(start..end)?;
    let last = start + name.rfind('.').map_or(0, |dot| dot + 1);
    let current = &sql[last..end];
    let differs = current != wanted && current.eq_ignore_ascii_case(wanted);
    differs.then(|| format!("{}{wanted}{}", &sql[..last], &sql[end..]))
}

/// Where a place is in the text, in bytes.
fn offset(sql: &str, lines: &[usize], place: Location) -> Option<usize> {
    let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let start = *lines.get(line)?;
    sql[start..].char_indices().map(|(at, _)| start + at).chain([sql.len()]).nth(column)
}

fn line_starts(sql: &str) -> Vec<usize> {
    std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

struct Names {
    exact: BTreeSet<String>,
    folded: BTreeMap<String, Option<String>>,
    aliases: BTreeMap<String, String>,
}

impl Names {
    fn new<'a>(known: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self { exact: BTreeSet::new(), folded: BTreeMap::new(), aliases: BTreeMap::new() };
        for name in known {
            if names.exact.insert(name.to_owned()) {
                let unique = !names.folded.contains_key(&name.to_ascii_lowercase());
                names.folded.insert(name.to_ascii_lowercase(), unique.then(|| name.to_owned()));
            }
        }
        names
    }

    /// Words after `AS`, and quoted names, are spelled by their author.
    fn add_aliases(&mut self, tokens: &[TokenWithSpan]) {
        let mut after_as = false;
        for token in tokens {
            match &token.token {
                Token::Whitespace(_) => continue,
                Token::Word(word) if word.quote_style.is_some() || after_as => self.add_alias(&word.value),
                _ => {}
            }
            after_as =
                matches!(&token.token, Token::Word(word) if word.keyword == Keyword::AS && word.quote_style.is_none());
        }
    }

    fn add_alias(&mut self, name: &str) {
        if self.exact.insert(name.to_owned()) {
            self.aliases.entry(name.to_ascii_lowercase()).or_insert_with(|| name.to_owned());
        }
    }

    /// The known spelling where it differs. A word seen for the first time sets the spelling for those after it.
    fn fold(&mut self, word: &str, keyword: bool) -> Option<String> {
        if self.exact.contains(word) {
            return None;
        }
        let lower = word.to_ascii_lowercase();
        if let Some(known) = self.folded.get(&lower) {
            return known.clone();
        }
        if let Some(alias) = self.aliases.get(&lower) {
            return Some(alias.clone());
        }
        if !keyword {
            self.add_alias(word);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_as_sql_writes_them() {
        let cases = [
            ("orders", Ok(TableReference::bare("orders"))),
            ("shop.orders", Ok(TableReference::partial("shop", "orders"))),
            ("shop.public.orders", Ok(TableReference::full("shop", "public", "orders"))),
            ("files.\"my.file\"", Ok(TableReference::partial("files", "my.file"))),
            ("\"a\"\"b\"", Ok(TableReference::bare("a\"b"))),
            ("a.b.c.d", Err(())),
            ("", Err(())),
            ("a.", Err(())),
            (".a", Err(())),
            ("\"a", Err(())),
            ("\"a\"b", Err(())),
        ];
        for (text, expected) in cases {
            assert_eq!(table_reference(text).map_err(|_| ()), expected, "{text}");
        }
    }

    #[test]
    fn quoting_survives_quotes() {
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(table_reference(&quote("x.\"y")).ok(), Some(TableReference::bare("x.\"y")));
    }

    #[test]
    fn unquoted_names_find_their_case() {
        let known = ["flights", "DepTime", "dep_delay", "Total", "ID", "id"];
        let cases = [
            ("SELECT deptime FROM FLIGHTS", "SELECT DepTime FROM flights"),
            ("SELECT \"deptime\" FROM flights", "SELECT \"deptime\" FROM flights"),
            ("SELECT Id, ID, id FROM flights", "SELECT Id, ID, id FROM flights"),
            ("SELECT x AS Sum_X FROM flights ORDER BY sum_x", "SELECT x AS Sum_X FROM flights ORDER BY Sum_X"),
            ("SELECT total AS TOTAL FROM f", "SELECT Total AS TOTAL FROM f"),
            ("WITH Foo AS (SELECT 1 a) SELECT A FROM FOO", "WITH Foo AS (SELECT 1 a) SELECT a FROM Foo"),
            (
                "SELECT 'DEPTIME', -- DEPTIME\n DEPTIME FROM Flights",
                "SELECT 'DEPTIME', -- DEPTIME\n DepTime FROM flights",
            ),
            ("SELECT 'ä', DEPTIME FROM flights", "SELECT 'ä', DepTime FROM flights"),
            ("not sql '", "not sql '"),
        ];
        for (sql, expected) in cases {
            assert_eq!(fold_case(sql, known), expected);
        }
    }

    #[test]
    fn one_name_is_spelled_anew() {
        let place = |line, column| SqlPlace { line, column };
        let sql = "SELECT a,\n g.customer FROM g";
        assert_eq!(respell(sql, place(2, 2), "Customer").as_deref(), Some("SELECT a,\n g.Customer FROM g"));
        assert_eq!(respell(sql, place(1, 8), "A").as_deref(), Some("SELECT A,\n g.customer FROM g"));
        assert_eq!(respell(sql, place(1, 8), "a"), None, "it is spelled so already");
        assert_eq!(respell("SELECT \"a\"", place(1, 8), "A"), None, "quoted names stay");
        assert_eq!(respell(sql, place(9, 9), "A"), None);
    }

    #[test]
    fn suggestions_are_close_or_absent() {
        let known = ["updated_at", "created_at", "total"];
        assert_eq!(nearest("updatd_at", known).as_deref(), Some("updated_at"));
        assert_eq!(nearest("UPDATED_AT", known).as_deref(), Some("updated_at"));
        assert_eq!(nearest("update", known).as_deref(), Some("updated_at"));
        assert_eq!(nearest("country", known), None);
    }
}

//! Which relations a query mentions, and whether it is a query at all.

use std::ops::ControlFlow;

use sqlparser::{
    ast::{Ident, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor},
    dialect::GenericDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, Tokenizer},
};

use crate::codes::tm03;

/// Operators in one query. Each may be one level of a tree that others walk down.
const MAX_OPERATORS: usize = 4_000;

/// A name in a place where a relation stands, as SQL reads it: lower case unless quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) parts: Vec<String>,
    /// Where each part is in the SQL, in bytes.
    pub(crate) offsets: Vec<usize>,
}

/// Why a text is not a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: &'static str,
    pub(crate) offset: usize,
}

/// The relations that a query mentions, in the order of the text; names that `WITH` defines are not among them.
pub(crate) fn mentions(sql: &str) -> Result<Vec<Mention>, SqlError> {
    let statements = parse(sql)?;
    let [statement] = statements.as_slice() else {
        let what =
            if statements.is_empty() { "there is no query here" } else { "there is more than one statement here" };
        return Err(SqlError {
            code: tm03::NOT_ONE_QUERY,
            message: what.to_owned(),
            help: "write one `SELECT` per task; tasks can read each other by name",
            offset: 0,
        });
    };
    let mut finder = Finder { lines: Lines::of(sql), frames: Vec::new(), found: Vec::new(), changes: None };
    match statement {
        Statement::Query(query) => {
            let _: ControlFlow<()> = query.visit(&mut finder);
        }
        other => finder.changes = Some(first_word(&other.to_string())),
    }
    if let Some(word) = finder.changes {
        return Err(SqlError {
            code: tm03::NOT_A_QUERY,
            message: format!("`{word}` is not a query"),
            help: "a `sql` task only reads: write `SELECT …`, and give its rows to a `load` task to store them",
            offset: 0,
        });
    }
    Ok(finder.found)
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_uppercase()
}

fn parse(sql: &str) -> Result<Vec<Statement>, SqlError> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| SqlError {
        code: tm03::SQL_SYNTAX,
        message: format!("the SQL is not understood: {}", lower(&error.message)),
        help: "look for a quote or a comment that is not closed",
        offset: offset(sql, error.location),
    })?;
    let operators = tokens.iter().filter(|token| is_operator(&token.token)).count();
    if operators > MAX_OPERATORS {
        return Err(SqlError {
            code: tm03::SQL_SYNTAX,
            message: format!("the SQL has {operators} operators; at most {MAX_OPERATORS} are read"),
            help: "write long chains of conditions as `IN (…)` or as a join with a table",
            offset: 0,
        });
    }
    Parser::new(&dialect).with_tokens_with_locations(tokens).parse_statements().map_err(|error| syntax(sql, &error))
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT
        ),
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::Eq
        | Token::DoubleColon => true,
        _ => false,
    }
}

fn syntax(sql: &str, error: &ParserError) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
    };
    let (message, location) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => (message.to_owned(), location(place)),
        None => (text, None),
    };
    let message = message
        .replace("Expected: ", "expected ")
        .replace(", found: EOF", ", but the text ends")
        .replace("found: ", "found ");
    SqlError {
        code: tm03::SQL_SYNTAX,
        message: format!("the SQL is not understood: {}", lower(&message)),
        help: "look right before this place: a comma, a bracket or a keyword is missing or too much",
        offset: location.map_or(0, |location| offset(sql, location)),
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// `3, Column: 7`.
fn location(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

/// Bytes before a line and column, both counted from 1.
fn offset(sql: &str, at: Location) -> usize {
    Lines::of(sql).offset(at)
}

/// Where the lines of a text begin.
struct Lines<'s> {
    sql: &'s str,
    starts: Vec<usize>,
    /// Then columns are bytes, and nothing has to be counted.
    ascii: bool,
}

impl<'s> Lines<'s> {
    fn of(sql: &'s str) -> Self {
        let behind = sql.match_indices('\n').map(|(at, _)| at + 1);
        Self { sql, starts: std::iter::once(0).chain(behind).collect(), ascii: sql.is_ascii() }
    }

    fn offset(&self, at: Location) -> usize {
        let line = usize::try_from(at.line).ok().and_then(|line| self.starts.get(line.checked_sub(1)?));
        let Some(start) = line.copied() else { return self.sql.len() };
        let rest = &self.sql[start..];
        let column = usize::try_from(at.column.saturating_sub(1)).unwrap_or(0);
        if self.ascii {
            return start + column.min(rest.len());
        }
        start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
    }
}

/// Collects relations, with the names that `WITH` defines in scope.
struct Finder<'s> {
    lines: Lines<'s>,
    frames: Vec<Frame>,
    found: Vec<Mention>,
    /// Set to the word that changes data.
    changes: Option<String>,
}

/// The names of one `WITH`, and how many of them can be seen at the moment.
struct Frame {
    query: *const Query,
    names: Vec<String>,
    bodies: Vec<*const Query>,
    recursive: bool,
    visible: usize,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let this = std::ptr::from_ref(query);
        if let Some(frame) = self.frames.last_mut()
            && let Some(index) = frame.bodies.iter().position(|body| *body == this)
        {
            // A body sees the names before it, and itself only if the query says `RECURSIVE`.
            frame.visible = if frame.recursive { frame.names.len() } else { index };
        }
        if let SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) = query.body.as_ref()
        {
            self.changes = Some(first_word(&statement.to_string()));
        }
        let with = query.with.as_ref();
        let tables = with.map_or(&[][..], |with| &with.cte_tables);
        self.frames.push(Frame {
            query: this,
            names: tables.iter().map(|cte| normal(&cte.alias.name)).collect(),
            bodies: tables.iter().map(|cte| std::ptr::from_ref(cte.query.as_ref())).collect(),
            recursive: with.is_some_and(|with| with.recursive),
            visible: tables.len(),
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let this = std::ptr::from_ref(query);
        self.frames.pop_if(|frame| frame.query == this);
        if let Some(frame) = self.frames.last_mut()
            && frame.bodies.contains(&this)
        {
            frame.visible = frame.names.len();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() {
            self.changes = Some("SELECT … INTO".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: None, .. } = factor {
            self.meet(name);
        }
        ControlFlow::Continue(())
    }
}

impl Finder<'_> {
    fn meet(&mut self, name: &ObjectName) {
        let idents: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
        let parts: Vec<String> = idents.iter().map(|ident| normal(ident)).collect();
        let defined = |name: &String| self.frames.iter().any(|frame| frame.names[..frame.visible].contains(name));
        if let [name] = parts.as_slice()
            && defined(name)
        {
            return;
        }
        let offsets = idents.iter().map(|ident| self.lines.offset(ident.span.start)).collect();
        self.found.push(Mention { parts, offsets });
    }
}

/// A name as SQL understands it.
fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// A name as it must be written in SQL: quoted unless it is plain.
pub(crate) fn written(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Vec<String> {
        let found = mentions(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        found.into_iter().map(|mention| mention.parts.join(".")).collect()
    }

    #[test]
    fn relations_are_found_wherever_they_stand() {
        for (sql, expected) in [
            ("SELECT * FROM a", vec!["a"]),
            ("SELECT * FROM A JOIN \"B\" USING (x), shop.public.c", vec!["a", "B", "shop.public.c"]),
            (
                "SELECT (SELECT max(x) FROM a) FROM b WHERE EXISTS (SELECT 1 FROM c WHERE c.i = b.i)",
                vec!["a", "b", "c"],
            ),
            ("SELECT 1 UNION ALL SELECT x FROM a EXCEPT SELECT x FROM (SELECT * FROM b) t", vec!["a", "b"]),
            ("SELECT * FROM generate_series(1, 10) g, unnest([1, 2])", vec![]),
            ("SELECT a.x FROM t AS a", vec!["t"]),
            ("SELECT row_number() OVER (ORDER BY x) FROM a;", vec!["a"]),
            ("VALUES (1), (2)", vec![]),
            ("SELECT x FROM a ORDER BY (SELECT max(y) FROM b)", vec!["a", "b"]),
        ] {
            assert_eq!(names(sql), expected, "{sql}");
        }
    }

    #[test]
    fn names_of_with_shadow_only_where_they_are_seen() {
        for (sql, expected) in [
            ("WITH a AS (SELECT * FROM b) SELECT * FROM a", vec!["b"]),
            ("WITH a AS (SELECT * FROM a) SELECT * FROM a", vec!["a"]),
            ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b, c", vec!["c"]),
            ("WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a", vec![]),
            ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) t, a", vec!["a"]),
            ("WITH a AS (WITH b AS (SELECT * FROM c) SELECT * FROM b) SELECT * FROM a, b", vec!["c", "b"]),
            ("WITH a AS (SELECT 1) SELECT * FROM shop.a", vec!["shop.a"]),
        ] {
            assert_eq!(names(sql), expected, "{sql}");
        }
    }

    #[test]
    fn only_one_query_is_taken() {
        for (sql, code) in [
            ("", tm03::NOT_ONE_QUERY),
            ("-- nothing", tm03::NOT_ONE_QUERY),
            ("SELECT 1; SELECT 2", tm03::NOT_ONE_QUERY),
            ("DELETE FROM a", tm03::NOT_A_QUERY),
            ("INSERT INTO a SELECT * FROM b", tm03::NOT_A_QUERY),
            ("WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM x", tm03::NOT_A_QUERY),
            ("CREATE TABLE a AS SELECT 1", tm03::NOT_A_QUERY),
            ("SELECT * INTO b FROM a", tm03::NOT_A_QUERY),
            ("DROP TABLE a", tm03::NOT_A_QUERY),
            ("SELEC 1", tm03::SQL_SYNTAX),
            ("SELECT 'open", tm03::SQL_SYNTAX),
        ] {
            assert_eq!(mentions(sql).map_err(|error| error.code), Err(code), "{sql}");
        }
    }

    #[test]
    fn places_are_offsets_in_the_text() {
        let sql = "SELECT 'ä',\n  x\nFROM wrong";
        assert_eq!(mentions(sql).expect("a query")[0].offsets[0], sql.find("wrong").expect("there"));
        let error = mentions("SELECT a\nFROM t GROUP b").expect_err("wrong");
        assert!(error.offset > "SELECT a\n".len(), "{error:?}");
    }

    #[test]
    fn monstrous_queries_are_refused_and_do_not_overflow() {
        let long = format!("SELECT {}", vec!["1"; 100_000].join(" + "));
        assert_eq!(mentions(&long).map_err(|error| error.code), Err(tm03::SQL_SYNTAX));
        let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert_eq!(mentions(&deep).map_err(|error| error.code), Err(tm03::SQL_SYNTAX));
        let fine = format!("SELECT {}", vec!["1"; 3_000].join(" + "));
        assert!(mentions(&fine).is_ok());
    }
}

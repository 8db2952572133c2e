//! Where the result goes and what things are called.

use super::{Read, Reader};
use crate::{lexicon::is_keyword, request::Clause, tokens::Shape};

const SAVE: [&str; 16] = [
    "refresh",
    "rebuild",
    "save",
    "store",
    "write",
    "put",
    "load",
    "export",
    "publish",
    "persist",
    "output",
    "copy",
    "dump",
    "land",
    "materialise",
    "materialize",
];
const IT: [&str; 18] = [
    "it",
    "them",
    "this",
    "that",
    "the result",
    "the results",
    "the output",
    "everything",
    "the rows",
    "the table",
    "result",
    "results",
    "all of it",
    "these",
    "those",
    "the data",
    "the whole thing",
    "output",
];
const APPEND: [&str; 5] = ["append", "add", "appending", "append the new rows", "appended"];
const REPLACE: [&str; 7] =
    ["replace", "overwrite", "replacing", "overwriting", "replace the contents of", "replace the content of", "refill"];

/// Words that ask for a file format, not for a name.
const FORMATS: [&str; 10] = ["csv", "json", "jsonl", "excel", "xlsx", "pdf", "html", "xml", "spreadsheet", "parquet"];

impl Reader<'_> {
    /// "save it as daily_flights", "append to history in warehouse".
    pub(super) fn target(&self, at: usize) -> Read<Clause> {
        let at = self.skip(at, &["and", "then", "and then", ", then", "finally", "and finally"]);
        self.saved(at)
            .or_else(|| self.appended(at))
            .or_else(|| self.replaced(at))
            .or_else(|| self.into(at))
            .or_else(|| self.verb(at))
    }

    fn saved(&self, at: usize) -> Read<Clause> {
        let p = self.any(at, &SAVE)?;
        let p = self.skip(p, &IT);
        let p = self.any(
            p,
            &[
                "as",
                "to",
                "into",
                "in",
                "under",
                "under the name",
                "as a table called",
                "as a table named",
                "in a table called",
                "in a table named",
                "to a table called",
                "to table",
                "to the table",
                "into the table",
                "into table",
                "in the table",
                "as table",
                "to a table named",
                "into a table called",
                "as a new table called",
                "into a table named",
                "as a new table",
                "under name",
                "with the name",
            ],
        )?;
        self.place(p, None)
    }

    fn appended(&self, at: usize) -> Read<Clause> {
        let p = self.skip(self.any(at, &APPEND)?, &IT);
        let p =
            self.any(p, &["to", "to the table", "to table", "into", "onto", "to a table called", "to the existing"])?;
        self.place(p, Some(true))
    }

    fn replaced(&self, at: usize) -> Read<Clause> {
        let p = self.any(at, &REPLACE)?;
        let p = self.skip(
            p,
            &[
                "the table",
                "table",
                "the contents of",
                "the existing",
                "the existing table",
                "the content of",
                "the",
                "the rows of",
                "the rows in",
            ],
        );
        let (end, clause) = self.place(p, Some(false))?;
        Some((
            self.skip(
                end,
                &[
                    "with it",
                    "with the result",
                    "with them",
                    "with this",
                    "by it",
                    "each time",
                    "every time",
                    "with the results",
                ],
            ),
            clause,
        ))
    }

    fn into(&self, at: usize) -> Read<Clause> {
        let plain = self.any(
            at,
            &[
                "into",
                "into the table",
                "into table",
                "into a table called",
                "in a table called",
                "in a table named",
                "as a table called",
                "as a table named",
                "as table",
                "to table",
                "to a table called",
                "as",
                "into a table named",
                "to a table named",
                "in the table",
            ],
        );
        let led = self.any(at, &["to", "in", "to the table", "under", "onto"]).filter(|_| self.save_verb_before(at));
        self.place(plain.max(led)?, None)
    }

    /// "save …" and "append …" whose table comes behind what is saved.
    fn verb(&self, at: usize) -> Read<Clause> {
        let append = self.any(at, &["append"]);
        let end = append.or_else(|| self.any(at, &SAVE))?;
        Some((end, Clause::Target { table: None, connection: None, append: append.map(|_| true) }))
    }

    /// Whether a verb before this place asks for rows to be saved: then "as x" names the table.
    pub(super) fn save_verb_before(&self, at: usize) -> bool {
        (0..at).any(|p| SAVE.contains(&self.lower(p)) || self.lower(p) == "append")
    }

    /// A table's name, its connection, how rows meet those already there.
    fn place(&self, at: usize, append: Option<bool>) -> Read<Clause> {
        if let Some(end) =
            self.any(at, &["parquet", "a parquet file", "parquet file", "parquet files", "a table", "a file"])
        {
            let end = self.skip(end, &["called", "named"]);
            if let Some(found) = self.table_place(end, append) {
                return Some(found);
            }
            return Some((end, Clause::Target { table: None, connection: None, append }));
        }
        self.table_place(at, append)
    }

    fn table_place(&self, at: usize, append: Option<bool>) -> Read<Clause> {
        let p = self.skip(at, &["the table", "table", "the", "connection", "the connection"]);
        let (end, name) = self.new_name(p)?;
        let (table, connection) = match name.split_once('.') {
            Some((connection, table)) if self.connection(connection).is_some() => {
                (Some(table.to_owned()), Some(connection.to_owned()))
            }
            Some(_) => return None,
            None if self.connection(&name).is_some() => (None, Some(name)),
            None => (Some(name), None),
        };
        let (end, connection) =
            if connection.is_none() { self.at_connection(self.skip(end, &["table"])) } else { (end, connection) };
        let (end, append) = if append.is_none() { self.mode(end) } else { (end, append) };
        let end = self.skip(
            end,
            &[
                "as parquet",
                "as a parquet file",
                "in parquet",
                "as parquet files",
                "in parquet format",
                "as a parquet table",
                "as a parquet",
            ],
        );
        Some((end, Clause::Target { table, connection, append }))
    }

    fn at_connection(&self, at: usize) -> (usize, Option<String>) {
        let found = self
            .any(
                at,
                &[
                    "in",
                    "to",
                    "into",
                    "on",
                    "of",
                    "in the",
                    "at",
                    "in connection",
                    "in the connection",
                    "to the",
                    "into the",
                    "on the",
                ],
            )
            .and_then(|p| {
                let name = self.connection(&self.token(p)?.text)?;
                Some((self.skip(p + 1, &["connection", "database"]), Some(name)))
            });
        found.unwrap_or((at, None))
    }

    fn connection(&self, name: &str) -> Option<String> {
        self.lexis.catalog.connections.iter().find(|c| c.eq_ignore_ascii_case(name)).cloned()
    }

    fn mode(&self, at: usize) -> (usize, Option<bool>) {
        let at2 = self.skip(at, &[",", "and", ", and"]);
        if let Some(end) = self.any(at2, &["in append mode", "appending", "append", "append mode", "by appending"]) {
            return (end, Some(true));
        }
        if let Some(end) = self.any(
            at2,
            &[
                "in replace mode",
                "replacing what is there",
                "overwriting what is there",
                "replacing the old one",
                "replace it each time",
                "replacing it each time",
                "replace what is there",
                "replacing the old rows",
                "replace mode",
                "overwrite it",
                "replace it",
                "overwriting it",
                "replacing it",
                "replacing whatever is there",
                "replace",
                "overwrite",
            ],
        ) {
            return (end, Some(false));
        }
        (at, None)
    }

    /// "call it busy_days", "name the result x".
    pub(super) fn called(&self, at: usize) -> Read<Clause> {
        let at = self.skip(at, &["and", "then", "and then"]);
        let p = self.any(
            at,
            &[
                "call it",
                "name it",
                "call the result",
                "name the result",
                "call the table",
                "name the table",
                "call this",
                "title it",
                "call the output",
                "name the output",
                "call them",
                "name the output table",
                "call the output table",
                "call the results",
                "the table is called",
                "name the pipeline",
                "call the pipeline",
            ],
        )?;
        self.new_name(p).map(|(end, name)| (end, Clause::Called(name)))
    }

    /// "call the count n", "rename carrier to airline_code", "with dep_delay renamed to delay".
    pub(super) fn rename(&self, at: usize) -> Read<Clause> {
        let at = self.skip(at, &["and", "with", "then", "and then"]);
        if let Some(p) = self.any(at, &["call the", "name the", "label the", "call", "rename the", "rename"]) {
            let to = |p: usize| self.new_name(self.skip(p, &["to", "as", "column", "column to", "into"]));
            if let Some((end, name)) = self
                .any(
                    p,
                    &[
                        "count",
                        "number",
                        "average",
                        "sum",
                        "total",
                        "result column",
                        "column",
                        "mean",
                        "median",
                        "measure",
                        "value column",
                        "share",
                        "percentage",
                        "maximum",
                        "minimum",
                        "averages",
                        "counts",
                        "count column",
                    ],
                )
                .and_then(to)
            {
                return Some((end, Clause::RenameMeasure { measure: None, name }));
            }
            if let Some((end, (measure, name))) =
                self.measure(p).and_then(|(q, m)| to(q).map(|(end, name)| (end, (m, name))))
            {
                return Some((end, Clause::RenameMeasure { measure: Some(measure), name }));
            }
            let (q, column) = self.column(p)?;
            return to(q).map(|(end, name)| (end, Clause::Rename { column, name }));
        }
        let (p, column) = self.column(at)?;
        let p = self.any(p, &["renamed to", "renamed as", "renamed", "called"])?;
        self.new_name(p).map(|(end, name)| (end, Clause::Rename { column, name }))
    }

    /// A name that is given here: an identifier, or quoted text.
    pub(super) fn new_name(&self, at: usize) -> Read<String> {
        let token = self.token(at)?;
        let plain = token.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
            && token.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let fits = match token.shape {
            Shape::Quoted => {
                token.text.len() <= 63 && token.text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ')
            }
            Shape::Word => {
                plain && !is_keyword(&token.lower) && !FORMATS.contains(&token.lower.as_str()) && token.text.len() <= 63
            }
            Shape::Number(_)
            | Shape::Ordinal(_)
            | Shape::Date(_)
            | Shape::YearMonth(..)
            | Shape::Time(..)
            | Shape::Sign => false,
        };
        fits.then(|| (at + 1, token.text.clone()))
    }

    /// Whether a name at the end of a clause is the table's rather than the column's: "… as delays in warehouse".
    pub(super) fn names_target(&self, at: usize) -> bool {
        self.at_connection(at).1.is_some()
    }
}

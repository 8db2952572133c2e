//! Many rows in one statement. They travel as one JSON array, which both databases turn into a table
//! called `input`; so a statement over it is one text for both.

use std::fmt::Write;

use tidemill_dag::id::RunId;

use super::{Arg, row::json};

/// `batch!([run_id run, ordinal int, name text] "UPDATE … FROM input …")`: a statement over the table `input` with
/// these columns, given as `$1`, and `n`, the place in the batch. What follows `; postgres` is for PostgreSQL alone.
macro_rules! batch {
    ([$($name:ident $kind:ident),* $(,)?] $($sql:expr),+ $(; postgres $tail:expr)?) => {
        $crate::db::Sql {
            sqlite: concat!(
                // Each mention of `value` would write the object out anew; so it is written once, then read.
                "WITH RECURSIVE each AS MATERIALIZED (SELECT key, value FROM json_each($1)),",
                " input AS MATERIALIZED (SELECT key AS n",
                $($crate::db::cell!(sqlite $name $kind),)*
                " FROM each)",
                $(" ", $sql),+
            ),
            postgres: concat!(
                "WITH RECURSIVE input AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS i (n bigint",
                $($crate::db::cell!(postgres $name $kind),)*
                "))",
                $(" ", $sql),+
                $(, " ", $tail)?
            ),
        }
    };
}

macro_rules! cell {
    (sqlite $name:ident run) => {
        concat!(", unhex(value->>'", stringify!($name), "') AS ", stringify!($name))
    };
    (sqlite $name:ident $kind:ident) => {
        concat!(", value->>'", stringify!($name), "' AS ", stringify!($name))
    };
    (postgres $name:ident run) => {
        concat!(", ", stringify!($name), " uuid")
    };
    (postgres $name:ident int) => {
        concat!(", ", stringify!($name), " bigint")
    };
    (postgres $name:ident text) => {
        concat!(", ", stringify!($name), " text")
    };
}
pub(crate) use {batch, cell};

/// The rows of a batch, being put together as JSON text.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    text: String,
    rows: usize,
}

impl Batch {
    /// Begins a row; it ends where the value returned is dropped.
    pub fn row(&mut self) -> BatchRow<'_> {
        let text = &mut self.text;
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str("{\"n\":");
        push(text, self.rows);
        self.rows += 1;
        BatchRow { text }
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn len(&self) -> u64 {
        self.rows as u64
    }

    /// The rows as the value of `$1`.
    pub fn arg(&self) -> Arg<'static> {
        let text = if self.rows == 0 { "[]".to_owned() } else { format!("{}]", self.text) };
        Arg::Text(Some(text.into()))
    }
}

/// One row of a batch. What is not set is NULL.
pub(crate) struct BatchRow<'b> {
    text: &'b mut String,
}

impl BatchRow<'_> {
    /// Sets a column.
    pub fn set<'a>(self, column: &'static str, value: impl Into<Arg<'a>>) -> Self {
        let arg = value.into();
        if !matches!(arg, Arg::Int(None) | Arg::Text(None) | Arg::Run(None)) {
            push(self.text, format_args!(",\"{column}\":"));
        }
        match arg {
            Arg::Int(Some(value)) => push(self.text, value),
            Arg::Text(Some(value)) => self.text.push_str(&json(&value)),
            Arg::Run(Some(RunId(id))) => push(self.text, format_args!("\"{}\"", id.simple())),
            Arg::Int(None) | Arg::Text(None) | Arg::Run(None) => {}
        }
        self
    }
}

impl Drop for BatchRow<'_> {
    fn drop(&mut self) {
        self.text.push('}');
    }
}

fn push(text: &mut String, value: impl std::fmt::Display) {
    // Writing to a string does not fail.
    let _ = write!(text, "{value}");
}

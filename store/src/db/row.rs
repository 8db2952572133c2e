//! Values in, rows out.

use std::{borrow::Cow, str::FromStr};

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Decode, Postgres, Row as _, Sqlite, Type,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, WorkerId},
    time::Timestamp,
};
use uuid::Uuid;

use crate::StoreError;

/// A value for a placeholder.
#[derive(Debug, Clone)]
pub(crate) enum Arg<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Run(Option<RunId>),
}

macro_rules! binds {
    ($bind:ident, $database:ident, $arguments:ident) => {
        pub fn $bind<'q>(query: Query<'q, $database, $arguments>, arg: &'q Self) -> Query<'q, $database, $arguments> {
            match arg {
                Self::Int(value) => query.bind(value),
                Self::Text(value) => query.bind(value.as_deref()),
                Self::Run(value) => query.bind(value.map(|run| run.0)),
            }
        }
    };
}

impl Arg<'_> {
    binds!(bind_sqlite, Sqlite, SqliteArguments);
    binds!(bind_postgres, Postgres, PgArguments);

    pub fn json(value: &impl Serialize) -> Self {
        Self::Text(Some(Cow::Owned(json(value))))
    }
}

/// JSON text of a value of ours; these have string keys only, so it cannot fail.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(clean(text)))
    }
}

impl<'a> From<Option<&'a str>> for Arg<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(clean))
    }
}

/// PostgreSQL's text has no place for the character U+0000; both databases store the same replacement.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

macro_rules! ints {
    ($($t:ty: $v:ident => $int:expr),* $(,)?) => {$(
        impl From<$t> for Arg<'_> {
            fn from($v: $t) -> Self {
                Self::Int(Some($int))
            }
        }
        impl From<Option<$t>> for Arg<'_> {
            fn from(value: Option<$t>) -> Self {
                Self::Int(value.map(|$v: $t| $int))
            }
        }
    )*};
}
ints!(i64: v => v, u32: v => i64::from(v), Timestamp: v => v.0, Ordinal: v => i64::from(v.0), Attempt: v => i64::from(v.0));

impl From<RunId> for Arg<'_> {
    fn from(run: RunId) -> Self {
        Self::Run(Some(run))
    }
}

impl From<Option<RunId>> for Arg<'_> {
    fn from(run: Option<RunId>) -> Self {
        Self::Run(run)
    }
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can be read as.
pub(crate) trait Cell: Sized {
    /// What the databases give.
    type Raw: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>;
    /// What the program means by it.
    fn read(raw: Self::Raw) -> Result<Self, String>;
}

macro_rules! cells {
    ($($t:ty: $raw:ty, $v:ident => $read:expr);* $(;)?) => {$(
        impl Cell for $t {
            type Raw = $raw;
            fn read($v: $raw) -> Result<Self, String> {
                $read
            }
        }
        impl Cell for Option<$t> {
            type Raw = Option<$raw>;
            fn read(raw: Option<$raw>) -> Result<Self, String> {
                raw.map(|$v: $raw| -> Result<$t, String> { $read }).transpose()
            }
        }
    )*};
}
cells! {
    i64: i64, v => Ok(v);
    u32: i64, v => u32::try_from(v).map_err(|_| format!("{v} is out of range"));
    Timestamp: i64, v => Ok(Timestamp(v));
    Ordinal: i64, v => u32::read(v).map(Ordinal);
    Attempt: i64, v => u32::read(v).map(Attempt);
    String: String, v => Ok(v);
    RunId: Uuid, v => Ok(RunId(v));
    WorkerId: String, v => Ok(WorkerId(v));
}

/// Reads a row's columns in the order of the statement; an error names table and column.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    table: &'static str,
    at: usize,
}

impl<'r> Columns<'r> {
    pub fn of(row: &'r Row, table: &'static str) -> Self {
        Self { row, table, at: 0 }
    }

    /// The next column.
    pub fn next<T: Cell>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let raw = match self.row {
            Row::Sqlite(row) => row.try_get::<T::Raw, _>(self.at),
            Row::Postgres(row) => row.try_get::<T::Raw, _>(self.at),
        };
        self.at += 1;
        raw.map_err(|error| error.to_string()).and_then(T::read).map_err(|problem| self.unexpected(column, problem))
    }

    /// The next column, which holds a word of ours.
    pub fn word<T: FromStr<Err: std::fmt::Display>>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let text: String = self.next(column)?;
        text.parse().map_err(|error: T::Err| self.unexpected(column, error.to_string()))
    }

    /// The next column, which holds a word of ours or nothing.
    pub fn maybe_word<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.next(column)?;
        text.map(|text| text.parse().map_err(|error: T::Err| self.unexpected(column, error.to_string()))).transpose()
    }

    /// The next column, which holds the name of one of these.
    pub fn one_of<T: Copy>(
        &mut self,
        column: &'static str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Result<T, StoreError> {
        let text: String = self.next(column)?;
        let found = all.iter().copied().find(|it| name(*it) == text);
        found.ok_or_else(|| self.unexpected(column, format!("`{text}` is not known")))
    }

    /// The next column, which holds JSON.
    pub fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let text: String = self.next(column)?;
        serde_json::from_str(&text).map_err(|error| self.unexpected(column, error.to_string()))
    }

    /// The next column, which holds JSON or nothing.
    pub fn maybe_json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.next(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.unexpected(column, error.to_string())))
            .transpose()
    }

    /// The next column, which holds a word that serde knows.
    pub fn named<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let text: String = self.next(column)?;
        let word = serde_json::Value::String(text);
        serde_json::from_value(word).map_err(|error| self.unexpected(column, error.to_string()))
    }

    /// The next column, which holds a word that serde knows, or nothing.
    pub fn maybe_named<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.next(column)?;
        let read = |text| serde_json::from_value(serde_json::Value::String(text));
        text.map(read).transpose().map_err(|error| self.unexpected(column, error.to_string()))
    }

    fn unexpected(&self, column: &'static str, problem: String) -> StoreError {
        StoreError::Row { table: self.table, column, problem }
    }
}

//! Cursors: where a list goes on. They say nothing to callers, and each belongs to one list.
//!
//! Lists are walked by key, not by number: what is inserted or removed meanwhile neither repeats nor hides a row.

use std::fmt::Display;
use std::str::FromStr;

use axum::http::StatusCode;
use tidemill_dag::codes::tm13;

use crate::problem::Problem;

/// The lists that have cursors; the word goes into the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Pipelines, by name.
    Pipelines,
    /// Versions, newest first.
    Versions,
    /// Moves of versions, newest first.
    Moves,
    /// Runs, newest first.
    Runs,
    /// The history of a run.
    Events,
    /// Lines of a run.
    Logs,
    /// Dead letters, newest first.
    Letters,
    /// Backfills, newest first.
    Backfills,
    /// Partitions of a backfill, in their order.
    Partitions,
    /// Questions to people.
    Approvals,
}

impl List {
    const fn word(self) -> &'static str {
        match self {
            Self::Pipelines => "p",
            Self::Versions => "v",
            Self::Moves => "m",
            Self::Runs => "r",
            Self::Events => "e",
            Self::Logs => "l",
            Self::Letters => "d",
            Self::Backfills => "b",
            Self::Partitions => "t",
            Self::Approvals => "a",
        }
    }

    /// The cursor behind an entry.
    pub fn cursor(self, key: impl Display) -> String {
        hex::encode(format!("{}{key}", self.word()))
    }

    /// The key that a cursor stands for.
    pub fn key<T: FromStr>(self, cursor: Option<&str>) -> Result<Option<T>, Problem> {
        let Some(cursor) = cursor else { return Ok(None) };
        let read = || {
            let text = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
            text.strip_prefix(self.word())?.parse().ok()
        };
        read().map(Some).ok_or_else(|| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, tm13::CURSOR, "this cursor was not given out by this list")
                .help("use `next` of the page before, as it is; without a cursor the list begins")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_in_their_own_list_only() {
        let cursor = List::Logs.cursor(42);
        assert_eq!(List::Logs.key::<i64>(Some(&cursor)).expect("it is one"), Some(42));
        assert_eq!(List::Logs.key::<i64>(None).expect("none is fine"), None);
        for (list, text) in [(List::Events, cursor.as_str()), (List::Logs, "42"), (List::Logs, ""), (List::Logs, "ff")]
        {
            let wrong = list.key::<i64>(Some(text)).expect_err("refused");
            assert_eq!((wrong.status, wrong.code), (StatusCode::UNPROCESSABLE_ENTITY, tm13::CURSOR), "{text}");
        }
    }
}

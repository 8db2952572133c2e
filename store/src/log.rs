//! What tasks print while they run.

use serde::{Deserialize, Serialize};
use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey},
    time::Timestamp,
};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// The task's standard output.
    Stdout,
    /// The task's standard error.
    Stderr,
    /// Tidemill itself.
    System,
}

/// One line of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The task.
    pub task: TaskKey,
    /// The attempt.
    pub attempt: Attempt,
    /// Counts from 1 within the attempt; a line told twice is stored once.
    pub seq: u32,
    /// When it was printed.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: LogStream,
    /// The text without its line end.
    pub text: String,
}

/// Which lines to read.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// Of this run.
    pub run: RunId,
    /// Only of this task.
    pub ordinal: Option<Ordinal>,
    /// Only lines stored after the one with this cursor; 0 for all.
    pub after: i64,
    /// At most so many.
    pub limit: u32,
}

/// A stored line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLine {
    /// Where to continue after this line.
    pub cursor: i64,
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
}

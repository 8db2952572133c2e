//! What tasks print while they run.

use serde::{Deserialize, Serialize};
use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey},
    time::Timestamp,
};

use crate::{
    Store, StoreError,
    db::{Batch, Columns, Row, Sql, batch, tried},
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

impl LogStream {
    /// The word that databases store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::System => "system",
        }
    }
}

const APPEND: Sql = batch!(
    [run_id run, ordinal int, attempt int, seq int, at int, stream text, line text]
    "INSERT INTO logs (run_id, ordinal, attempt, seq, at, stream, text)",
    "SELECT run_id, ordinal, attempt, seq, at, stream, line FROM input WHERE TRUE ORDER BY n",
    "ON CONFLICT (run_id, ordinal, attempt, seq) DO NOTHING"
);

/// Ids are given out before commits, so two writers at once could show a reader the later line first and it would
/// never see the earlier one. Writers of lines take turns; the lines need not be on the disk before the next turn.
const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock(7234617), set_config('synchronous_commit', 'off', true)";

const LINES: &str = "SELECT id, run_id, ordinal, attempt, seq, at, stream, text FROM logs \
                     WHERE run_id = $1 AND id > $2 ORDER BY id LIMIT $3";

const LINES_OF_TASK: &str = "SELECT id, run_id, ordinal, attempt, seq, at, stream, text FROM logs \
                             WHERE run_id = $1 AND id > $2 AND ordinal = $4 ORDER BY id LIMIT $3";

impl Store {
    /// Stores lines; those that are there already are left as they are.
    pub async fn append_logs(&self, lines: &[LogLine]) -> Result<(), StoreError> {
        let mut input = Batch::default();
        for line in lines {
            input
                .row()
                .set("run_id", line.task.run)
                .set("ordinal", line.task.ordinal)
                .set("attempt", line.attempt)
                .set("seq", line.seq)
                .set("at", line.at)
                .set("stream", line.stream.name())
                .set("line", line.text.as_str());
        }
        if input.is_empty() { Ok(()) } else { tried!(self.append_once(&input).await) }
    }

    async fn append_once(&self, input: &Batch) -> Result<(), StoreError> {
        let mut tx = self.desk.db.begin().await?;
        tx.run_on_postgres("take turns in writing lines", TAKE_TURN).await?;
        tx.run("write lines", APPEND, &[input.arg()]).await?;
        tx.commit().await
    }

    /// Lines in the order in which they were stored.
    pub async fn logs(&self, query: LogQuery) -> Result<Vec<StoredLine>, StoreError> {
        let mut args = vec![query.run.into(), query.after.into(), query.limit.into()];
        let sql = match query.ordinal {
            Some(ordinal) => {
                args.push(ordinal.into());
                LINES_OF_TASK
            }
            None => LINES,
        };
        self.desk.db.read("read lines", sql, &args).await?.iter().map(stored_line).collect()
    }
}

fn stored_line(row: &Row) -> Result<StoredLine, StoreError> {
    let mut columns = Columns::of(row, "logs");
    let cursor = columns.next("id")?;
    let task = TaskKey { run: columns.next("run_id")?, ordinal: columns.next("ordinal")? };
    let line = LogLine {
        task,
        attempt: columns.next("attempt")?,
        seq: columns.next("seq")?,
        at: columns.next("at")?,
        stream: columns.named("stream")?,
        text: columns.next("text")?,
    };
    Ok(StoredLine { cursor, line })
}

//! The records, and what is asked of them.

use async_trait::async_trait;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tidemill_dag::{codes::tm14, time::Timestamp};

use crate::usage::{UseRow, UseStats};

/// A run that ended. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Row)]
pub struct RunRow {
    /// The run.
    pub run_id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// What made it.
    pub trigger_kind: String,
    /// How it ended.
    pub state: String,
    /// When it ended.
    pub finished_at: i64,
    /// From its acceptance to its beginning, in milliseconds.
    pub wait_ms: u64,
    /// From its beginning to its end, in milliseconds.
    pub duration_ms: u64,
    /// How many tasks it has.
    pub tasks: u32,
    /// How many of them failed.
    pub failed: u32,
}

/// An attempt of a task that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Row)]
pub struct TaskRow {
    /// The run.
    pub run_id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// The task.
    pub task: String,
    /// Its place in the plan.
    pub ordinal: u32,
    /// The attempt.
    pub attempt: u32,
    /// What the attempt came to.
    pub state: String,
    /// The queue that it went through.
    pub queue: String,
    /// The worker that had it.
    pub worker: String,
    /// When the attempt ended.
    pub finished_at: i64,
    /// From its beginning to its end, in milliseconds.
    pub duration_ms: u64,
    /// The code of its failure; empty without one.
    pub error: String,
}

/// A task that a worker took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Row)]
pub struct WaitRow {
    /// The run.
    pub run_id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// The task.
    pub task: String,
    /// Its place in the plan.
    pub ordinal: u32,
    /// The queue that it waited in.
    pub queue: String,
    /// When a worker took it.
    pub started_at: i64,
    /// From when it could be taken until then, in milliseconds.
    pub wait_ms: u64,
}

/// Any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A run.
    Run(RunRow),
    /// An attempt.
    Task(TaskRow),
    /// A wait.
    Wait(WaitRow),
    /// A call of a model.
    Use(Box<UseRow>),
}

/// What a pipeline took in some stretch of time. A percentile is the smallest value that so many of the values do not
/// exceed, none where there are no values; milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Row)]
pub struct PipelineStats {
    /// The pipeline.
    pub pipeline: String,
    /// Runs that ended.
    pub runs: u64,
    /// Those of them that failed.
    pub runs_failed: u64,
    /// Length of runs.
    pub run_p50: u64,
    /// The same, for nine of ten.
    pub run_p90: u64,
    /// Attempts of tasks that ended.
    pub tasks: u64,
    /// Those of them that failed.
    pub tasks_failed: u64,
    /// Length of attempts.
    pub task_p50: u64,
    /// The same, for nine of ten.
    pub task_p90: u64,
    /// How long tasks waited for a worker.
    pub wait_p50: u64,
    /// The same, for nine of ten.
    pub wait_p90: u64,
}

/// Why records cannot be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the records in {place} cannot be {action}: {problem}")]
pub struct RecordsError {
    /// Where they are, without passwords.
    pub place: String,
    /// `prepared`, `written` or `read`.
    pub action: &'static str,
    /// What happened.
    pub problem: String,
}

impl RecordsError {
    /// The public code, as in the pages of `docs/errors`.
    pub const fn code(&self) -> &'static str {
        tm14::RECORDS
    }
}

/// A place for records.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Makes its tables, where they are not there yet.
    async fn prepare(&self) -> Result<(), RecordsError>;
    /// Keeps records, all of them or none that is not told again; the same one told twice counts once.
    async fn write(&self, records: &[Record]) -> Result<(), RecordsError>;
    /// What every pipeline took since a moment, by name.
    async fn stats(&self, since: Timestamp) -> Result<Vec<PipelineStats>, RecordsError>;
    /// What calls of models took since a moment, by tenant and model.
    async fn uses(&self, since: Timestamp) -> Result<Vec<UseStats>, RecordsError>;
}

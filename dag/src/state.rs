//! The lives of runs and tasks. One enum each, one transition function each, no database.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Accepted; waits for its place under the pipeline's `max_runs`.
    Queued,
    /// Its tasks are being worked on.
    Running,
    /// Every task finished and none failed.
    Succeeded,
    /// Every task finished and at least one failed.
    Failed,
    /// Somebody or something stopped it.
    Cancelled,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Tasks before it have not finished.
    Blocked,
    /// May be claimed by any worker.
    Ready,
    /// A worker holds its lease.
    Running,
    /// Sleeps until a wake-up time or a named event: a retry, a sensor, an approval.
    Waiting,
    /// Did what it should.
    Succeeded,
    /// Out of tries.
    Failed,
    /// The run was cancelled.
    Cancelled,
    /// Its `when` was false, or its `run_if` did not fit though nothing before it failed.
    Skipped,
    /// Its `run_if` did not fit because something before it failed.
    UpstreamFailed,
}

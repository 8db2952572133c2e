//! The lives of runs and tasks. One enum each, one transition function each, no database.
//!
//! [`decide`] moves a task, [`decide_run`] a run; the arrows that exist stand in [`table`] and nowhere
//! else. [`Work`] strings decisions together into what one transaction writes: a finished task, its
//! readers, theirs if the news ends them too, and the run. It never sees more than that neighbourhood,
//! so its cost does not grow with what is still blocked.

mod illegal;
pub mod page;
mod policy;
mod resume;
mod rules;
mod run;
pub mod table;
mod task;
mod version;
mod work;

pub use illegal::IllegalMove;
pub use policy::{Policy, Taken};
pub use resume::{Reset, hold_back, resets};
pub use run::{Arrival, RunDecision, RunEvent, RunEventKind, RunView, arrive, decide_run, may_start};
pub use task::{Decision, Ending, Event, EventKind, Holder, MAX_CRASHES, TaskView, Upstream, decide};
pub use version::{Expected, IllegalVersionMove, VERSIONS, VersionEvent, VersionState, decide_version, way_to};
pub use work::{Change, Move, Settled, Want, Work};

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state")]
pub struct UnknownState(pub String);

/// The variants in order and their names, for enums without data.
macro_rules! named {
    ($type:ty { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $type {
            /// Every one, in the order of a life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name, as in databases, JSON and documents.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named;

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

named!(RunState {
    Queued = "queued",
    Running = "running",
    Succeeded = "succeeded",
    Failed = "failed",
    Cancelled = "cancelled",
});

impl RunState {
    /// Whether nothing happens any more, short of a resume.
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }
}

impl FromStr for RunState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|state| state.name() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Tasks before it have not finished, or its run has no place yet.
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

named!(TaskState {
    Blocked = "blocked",
    Ready = "ready",
    Running = "running",
    Waiting = "waiting",
    Succeeded = "succeeded",
    Failed = "failed",
    Cancelled = "cancelled",
    Skipped = "skipped",
    UpstreamFailed = "upstream_failed",
});

impl TaskState {
    /// Whether nothing happens any more, short of a resume.
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Blocked | Self::Ready | Self::Running | Self::Waiting => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped | Self::UpstreamFailed => true,
        }
    }
}

impl FromStr for TaskState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|state| state.name() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests;

//! Moves that are refused.

use crate::{
    id::{RunId, TaskKey},
    state::{EventKind, Holder, RunEventKind, RunState, TaskState},
    time::Timestamp,
};

/// A move that is refused. The row stays as it was; to refuse is always harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalMove {
    /// The table has no such arrow: a duplicate, or news that came too late.
    #[error("a task that is {state} takes no `{event}` ({task})")]
    Task {
        /// Which task.
        task: TaskKey,
        /// Where it is.
        state: TaskState,
        /// What was tried.
        event: EventKind,
    },
    /// Attempt or owner are not the current ones: the fence held.
    #[error("attempt {} by `{}` is not the current attempt of {task}", .by.attempt.0, .by.owner)]
    Fenced {
        /// Which task.
        task: TaskKey,
        /// Who spoke.
        by: Holder,
    },
    /// The moment for it has not come: the lease still runs, the wake-up time lies ahead.
    #[error("too early for `{event}` of {task}: not before {not_before}")]
    TooEarly {
        /// Which task.
        task: TaskKey,
        /// What was tried.
        event: EventKind,
        /// When it may happen.
        not_before: Timestamp,
    },
    /// The counters say otherwise: a task cannot open with tasks before it unfinished, and hears no
    /// more endings than it waits for.
    #[error("`{event}` does not fit {task}, which waits for {pending} tasks")]
    Counters {
        /// Which task.
        task: TaskKey,
        /// What was tried.
        event: EventKind,
        /// How many unfinished tasks stand before it.
        pending: u32,
    },
    /// It waits, but not for an answer of people.
    #[error("{0} asks nobody anything")]
    NotAsked(TaskKey),
    /// The table has no such arrow for runs.
    #[error("a run that is {state} takes no `{event}` ({run})")]
    Run {
        /// Which run.
        run: RunId,
        /// Where it is.
        state: RunState,
        /// What was tried.
        event: RunEventKind,
    },
    /// The row was not among those loaded: there is no such task.
    #[error("no such task: {0}")]
    NoSuchTask(TaskKey),
}

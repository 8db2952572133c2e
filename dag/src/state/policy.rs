//! What decides about a task besides what happens to it.

use serde::{Deserialize, Serialize};

use crate::spec::{Backoff, RunIf, Task};

/// What the definition says about tries and conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Which outcomes of the tasks before let it run.
    pub run_if: RunIf,
    /// How often a failed attempt is tried again.
    pub retries: u32,
    /// How long to wait between tries.
    pub backoff: Backoff,
    /// With `for_each`: at most so many of its items at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Tells people how the run ended: its own outcome does not change the run's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hook: bool,
    /// It is not done: its run does others again, and this one ends as it did in the earlier run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
}

/// How a task ends that a re-run takes over from the earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// With what it gave then.
    Succeeded,
    /// It did not run then, or is not asked for now.
    Skipped,
}

impl Policy {
    /// As a task with its pipeline's defaults merged in says it.
    pub fn of(task: &Task) -> Self {
        Self {
            run_if: task.run_if,
            retries: task.retries.unwrap_or(0),
            backoff: task.backoff.unwrap_or_default(),
            max_parallel: task.max_parallel,
            hook: false,
            taken: None,
        }
    }
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Span;

/// The worker of this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerSection {
    /// How many tasks run at the same time. Unset: one per processor, at least two.
    pub slots: Option<usize>,
    /// How long a task stays with a worker that no longer gives a sign of life.
    pub lease: Span,
    /// The Python interpreter for `python` tasks.
    pub python: String,
}

impl Default for WorkerSection {
    fn default() -> Self {
        Self { slots: None, lease: Span::seconds(6), python: "python3".to_owned() }
    }
}

impl WorkerSection {
    /// The number of slots on this machine.
    pub fn effective_slots(&self) -> usize {
        self.slots.unwrap_or_else(|| super::engine::processors().max(2)).max(1)
    }
}

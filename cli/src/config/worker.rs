use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Span;

/// The worker of this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerSection {
    /// How many tasks run at the same time. Unset: one per processor, at least two.
    pub slots: Option<usize>,
    /// The queues it takes tasks from; a task names its queue with `queue:`.
    pub queues: Vec<String>,
    /// Words about this worker, as in `{zone: eu}`; `tidemill workers` shows them.
    pub labels: BTreeMap<String, String>,
    /// How many tickets to take beyond the free slots, so that the next task is at hand when one ends. Other workers do not
    /// see those, so it suits many short tasks.
    pub prefetch: usize,
    /// How long a task stays with a worker that no longer gives a sign of life.
    pub lease: Span,
    /// How long running tasks may take to end when the process is told to stop; then they are given back.
    pub grace: Span,
    /// The Python interpreter for `python` tasks.
    pub python: String,
    /// The longest list that a `for_each` may give.
    pub max_items: usize,
}

impl Default for WorkerSection {
    fn default() -> Self {
        Self {
            slots: None,
            queues: vec![tidemill_store::DEFAULT_QUEUE.to_owned()],
            labels: BTreeMap::new(),
            prefetch: 0,
            lease: Span::seconds(6),
            grace: Span::seconds(10),
            python: "python3".to_owned(),
            max_items: 10_000,
        }
    }
}

impl WorkerSection {
    /// The number of slots on this machine.
    pub fn effective_slots(&self) -> usize {
        self.slots.unwrap_or_else(|| super::engine::processors().max(2)).max(1)
    }
}

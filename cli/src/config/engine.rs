use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The engine that runs SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSection {
    /// Memory for sorting, grouping and joining, in MiB, for all tasks together; what needs more is spilled to disk.
    pub memory_mb: usize,
    /// How many parts of one query run at the same time. Unset: one per processor.
    pub partitions: Option<usize>,
}

impl Default for EngineSection {
    fn default() -> Self {
        Self { memory_mb: 1024, partitions: None }
    }
}

impl EngineSection {
    /// The memory in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory_mb.saturating_mul(1024 * 1024)
    }

    /// The number of parts on this machine.
    pub fn effective_partitions(&self) -> usize {
        self.partitions.unwrap_or_else(processors).max(1)
    }
}

/// How many processors this process may use.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

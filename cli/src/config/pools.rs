use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pool: slots that tasks with `pool: NAME` share, whichever pipeline they belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolSection {
    /// How many slots there are.
    pub slots: u32,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Span;

/// The API of `tidemill dev` and `tidemill server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSection {
    /// How many requests each token may make in a minute.
    pub requests_per_minute: u32,
    /// How long one request may take until its answer begins.
    pub timeout: Span,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self { requests_per_minute: 6_000, timeout: Span::seconds(30) }
    }
}

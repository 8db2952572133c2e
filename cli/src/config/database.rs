use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The database that holds the state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSection {
    /// `sqlite:PATH` or `postgres://…`, best as a place to read it from: "${env:DATABASE_URL}" or "${file:/run/secrets/db}".
    /// Unset: what TIDEMILL_DATABASE_URL says, or else `state.db` in the state folder.
    pub url: Option<String>,
}

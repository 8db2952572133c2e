use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Redis through which processes on several machines hand each other tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSection {
    /// `redis://…`, `rediss://…` (TLS), `redis+unix:///PATH` or `redis+sentinel://HOST:PORT,HOST:PORT/MASTER`, best as a place
    /// to read it from: "${env:REDIS_URL}". Unset: what TIDEMILL_QUEUE_URL says, or else tasks stay in one process.
    pub url: Option<String>,
    /// With TLS: a file with the certificates to trust, in PEM. Unset: those that the machine trusts.
    pub authority: Option<PathBuf>,
    /// Keys in Redis start with this; two installations on one server need different ones.
    pub prefix: String,
}

impl Default for QueueSection {
    fn default() -> Self {
        Self { url: None, authority: None, prefix: "tidemill".to_owned() }
    }
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LimitSection;

/// Where the gateway listens, and how much it takes at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSection {
    /// Address and port. Others than this machine's own need keys.
    pub listen: String,
    /// The largest request in bytes.
    pub max_request: u64,
    /// The largest answer in bytes, whole or in pieces.
    pub max_answer: u64,
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// Threads that serve. Unset: one per processor.
    pub threads: Option<usize>,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8452".to_owned(),
            max_request: 16 << 20,
            max_answer: 8 << 20,
            connections: 4_096,
            threads: None,
        }
    }
}

/// A key of the gateway. Only its hash is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeySection {
    /// `blake3:` and 64 hexadecimal digits.
    pub hash: String,
    /// The customer it belongs to.
    pub tenant: String,
    /// The user it belongs to. Unset: the caller may name one with `x-tidemill-user`.
    pub user: Option<String>,
    /// The deployments and routes it may ask for. Empty: all.
    pub models: Vec<String>,
    /// Its own limits, in place of those of every key.
    pub limits: Option<Vec<LimitSection>>,
}

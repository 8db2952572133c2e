//! Tokens and money of a call, and where the record of them goes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_dag::time::Timestamp;

use crate::caller::Caller;

/// Tokens as a provider counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the request, cached ones included.
    pub input: u64,
    /// Of the answer, hidden reasoning included.
    pub output: u64,
    /// Of `input`: read from the provider's own prompt cache.
    pub cached: u64,
    /// Of `input`: written to the provider's own prompt cache.
    pub cache_written: u64,
    /// Of `output`: reasoning that is not shown.
    pub reasoning: u64,
}

impl Usage {
    /// All tokens.
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// Whether the cache had a part in an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// It was not asked: no namespace, or nothing that may be kept.
    #[default]
    Off,
    /// It had nothing.
    Miss,
    /// The same request was answered before.
    Exact,
    /// A request of the same meaning was answered before.
    Semantic,
    /// An old answer went to the model as an example.
    Example,
}

impl CacheState {
    /// As headers and records have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Miss => "miss",
            Self::Exact => "exact",
            Self::Semantic => "semantic",
            Self::Example => "example",
        }
    }
}

/// What one call took. It holds names and numbers, never what was said.
#[derive(Debug, Clone, Serialize)]
pub struct UsageRecord {
    /// The call.
    pub call: Arc<str>,
    /// When it came.
    pub at: Timestamp,
    /// Who asked.
    pub caller: Caller,
    /// The model as it was asked for.
    pub asked: Arc<str>,
    /// The deployment that answered; empty if none did.
    pub deployment: Arc<str>,
    /// Its provider.
    pub provider: Arc<str>,
    /// The model that answered.
    pub model: Arc<str>,
    /// How often a provider was called.
    pub attempts: u32,
    /// Whether the cache had a part.
    pub cache: CacheState,
    /// Tokens of all attempts that are charged.
    pub usage: Usage,
    /// Millionths of the currency of the price table.
    pub micros: u64,
    /// From the request to the end of the answer.
    pub took: Duration,
    /// Of it, in the gateway itself.
    pub overhead: Duration,
    /// From the request to the first piece of a stream.
    pub first_piece: Option<Duration>,
    /// The code of the error, if it failed.
    pub error: Option<&'static str>,
}

/// Where records of use go. It is called on the path of the answer: hand the record on and return.
pub trait UsageSink: Send + Sync + 'static {
    /// One call ended.
    fn record(&self, record: UsageRecord);
}

//! What calls of models took: a record each, and sums over them.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// A call of a model that ended. It holds names and numbers, never what was said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Row)]
pub struct UseRow {
    /// The call.
    pub call_id: String,
    /// When it came; microseconds since 1970.
    pub at: i64,
    /// The customer.
    pub tenant: String,
    /// The name of the key; empty without keys.
    pub key_name: String,
    /// The person or program, if it was told.
    pub user_name: String,
    /// The pipeline that asked, if one did.
    pub pipeline: String,
    /// The run that asked, if one did.
    pub run_id: String,
    /// The class of the task, if it was told.
    pub task: String,
    /// The model as it was asked for.
    pub asked: String,
    /// The deployment that answered; empty if none did.
    pub deployment: String,
    /// Its provider.
    pub provider: String,
    /// The model that answered.
    pub model: String,
    /// How often a provider was called.
    pub attempts: u32,
    /// Whether the cache had a part: off, miss, exact, semantic, example.
    pub cache: String,
    /// Tokens of the request.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Of the request's: read from the provider's own cache.
    pub cached: u64,
    /// Of the request's: written to the provider's own cache.
    pub cache_written: u64,
    /// Of the answer's: reasoning that is not shown.
    pub reasoning: u64,
    /// The cost, in millionths of the currency of the price table.
    pub micros: u64,
    /// From the request to the end of the answer, in microseconds.
    pub took_us: u64,
    /// Of it, in the gateway itself.
    pub overhead_us: u64,
    /// To the first piece of a stream; 0 where the answer came whole.
    pub first_us: u64,
    /// The code of the error; empty without one.
    pub error: String,
}

/// What the calls of one tenant to one model took together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Row)]
pub struct UseStats {
    /// The customer.
    pub tenant: String,
    /// The model that answered; of calls that none answered, the one that was asked for.
    pub model: String,
    /// Calls.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that the cache answered.
    pub from_cache: u64,
    /// Tokens of requests.
    pub input: u64,
    /// Tokens of answers.
    pub output: u64,
    /// The cost, in millionths of the currency of the price table.
    pub micros: u64,
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Span;

use super::Money;
use crate::secret::Place;

/// A customer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSection {
    /// What the customer pays for. Unset: `default`.
    pub tier: Option<String>,
    /// The providers that may see the customer's data. Unset: all.
    pub providers: Option<Vec<String>>,
}

/// Limits of a whole tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TierSection {
    /// All of them hold.
    pub limits: Vec<LimitSection>,
}

/// Limits of each user, key, pipeline and run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// Of each user of a tenant.
    pub user: Vec<LimitSection>,
    /// Of each key.
    pub key: Vec<LimitSection>,
    /// Of each pipeline.
    pub pipeline: Vec<LimitSection>,
    /// Of each run.
    pub run: Vec<LimitSection>,
}

/// At most so much in any stretch of time of one length, as `{per: 1m, requests: 60, tokens: 100000}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSection {
    /// The length. Unset: from the first call to the last.
    pub per: Option<Span>,
    /// How many requests.
    pub requests: Option<u64>,
    /// How many tokens, of requests and answers together.
    pub tokens: Option<u64>,
    /// How much money, in the currency of the price table.
    pub money: Option<Money>,
}

/// Where spending is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerSection {
    /// The address of Redis, as `redis://127.0.0.1:6379` or `${env:REDIS_URL}`: gateways that name the same one share
    /// their limits. Unset: in the memory of this process.
    pub redis: Option<Place>,
    /// Comes before every key in Redis.
    pub prefix: String,
    /// Tokens of an answer where neither the request nor the deployment sets a most; passed on to the provider.
    pub max_tokens: u32,
    /// What one picture may take in tokens.
    pub image_tokens: u32,
    /// Counts prompts with the tokenizer of the model before it reserves, where the tokenizer is known (OpenAI's models). It
    /// takes 25 to 46 MB of memory for each tokenizer in use. Off: prompts reserve a token for each byte, which is never too
    /// little, and up to four times too much until the answer is there.
    pub exact_tokens: bool,
}

impl Default for LedgerSection {
    fn default() -> Self {
        Self {
            redis: None,
            prefix: "tidemill:gateway".to_owned(),
            max_tokens: 4_096,
            image_tokens: 4_096,
            exact_tokens: false,
        }
    }
}

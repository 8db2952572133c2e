use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Money;
use crate::secret::Place;

/// Which protocol a provider speaks, and its habits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Qwen, through DashScope's compatible mode.
    Qwen,
    /// DeepSeek.
    Deepseek,
    /// Azure OpenAI.
    Azure,
    /// Google Gemini.
    Gemini,
    /// Any server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama.
    #[default]
    Compatible,
}

impl ProviderKind {
    /// As the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Qwen => "qwen",
            Self::Deepseek => "deepseek",
            Self::Azure => "azure",
            Self::Gemini => "gemini",
            Self::Compatible => "compatible",
        }
    }
}

/// Who runs models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSection {
    /// openai, anthropic, qwen, deepseek, azure, gemini or compatible.
    pub kind: ProviderKind,
    /// Where it is. Unset: the provider's public address; `azure` and `compatible` need one.
    pub url: Option<String>,
    /// Its keys; calls are spread over them by weight, and one that is refused rests. Empty: none is sent.
    pub keys: Vec<ProviderKey>,
    /// Azure's `api-version`, or Anthropic's `anthropic-version`. Unset: the one this gateway was tested with.
    pub version: Option<String>,
    /// Headers that go with every call, such as `OpenAI-Organization`.
    pub headers: BTreeMap<String, Place>,
}

/// A key of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// Its place, as `${env:OPENAI_API_KEY}`.
    pub key: Place,
    /// Its share of the calls.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeploymentSection {
    /// The provider's name.
    pub provider: String,
    /// The model as the provider names it; for `azure` the deployment.
    pub model: String,
    /// The window in tokens.
    pub context: u64,
    /// The most tokens of an answer. Unset: `ledger.max_tokens`.
    pub max_output: Option<u32>,
    /// Calls at the same time; more wait.
    pub concurrency: usize,
    /// How many wait before others are turned away.
    pub queue: usize,
    /// Whether it makes vectors of texts and no answers.
    pub embeds: bool,
    /// What it is good at, as `[sql, german]`; rules ask for it with `tagged`.
    pub tags: Vec<String>,
}

impl Default for DeploymentSection {
    fn default() -> Self {
        Self {
            provider: String::new(),
            model: String::new(),
            context: 128_000,
            max_output: None,
            concurrency: 256,
            queue: 1_024,
            embeds: false,
            tags: Vec::new(),
        }
    }
}

/// What a million tokens cost, from one day on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSection {
    /// The provider's name. Unset: any.
    #[serde(default)]
    pub provider: Option<String>,
    /// The model as the provider names it.
    pub model: String,
    /// The first day, as 2026-01-31, in UTC. Unset: since ever.
    #[serde(default)]
    pub from: Option<String>,
    /// A million tokens of requests.
    pub input: Money,
    /// A million tokens of answers.
    #[serde(default)]
    pub output: Money,
    /// A million tokens of requests that the provider had in its cache. Unset: as `input`.
    #[serde(default)]
    pub cached: Option<Money>,
    /// A million tokens of requests that the provider wrote to its cache. Unset: as `input`.
    #[serde(default)]
    pub cache_written: Option<Money>,
}

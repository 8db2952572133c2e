use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Span;

/// A name that stands for a choice of deployments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteSection {
    /// The first rule whose conditions all hold chooses. Where none does, `use` of the route stays.
    pub rules: Vec<RuleSection>,
    /// Deployments that share the calls.
    #[serde(rename = "use")]
    pub shares: Vec<Share>,
    /// Deployments that are tried in this order after those.
    pub fallbacks: Vec<String>,
    /// How deployments that share are ordered.
    pub order: Order,
    /// A second deployment is asked too when the first has not begun to answer after this time; the first to answer
    /// wins. Both may cost. Unset: never.
    pub hedge_after: Option<Span>,
}

/// One rule of a route.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleSection {
    /// Its name, for explanations.
    pub name: String,
    /// When it holds.
    pub when: WhenSection,
    /// Deployments that share the calls then.
    #[serde(rename = "use")]
    pub shares: Vec<Share>,
    /// In place of `use`: whichever deployments have all of these tags share the calls.
    pub tagged: Vec<String>,
}

/// A deployment's share of calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Which one.
    pub deployment: String,
    /// Its share; 0: only when the others are not available.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

/// How deployments that share calls are ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// By chance, by weight.
    #[default]
    Weighted,
    /// The cheapest for this request first.
    Cheapest,
}

/// Conditions on a request; those that are set must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WhenSection {
    /// The caller's `x-tidemill-task` is one of these.
    pub task: Vec<String>,
    /// The prompt has at least so many tokens, as estimated.
    pub min_tokens: Option<u64>,
    /// The prompt has at most so many tokens, as estimated.
    pub max_tokens: Option<u64>,
    /// The conversation has at least so many turns.
    pub min_turns: Option<usize>,
    /// There is program code in the last question.
    pub code: Option<bool>,
    /// There is SQL in the last question.
    pub sql: Option<bool>,
    /// Tools are offered.
    pub tools: Option<bool>,
    /// JSON is asked for.
    pub json: Option<bool>,
    /// There are pictures.
    pub images: Option<bool>,
    /// The last question is in one of these scripts: latin, cyrillic, han, kana, hangul, arabic, greek, hebrew,
    /// devanagari, thai.
    pub scripts: Vec<String>,
    /// One of these is in the last question, whatever the case.
    pub words: Vec<String>,
    /// The caller's tier is one of these.
    pub tiers: Vec<String>,
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Span;

/// How long anything may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSection {
    /// To connect to a provider.
    pub connect: Span,
    /// Until a provider begins to answer.
    pub first: Span,
    /// Between two pieces of an answer; within this time at least `slowest` bytes must come.
    pub idle: Span,
    /// Bytes within `idle`.
    pub slowest: u64,
    /// A whole call with all attempts. A caller may ask for less with `x-tidemill-timeout-ms`.
    pub total: Span,
}

impl Default for TimeoutSection {
    fn default() -> Self {
        Self {
            connect: Span::seconds(5),
            first: Span::seconds(120),
            idle: Span::seconds(30),
            slowest: 64,
            total: Span::seconds(600),
        }
    }
}

/// What happens after a failure that another try may mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySection {
    /// Calls of providers for one request, the first included.
    pub attempts: u32,
    /// The longest wait before the first further try; it doubles each time and the true wait is drawn below it.
    pub base: Span,
    /// The longest wait. A provider that asks for more is not waited for.
    pub most: Span,
}

impl Default for RetrySection {
    fn default() -> Self {
        Self { attempts: 3, base: Span(std::time::Duration::from_millis(200)), most: Span::seconds(5) }
    }
}

/// When a deployment is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSection {
    /// After so many failures in a row.
    pub failures: u32,
    /// The first rest; it doubles with each failed probe.
    pub rest: Span,
    /// The longest rest.
    pub most: Span,
}

impl Default for BreakerSection {
    fn default() -> Self {
        Self { failures: 5, rest: Span::seconds(5), most: Span::seconds(120) }
    }
}

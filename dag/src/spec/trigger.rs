//! What starts a run by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// One trigger; exactly one of the forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Trigger {
    /// By the clock.
    Cron(CronTrigger),
    /// By an HTTP call from outside.
    Webhook(WebhookTrigger),
    /// By fresh data.
    Dataset(DatasetTrigger),
}

/// A cron schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CronTrigger {
    /// Five fields (minute hour day month weekday, 0 or 7 is Sunday), or six with seconds first.
    pub cron: String,
    /// IANA time zone; UTC if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What happens with moments that passed while nothing watched.
    #[serde(default)]
    pub catch_up: CatchUp,
}

/// What happens with schedule moments that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// One run for every missed moment, oldest first.
    All,
    /// One run, for the last missed moment.
    #[default]
    Latest,
    /// None.
    None,
    /// One run for every missed moment not older than this.
    Window(Span),
}

/// An HTTP call from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookTrigger {
    /// How callers are recognised.
    pub webhook: Webhook,
}

/// How callers of a webhook are recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Signature scheme: `github`, `stripe`, `slack` or `generic`.
    pub preset: String,
    /// Where the shared secret is, as in `${secret:orders_hook}`.
    pub secret: String,
}

/// Fresh data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetTrigger {
    /// `connection.table`.
    pub dataset: String,
}

//! What starts a run by itself.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Span;

/// One trigger; exactly one of the forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Trigger {
    /// By the clock.
    Cron(CronTrigger),
    /// By an HTTP call from outside.
    Webhook(Box<WebhookTrigger>),
    /// By fresh data.
    Dataset(DatasetTrigger),
}

impl Trigger {
    /// The name it was given.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Cron(cron) => cron.name.as_deref(),
            Self::Webhook(webhook) => webhook.name.as_deref(),
            Self::Dataset(dataset) => dataset.name.as_deref(),
        }
    }
}

/// The trigger that `text` means: by its name, or else by its place in the list, from 0.
pub fn trigger_called<'t>(triggers: &'t [Trigger], text: &str) -> Option<(usize, &'t Trigger)> {
    let by_name = triggers.iter().position(|trigger| trigger.name() == Some(text));
    let by_place = || text.parse::<usize>().ok().filter(|place| place.to_string() == text);
    let place = by_name.or_else(by_place)?;
    triggers.get(place).map(|trigger| (place, trigger))
}

/// What people and addresses call a trigger: its name, or else its place in the list.
pub fn called(place: usize, trigger: &Trigger) -> String {
    trigger.name().map_or_else(|| place.to_string(), str::to_owned)
}

/// A cron schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CronTrigger {
    /// What it is called; without a name, its place in the list stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Five fields (minute hour day month weekday, 0 or 7 is Sunday), or six with seconds first.
    pub cron: String,
    /// IANA time zone; UTC if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What happens with moments that passed while nothing watched.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Each moment fires up to so much later, by a time that is drawn from pipeline and moment and is always the same: many
    /// pipelines of the same moment do not all begin at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// Days in the time zone on which it does not fire: a list, or the name of a calendar of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<Dates>,
    /// What happens to a moment on an excepted day.
    #[serde(default, skip_serializing_if = "OnExcept::is_skip")]
    pub on_except: OnExcept,
    /// It fires on these days only: a list, or the name of a calendar of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Dates>,
}

/// Days, as `2026-12-25`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dates {
    /// These.
    List(Vec<String>),
    /// Those of a calendar, by the name of its file in `calendars/`.
    Named(String),
    /// Those that a calendar had when the definition was read.
    Filled(FilledDates),
}

/// The days of a calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilledDates {
    /// Its name.
    pub calendar: String,
    /// Its days.
    pub dates: Vec<String>,
}

impl Dates {
    /// The days, as far as they are known.
    pub fn list(&self) -> &[String] {
        match self {
            Self::List(list) => list,
            Self::Named(_) => &[],
            Self::Filled(filled) => &filled.dates,
        }
    }
}

/// What happens to a moment on an excepted day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExcept {
    /// It does not fire.
    #[default]
    Skip,
    /// It fires at the same time of the next day from Monday to Friday that is not excepted.
    NextBusinessDay,
}

impl OnExcept {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_skip(&self) -> bool {
        *self == Self::Skip
    }
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

/// An HTTP call from outside, to `POST /hooks/PIPELINE/TRIGGER`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookTrigger {
    /// What it is called in its address; without a name, its place in the list, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How callers are recognised, and what becomes of what they send.
    pub webhook: Webhook,
}

/// How callers of a webhook are recognised, and what becomes of what they send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The signature scheme.
    pub preset: Preset,
    /// Where the shared secret is, as in `${env:ORDERS_HOOK}`; a list while it is being changed: any of them will do.
    pub secret: Secrets,
    /// For `generic`: where the signature stands and how it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// For `generic`: the header with the time of sending. What is signed is then `TIME.BODY`, else the body alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Where a time of sending is signed: a delivery that is further from now is refused (5m if unset).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Span>,
    /// Only deliveries for which this is true start a run; it sees `payload` and `headers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Values of parameters: a JSON pointer into the payload, as in `/order/id`, or a template over `payload` and `headers`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, Value>,
    /// What two deliveries of the same event have in common. If unset: the sender's own id of the event where the preset has
    /// one, else the body, for 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<DeliveryKey>,
    /// A longer body is refused (1000000 if unset).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u32>,
}

/// Signature schemes. All are HMAC with SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// `X-Hub-Signature-256` over the body; the event is named by `X-GitHub-Delivery`.
    Github,
    /// `Stripe-Signature` over time and body; the event is named by `id` in the payload.
    Stripe,
    /// `X-Slack-Signature` over version, time and body; the event is named by `event_id` in the payload.
    Slack,
    /// As `signature` and `timestamp` say.
    Generic,
}

/// One place of a secret, or several while it is being changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Secrets {
    /// The only one.
    One(String),
    /// Any of them.
    Many(Vec<String>),
}

impl Secrets {
    /// All of them.
    pub fn list(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Where a signature stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The header.
    pub header: String,
    /// How the bytes are written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands before them, as in `sha256=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Two digits from `0-9a-f` for each.
    #[default]
    Hex,
    /// RFC 4648, with `+` and `/` or with `-` and `_`; padding may be left out.
    Base64,
}

/// What two deliveries of the same event have in common; exactly one of the forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKey {
    /// A header.
    Header(String),
    /// A value in the payload, by its JSON pointer.
    Payload(String),
    /// The whole body, for as long as this.
    Body(Span),
}

/// Fresh data: a successful load into a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetTrigger {
    /// What it is called; without a name, its place in the list stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `connection.table`, where `*` stands for any text; or several of them under `any` or `all`.
    pub dataset: Watched,
    /// Wait until nothing more was loaded for so long; what was loaded meanwhile makes one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Span>,
    /// With `debounce`: wait no longer than this after the first load (ten times `debounce` if unset).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<Span>,
}

/// Which tables a trigger watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Watched {
    /// This one.
    One(String),
    /// Each of several by itself.
    Any(AnyOf),
    /// Several together.
    All(AllOf),
}

/// A load into any of these will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnyOf {
    /// Tables, as `connection.table`; `*` stands for any text.
    pub any: Vec<String>,
}

/// Each of these must have been loaded since the last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllOf {
    /// Tables, as `connection.table`; `*` stands for any text.
    pub all: Vec<String>,
}

impl Watched {
    /// The patterns.
    pub fn patterns(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Any(AnyOf { any }) => any,
            Self::All(AllOf { all }) => all,
        }
    }
}

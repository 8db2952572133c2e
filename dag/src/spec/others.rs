//! Task kinds that look at the world outside: sensors, runs of other pipelines, messages to people.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Wait, without holding a slot. Exactly one of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// This long from when the task becomes ready.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// *Template.* Until this moment (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// *Template.* Until this file is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// With `file`: until it has not changed for this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Span>,
    /// *Template.* Until the first column of the first row that this query gives is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Until a server answers as wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<WaitHttp>,
    /// Until a run of another pipeline has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<WaitRun>,
    /// How long from one look to the next.
    #[serde(default = "default_poll")]
    pub poll: Span,
    /// Each look comes later than the one before, until they are this far apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_poll: Option<Span>,
    /// What becomes of the task when its `timeout` passes while it waits.
    #[serde(default, skip_serializing_if = "is_fail")]
    pub on_timeout: OnTimeout,
}

fn is_fail(value: &OnTimeout) -> bool {
    *value == OnTimeout::Fail
}

/// What becomes of a task that waited in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// It fails.
    #[default]
    Fail,
    /// It is skipped.
    Skip,
}

/// An answer of a server that is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitHttp {
    /// *Template.* Where to ask.
    pub url: String,
    /// *Templates.* Headers; secrets as `${env:NAME}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// Status codes that will do; 200 to 299 if unset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_status: Vec<u16>,
    /// *Templates.* What must stand in a JSON answer, by JSON pointer, as in `{/state: done}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub json: IndexMap<String, serde_json::Value>,
}

/// A run of another pipeline that is waited for: the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitRun {
    /// The pipeline.
    pub pipeline: String,
    /// Its newest run must not be older than this when the task becomes ready; any will do if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// In which states it may end.
    #[serde(default = "succeeded", skip_serializing_if = "is_succeeded")]
    pub states: Vec<EndState>,
}

fn succeeded() -> Vec<EndState> {
    vec![EndState::Succeeded]
}

fn is_succeeded(states: &[EndState]) -> bool {
    states == [EndState::Succeeded]
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum EndState {
    Succeeded,
    Failed,
    Cancelled,
}

/// Run another pipeline: its active version, once per run of this one (and per item).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunPipeline {
    /// The other pipeline.
    pub pipeline: String,
    /// *Templates.* Its parameters.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, serde_json::Value>,
    /// Whether the task ends only when that run has ended, and as it ended. No slot is held meanwhile.
    #[serde(default = "yes")]
    pub wait: bool,
}

const fn yes() -> bool {
    true
}

/// Tell somebody: a signed JSON message to an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// *Template.* Where to: an http(s) address; secrets as `${env:NAME}`.
    pub url: String,
    /// *Template.* What to say; a sentence about the run if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A secret to sign with, as `${env:NAME}`: `Tidemill-Signature: t=SECONDS,v1=HEX` is the HMAC-SHA256 of `SECONDS.BODY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// *Templates.* Headers; secrets as `${env:NAME}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
}

fn default_poll() -> Span {
    Span::seconds(5)
}

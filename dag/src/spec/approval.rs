//! `approval`: wait for people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{state::named, time::Span};

/// Wait for people to say yes; holds no slot meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// *Template.* What is asked.
    pub message: String,
    /// Tasks whose outputs are shown with the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<String>,
    /// Who may answer: names, and roles as `role:finance`. Anybody if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// How many different people must approve; one who rejects is enough to refuse.
    #[serde(default = "one")]
    pub required: u32,
    /// Whether the one who started the run must not answer.
    #[serde(default)]
    pub exclude_starter: bool,
    /// How long the question stays open.
    #[serde(default = "week")]
    pub expires: Span,
    /// What happens when nobody answered in time.
    #[serde(default)]
    pub on_expiry: OnExpiry,
}

const fn one() -> u32 {
    1
}

/// How long questions stay open by default.
pub(crate) fn week() -> Span {
    Span::seconds(7 * 86_400)
}

/// What becomes of an approval that too few people gave in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// The task fails.
    #[default]
    Fail,
    /// The task is skipped.
    Skip,
    /// Silence is consent.
    Approve,
}

named!(OnExpiry { Fail = "fail", Skip = "skip", Approve = "approve" });

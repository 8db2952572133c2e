//! What the planner hands back.

use serde::Serialize;
use tidemill_dag::time::Timestamp;

/// What the planner is told beside the request and the catalog.
#[derive(Debug, Clone)]
pub struct Options {
    /// The connection that gets the result when the request names none.
    pub default_target: String,
    /// The present moment, for "last 7 days" in a request without a schedule; SQL's `now()` if unset.
    pub now: Option<Timestamp>,
}

impl Default for Options {
    fn default() -> Self {
        Self { default_target: "out".to_owned(), now: None }
    }
}

/// A definition, or the reasons why there is none. Never something in between.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Every word was understood.
    Proposed(Box<Proposal>),
    /// Something was not.
    Refused(Refusal),
}

/// A definition and how it came about.
#[derive(Debug, Clone, Serialize)]
pub struct Proposal {
    /// The pipeline's name.
    pub pipeline: String,
    /// The definition, as YAML.
    pub definition: String,
    /// Which words became what, in the order of the request.
    pub explanation: Vec<Meaning>,
    /// What the request left open and how it was settled.
    pub assumptions: Vec<String>,
    /// Where the definition comes from.
    pub provenance: Provenance,
}

/// Some words of the request and what they became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// The words, as written.
    pub words: String,
    /// What they became.
    pub meaning: String,
}

/// Why there is no definition.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// Everything that stood in the way.
    pub problems: Vec<Problem>,
    /// A request that would be understood and comes nearest to this one.
    pub nearest: Option<String>,
    /// What was asked, of whom.
    pub provenance: Provenance,
}

/// One thing that stood in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Public code, as in `TM1001`.
    pub code: &'static str,
    /// The words of the request, exactly; empty when it is the request as a whole.
    pub words: String,
    /// What is wrong with them, in one sentence.
    pub why: String,
    /// What could have been meant.
    pub choices: Vec<String>,
}

/// Where an answer comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The planner and its version.
    pub planner: String,
    /// The request, as written.
    pub request: String,
    /// Hash of the catalog it was read against.
    pub catalog: String,
}

/// The public codes of this room.
pub use tidemill_dag::codes::tm10 as codes;

impl Problem {
    /// Words that were not understood.
    pub(crate) fn new(code: &'static str, words: impl Into<String>, why: impl Into<String>) -> Self {
        Self { code, words: words.into(), why: why.into(), choices: Vec::new() }
    }

    /// The same with what could have been meant.
    #[must_use]
    pub(crate) fn choices(mut self, choices: impl IntoIterator<Item = String>) -> Self {
        self.choices.extend(choices);
        self
    }
}

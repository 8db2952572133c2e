//! The definition language, version 1, as types. How text becomes these types (with places for every
//! error) is the business of the reading modules beside this one.

mod approval;
mod kinds;
mod others;
mod trigger;

pub(crate) use approval::week;
pub use approval::*;
pub use kinds::*;
pub use others::*;
pub use trigger::*;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// A whole pipeline definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The pipeline's name: lower-case letters, digits and `_`, starting with a letter.
    pub pipeline: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What starts it; none means by hand only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// Values a run may be started with.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, Param>,
    /// Constants for templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub vars: IndexMap<String, serde_json::Value>,
    /// How many runs at once, and what happens to the next.
    #[serde(default, skip_serializing_if = "is_default")]
    pub concurrency: Concurrency,
    /// Settings for every task that does not say otherwise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub defaults: Defaults,
    /// A run that takes longer is stopped, counted from when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// A run that takes longer is marked as late; nothing is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_within: Option<Span>,
    /// *Templates.* What a task of kind `run` in another pipeline gets as its result.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub outputs: IndexMap<String, serde_json::Value>,
    /// Who is told when a run succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_success: Vec<Notify>,
    /// Who is told when a task of a run failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Notify>,
    /// The tasks by name, in the order of the file.
    pub tasks: IndexMap<String, Task>,
}

/// A run parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// The value when none is given; a parameter without one must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Types a parameter may have. Dates are ISO 8601 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ParamType {
    String,
    Integer,
    Number,
    Boolean,
    Date,
    Timestamp,
}

/// Runs of one pipeline at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Concurrency {
    /// At most this many runs at once.
    pub max_runs: u32,
    /// What happens to a run that finds no place.
    pub on_overlap: OnOverlap,
    /// At most this many tasks of all its runs at once; no limit if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tasks: Option<u32>,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { max_runs: 16, on_overlap: OnOverlap::Queue, max_tasks: None }
    }
}

/// What happens to a run that finds `max_runs` others running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnOverlap {
    /// It waits, oldest first.
    Queue,
    /// It is cancelled at once.
    Skip,
    /// The oldest running one is cancelled.
    CancelRunning,
    /// It runs all the same.
    Allow,
}

/// Settings that tasks inherit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// How often a failed task is tried again (0 if unset).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long to wait between tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// An attempt that takes longer is stopped and counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// Exponential backoff with jitter: the n-th wait is drawn from the upper half of
/// `min(max, initial · factor^(n-1))`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// The first wait.
    pub initial: Span,
    /// No wait is longer.
    pub max: Span,
    /// What each wait is multiplied by.
    pub factor: f64,
}

impl Eq for Backoff {}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Span::seconds(2), max: Span::seconds(300), factor: 2.0 }
    }
}

/// One task: what all kinds share, and exactly one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// What it does.
    #[serde(flatten)]
    pub kind: TaskKind,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tasks that must finish first, beyond those derived from SQL, inputs and templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// A template that must render to `true`, or the task is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Which outcomes of the tasks before it let it run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub run_if: RunIf,
    /// Run once per item; templates name the item `item` and its place in the list `index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
    /// At most this many items of `for_each` at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// How often a failed attempt is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long to wait between tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// An attempt that takes longer is stopped and counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The pool whose slots it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How many slots of the pool it takes (1 if unset).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_slots: Option<u32>,
    /// Its place among ready tasks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// The worker queue it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Whether its rows are written between tasks; only for `extract` and `sql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub materialize: Option<Materialize>,
}

impl Task {
    /// A task that says only what it does.
    pub fn of(kind: TaskKind) -> Self {
        Self {
            kind,
            description: None,
            needs: Vec::new(),
            when: None,
            run_if: RunIf::default(),
            for_each: None,
            max_parallel: None,
            retries: None,
            backoff: None,
            timeout: None,
            pool: None,
            pool_slots: None,
            priority: Priority::default(),
            queue: None,
            materialize: None,
        }
    }
}

/// What a task runs once for each of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ForEach {
    /// These items; texts in them are *templates*.
    List(Vec<serde_json::Value>),
    /// *Template.* A single `{{ … }}` that gives a list.
    Template(String),
    /// The rows of another task, each as an object of its columns.
    Rows(RowsOf),
}

/// The rows of another task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsOf {
    /// The task whose rows are taken.
    pub rows: String,
}

/// Which outcomes of the tasks before it let a task run. `skipped` counts as neither success nor failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunIf {
    /// Every one succeeded.
    #[default]
    AllSucceeded,
    /// Every one finished, however.
    AllDone,
    /// All finished and at least one failed.
    AnyFailed,
    /// All finished and at least one succeeded.
    AnySucceeded,
    /// All finished and none failed; skipped ones do not matter.
    NoneFailed,
}

/// Place among ready tasks; strict: no `normal` task starts while a `high` one waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

/// Whether rows are written between two tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Materialize {
    /// Not: the task is inlined into its one reader.
    View,
    /// As a Parquet data set.
    Dataset,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

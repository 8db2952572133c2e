//! Templates: minijinja with strict names and a budget. In SQL every value becomes a literal by itself.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    id::RunId,
    spec::{ParamType, Pipeline},
    state::TaskState,
    time::Timestamp,
};

/// What templates can name.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Context {
    /// `params.x`: what the run was started with, defaults filled in.
    pub params: Value,
    /// The parameters' types, so that dates become SQL dates.
    #[serde(skip)]
    pub types: BTreeMap<String, ParamType>,
    /// `interval.start` and `interval.end`: the stretch of time the run is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// `run.id`, `run.pipeline`, `run.started`.
    pub run: RunFacts,
    /// `trigger`: what the trigger brought, as a webhook's body.
    pub trigger: Value,
    /// `tasks.x.state`, `tasks.x.result`, `tasks.x.rows`: the tasks before this one.
    pub tasks: BTreeMap<String, TaskFacts>,
    /// `vars.x`: the definition's constants.
    pub vars: Value,
}

/// A stretch of time: from `start`, up to but without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Interval {
    /// The first moment in it.
    pub start: Timestamp,
    /// The first moment behind it.
    pub end: Timestamp,
}

/// What templates see of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RunFacts {
    /// The run; none in a dry run.
    pub id: Option<RunId>,
    /// The pipeline's name.
    pub pipeline: String,
    /// When it started.
    pub started: Timestamp,
}

/// What templates see of a task that came before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskFacts {
    /// How it ended.
    pub state: TaskState,
    /// What it returned: a Python value, an HTTP response, a program's output.
    pub result: Value,
    /// How many rows it wrote.
    pub rows: Option<u64>,
}

impl Context {
    /// The context of a run before any task has finished.
    pub fn new(pipeline: &Pipeline, params: Map<String, Value>, run: RunFacts) -> Self {
        Self {
            params: Value::Object(params),
            types: pipeline.params.iter().map(|(name, param)| (name.clone(), param.kind)).collect(),
            run,
            vars: Value::Object(pipeline.vars.clone().into_iter().collect()),
            ..Self::default()
        }
    }
}

/// Why a template gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Public code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where in the template, in bytes, where that is known.
    pub offset: Option<usize>,
}

/// Renders SQL: every value becomes a SQL literal; `| ident` makes a quoted identifier of one.
///
/// # Errors
/// A template that is not understood, names something that is not there, or takes too long.
pub fn render_sql(template: &str, context: &Context) -> Result<String, TemplateError> {
    let _ = (template, context);
    unimplemented!()
}

/// Renders plain text.
///
/// # Errors
/// As [`render_sql`].
pub fn render_text(template: &str, context: &Context) -> Result<String, TemplateError> {
    let _ = (template, context);
    unimplemented!()
}

/// Renders a condition: `true` or `false`, bare or as `{{ … }}`.
///
/// # Errors
/// As [`render_sql`], and anything that is neither true nor false.
pub fn render_bool(template: &str, context: &Context) -> Result<bool, TemplateError> {
    let _ = (template, context);
    unimplemented!()
}

/// Renders every text inside a JSON value. A text that is nothing but one `{{ … }}` keeps its value's type.
///
/// # Errors
/// As [`render_sql`].
pub fn render_value(value: &Value, context: &Context) -> Result<Value, TemplateError> {
    let _ = (value, context);
    unimplemented!()
}

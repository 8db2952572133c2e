//! Templates: minijinja with strict names and a budget. In SQL every value becomes a literal by itself.

mod environment;
mod literal;
pub(crate) mod names;
mod outline;
pub(crate) mod probe;

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use serde_json::{Map, Value};

use crate::{
    codes::tm03,
    id::RunId,
    spec::{ParamType, Pipeline},
    state::TaskState,
    time::Timestamp,
};

/// What templates can name.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// `params.x`: what the run was started with, defaults filled in.
    pub params: Value,
    /// The parameters' types, so that dates become SQL dates.
    pub types: BTreeMap<String, ParamType>,
    /// `interval.start` and `interval.end`: the stretch of time the run is for.
    pub interval: Option<Interval>,
    /// `run.id`, `run.pipeline`, `run.started`.
    pub run: RunFacts,
    /// `trigger`: what the trigger brought, as a webhook's body.
    pub trigger: Value,
    /// `tasks.x.state`, `tasks.x.result`, `tasks.x.rows`: the tasks before this one.
    pub tasks: BTreeMap<String, TaskFacts>,
    /// `vars.x`: the definition's constants.
    pub vars: Value,
    /// `item` and `index`: what a task with `for_each` runs for, and its place in the list.
    pub item: Option<(u32, Value)>,
    /// Names that only some templates have, as `payload` of a webhook.
    pub extra: BTreeMap<String, Value>,
}

/// A stretch of time: from `start`, up to but without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The first moment in it.
    pub start: Timestamp,
    /// The first moment behind it.
    pub end: Timestamp,
}

/// What templates see of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// The run; none in a dry run.
    pub id: Option<RunId>,
    /// The pipeline's name.
    pub pipeline: String,
    /// When it started.
    pub started: Timestamp,
}

/// What templates see of a task that came before.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
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

    fn values(&self) -> minijinja::Value {
        let params = self.params.as_object().into_iter().flatten();
        let params = minijinja::Value::from_pairs(
            params.map(|(name, value)| (name.clone(), typed_value(value, self.types.get(name).copied()))),
        );
        let run = minijinja::Value::from_pairs([
            ("id", self.run.id.map_or_else(String::new, |id| id.to_string()).into()),
            ("pipeline", self.run.pipeline.as_str().into()),
            ("started", moment(self.run.started)),
        ]);
        let mut all = vec![
            ("params", params),
            ("run", run),
            ("trigger", plain(&self.trigger)),
            ("tasks", plain(&self.tasks)),
            ("vars", plain(&self.vars)),
        ];
        if let Some(Interval { start, end }) = self.interval {
            let interval = minijinja::Value::from_pairs([("start", moment(start)), ("end", moment(end))]);
            all.push(("interval", interval));
        }
        if let Some((index, item)) = &self.item {
            all.extend([("item", plain(item)), ("index", (*index).into())]);
        }
        all.extend(self.extra.iter().map(|(name, value)| (name.as_str(), plain(value))));
        minijinja::Value::from_pairs(all)
    }
}

/// Dates and times are text that only SQL knows from other text.
fn typed_value(value: &Value, kind: Option<ParamType>) -> minijinja::Value {
    match (value, kind) {
        (Value::String(text), Some(ParamType::Date | ParamType::Timestamp))
            if literal::typed_moment(text).is_some() =>
        {
            minijinja::Value::from_safe_string(text.clone())
        }
        _ => plain(value),
    }
}

fn plain<T: serde::Serialize>(value: T) -> minijinja::Value {
    minijinja::value::Serde(value).into()
}

fn moment(at: Timestamp) -> minijinja::Value {
    let utc = at.to_utc();
    let digits = if utc.timestamp_subsec_micros() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    minijinja::Value::from_safe_string(utc.to_rfc3339_opts(digits, true))
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

impl From<literal::Misplaced> for TemplateError {
    fn from(misplaced: literal::Misplaced) -> Self {
        Self {
            code: tm03::QUOTED_VALUE,
            message: misplaced.message.to_owned(),
            help: Some(misplaced.help.to_owned()),
            offset: misplaced.offset,
        }
    }
}

/// Renders SQL: every value becomes a SQL literal; `| ident` makes a quoted identifier of one.
///
/// # Errors
/// A template that is not understood, names something that is not there, or takes too long; a value
/// without a literal, or in a place where no value may stand.
pub fn render_sql(template: &str, context: &Context) -> Result<String, TemplateError> {
    literal::no_reserved(template)?;
    if !outline::is_template(template) {
        return Ok(template.to_owned());
    }
    let rendered = environment::render(&environment::SQL, template, context.values());
    let rendered = rendered.map_err(|error| environment::explain(&error))?;
    literal::settle(&rendered).map_err(TemplateError::from)
}

/// Renders plain text.
///
/// # Errors
/// As [`render_sql`].
pub fn render_text(template: &str, context: &Context) -> Result<String, TemplateError> {
    if !outline::is_template(template) {
        return Ok(template.to_owned());
    }
    environment::render(&environment::TEXT, template, context.values()).map_err(|error| environment::explain(&error))
}

/// Renders a condition: `true` or `false`, bare or as `{{ … }}`.
///
/// # Errors
/// As [`render_sql`], and anything that is neither true nor false.
pub fn render_bool(template: &str, context: &Context) -> Result<bool, TemplateError> {
    let found = match condition(template) {
        Some(expression) => {
            let value = evaluate(expression, context)?;
            if value.kind() == minijinja::value::ValueKind::Bool {
                return Ok(value.is_true());
            }
            value.to_string()
        }
        None => render_text(template, context)?.trim().to_owned(),
    };
    match found.as_str() {
        "true" | "True" => Ok(true),
        "false" | "False" => Ok(false),
        other => Err(TemplateError {
            code: tm03::NOT_BOOLEAN,
            message: format!("the condition gives `{other}`, which is neither true nor false"),
            help: Some("compare it with something: `{{ params.x > 0 }}`".to_owned()),
            offset: None,
        }),
    }
}

/// Renders every text inside a JSON value. A text that is nothing but one `{{ … }}` keeps its value's type.
///
/// # Errors
/// As [`render_sql`].
pub fn render_value(value: &Value, context: &Context) -> Result<Value, TemplateError> {
    match value {
        Value::String(text) => match outline::single_output(text) {
            Some(expression) => {
                let found = evaluate(expression, context)?;
                serde_json::to_value(found).map_err(|error| TemplateError {
                    code: tm03::TEMPLATE_FAILED,
                    message: format!("the value has no JSON form: {error}"),
                    help: None,
                    offset: None,
                })
            }
            None => render_text(text, context).map(Value::String),
        },
        Value::Array(items) => items.iter().map(|item| render_value(item, context)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| Ok((key.clone(), render_value(value, context)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value.clone()),
    }
}

/// Whether a text is nothing but one `{{ … }}`, so that it gives its value and not text.
pub(crate) fn is_single(template: &str) -> bool {
    outline::single_output(template).is_some()
}

/// Whether a condition is about single items of a `for_each`, as opposed to the task as a whole.
pub fn is_about_items(condition: &str) -> bool {
    names::of_item(condition)
}

/// The expression a condition is made of, if it is one: bare, or alone in `{{ … }}`.
pub(crate) fn condition(template: &str) -> Option<&str> {
    if outline::is_template(template) { outline::single_output(template) } else { Some(template) }
}

fn evaluate(expression: &str, context: &Context) -> Result<minijinja::Value, TemplateError> {
    let explain = |error: minijinja::Error| environment::explain(&error);
    let value = environment::expression(&environment::TEXT, expression)
        .map_err(explain)?
        .eval(context.values())
        .map_err(explain)?;
    if value.is_undefined() {
        return Err(TemplateError {
            code: tm03::TEMPLATE_FAILED,
            message: format!("`{expression}` is not there"),
            help: Some("check the name's spelling, or give a fallback: `{{ name | default(0) }}`".to_owned()),
            offset: None,
        });
    }
    Ok(value)
}

#[cfg(test)]
mod tests;

//! What a definition's types cannot say: names, ranges, settings that belong together.

mod kinds;
mod triggers;

pub(crate) use triggers::with_calendars;

use std::collections::HashSet;

use crate::{
    codes::{tm01, tm02, tm03, tm04},
    compile::Known,
    params,
    report::Report,
    secret,
    spec::{Backoff, ForEach, LoadMode, Pipeline, Task, TaskKind, Wait},
    suggest, template,
    time::Span,
};

/// A task tried more often than this is not unlucky.
const MAX_RETRIES: u32 = 100;
const MAX_NAME: usize = 63;

/// Checks everything but references between tasks.
pub(crate) fn pipeline(pipeline: &Pipeline, known: &Known, report: &mut Report) {
    if !pipeline.pipeline.is_empty() {
        name(&pipeline.pipeline, "pipeline", false, report);
    }
    triggers::all(pipeline, known, report);
    parameters(pipeline, report);
    for (key, value) in &pipeline.vars {
        name(key, &format!("vars.{key}"), true, report);
        no_secret(value, &format!("vars.{key}"), report);
    }
    if pipeline.concurrency.max_runs == 0 {
        report
            .error(tm01::OUT_OF_RANGE, "concurrency.max_runs", "with `max_runs: 0` no run would ever start")
            .advise("allow at least 1");
    }
    if pipeline.concurrency.max_tasks == Some(0) {
        report
            .error(tm01::OUT_OF_RANGE, "concurrency.max_tasks", "with `max_tasks: 0` no task would ever start")
            .advise("allow at least 1, or leave it out");
    }
    let defaults = &pipeline.defaults;
    tries("defaults", defaults.retries, defaults.backoff, defaults.timeout, report);
    for (key, task) in &pipeline.tasks {
        self::task(key, task, known, report);
        if let TaskKind::Run(run) = &task.kind
            && run.pipeline == pipeline.pipeline
        {
            let message = format!("`{}` would run itself, again and again", pipeline.pipeline);
            report
                .error(tm04::CYCLE, format!("tasks.{key}.run.pipeline"), message)
                .advise("a pipeline cannot be part of itself; use `for_each` to repeat a task");
        }
    }
    whole_run(pipeline, report);
}

/// What is said about a run as a whole.
fn whole_run(pipeline: &Pipeline, report: &mut Report) {
    for (key, span) in [("timeout", pipeline.timeout), ("expect_within", pipeline.expect_within)] {
        if span == Some(Span::default()) {
            report
                .error(tm01::OUT_OF_RANGE, key, format!("with `{key}: 0s` no run would be in time"))
                .advise(format!("give it some time, or leave `{key}` out"));
        }
    }
    for (name, value) in &pipeline.outputs {
        self::name(name, &format!("outputs.{name}"), true, report);
        no_secret(value, &format!("outputs.{name}"), report);
    }
    for (word, hooks) in [("on_success", &pipeline.on_success), ("on_failure", &pipeline.on_failure)] {
        for (place, notify) in hooks.iter().enumerate() {
            kinds::notify(&format!("{word}[{place}]"), notify, report);
        }
    }
}

/// Names are plain, so that they can stand in SQL, in paths and in URLs without quotes.
fn name(text: &str, path: &str, is_key: bool, report: &mut Report) {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain && text.len() <= MAX_NAME {
        return;
    }
    let message = if plain {
        format!("the name has {} characters; at most {MAX_NAME} are allowed", text.len())
    } else {
        format!("`{text}` is not a plain name")
    };
    let fixed = plain_name(text);
    let finding = if is_key {
        report.error_at_key(tm02::BAD_NAME, path, message)
    } else {
        report.error(tm02::BAD_NAME, path, message)
    };
    let rule = "names are lower-case letters, digits and `_`, and start with a letter";
    finding.advise(if fixed.is_empty() || plain { rule.to_owned() } else { format!("{rule}: `{fixed}`") });
}

/// The plain name nearest to a text.
fn plain_name(text: &str) -> String {
    let mut made = String::new();
    for c in text.trim().chars() {
        match c {
            c if c.is_ascii_uppercase() && made.ends_with(|c: char| c.is_ascii_lowercase()) => {
                made.push('_');
                made.push(c.to_ascii_lowercase());
            }
            c if c.is_ascii_alphanumeric() => made.push(c.to_ascii_lowercase()),
            _ if made.is_empty() || made.ends_with('_') => {}
            _ => made.push('_'),
        }
    }
    made.trim_matches('_').trim_start_matches(|c: char| c.is_ascii_digit() || c == '_').chars().take(MAX_NAME).collect()
}

/// Refuses a feature that has no executor.
fn feature(path: &str, what: &str, instead: &str, report: &mut Report) {
    report.error_at_key(tm01::FEATURE_NOT_BUILT, path, format!("{what} are not available yet")).advise(instead);
}

fn parameters(pipeline: &Pipeline, report: &mut Report) {
    for (key, param) in &pipeline.params {
        let path = format!("params.{key}");
        name(key, &path, true, report);
        let Some(default) = &param.default else { continue };
        let path = format!("{path}.default");
        if let Err(wanted) = params::fit(param.kind, default, false) {
            let message =
                format!("the default of `{key}` is {}, and its type wants {wanted}", params::describe(default));
            report.error(tm01::BAD_DEFAULT, &path, message).advise("change the default or the type");
        }
        no_secret(default, &path, report);
    }
}

/// Secrets must not reach templates, and everything here does.
fn no_secret(value: &serde_json::Value, path: &str, report: &mut Report) {
    match value {
        serde_json::Value::String(text) => plain_text(text, path, report),
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                no_secret(item, &format!("{path}[{index}]"), report);
            }
        }
        serde_json::Value::Object(map) => {
            for (key, item) in map {
                no_secret(item, &format!("{path}.{key}"), report);
            }
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

fn plain_text(text: &str, path: &str, report: &mut Report) {
    if secret::find(text).is_some() {
        report.error(tm03::SECRET_IN_SQL, path, "a secret must not stand here: this value is logged and shown").advise(
            "secrets belong into `headers` of `http`, into `env` of `shell` and `python`, and into connections",
        );
    }
}

/// A text in which secrets may stand, if they are written rightly.
fn secrets(text: &str, path: &str, report: &mut Report) {
    if let Err(error) = secret::split(text) {
        let message = format!("`{}` is not a secret place", error.written);
        report.error_within(tm02::BAD_SECRET, path, text, error.offset, message).advise(error.reason);
    }
}

fn tries(path: &str, retries: Option<u32>, backoff: Option<Backoff>, timeout: Option<Span>, report: &mut Report) {
    if let Some(retries) = retries.filter(|retries| *retries > MAX_RETRIES) {
        let message = format!("{retries} retries are too many; at most {MAX_RETRIES} are allowed");
        report
            .error(tm01::OUT_OF_RANGE, format!("{path}.retries"), message)
            .advise("to wait for something to appear, use a `wait` task");
    }
    if timeout == Some(Span::default()) {
        report
            .error(tm01::OUT_OF_RANGE, format!("{path}.timeout"), "with a timeout of 0 every attempt fails at once")
            .advise("give it some time, or leave `timeout` out");
    }
    let Some(backoff) = backoff else { return };
    if !(1.0..=100.0).contains(&backoff.factor) {
        let message = format!("the factor {} is not between 1 and 100", backoff.factor);
        report.error(tm01::OUT_OF_RANGE, format!("{path}.backoff.factor"), message).advise("2 doubles each wait");
    }
    if backoff.initial > backoff.max {
        let message = format!("the first wait, {}, is longer than the longest, {}", backoff.initial, backoff.max);
        report
            .error(tm01::BAD_RANGE, format!("{path}.backoff"), message)
            .advise("make `max` at least as long as `initial`");
    }
}

fn task(key: &str, task: &Task, known: &Known, report: &mut Report) {
    let path = format!("tasks.{key}");
    name(key, &path, true, report);
    tries(&path, task.retries, task.backoff, task.timeout, report);
    twice(&task.needs, &format!("{path}.needs"), report);
    if let Some(when) = &task.when {
        plain_text(when, &format!("{path}.when"), report);
    }
    if let Some(for_each) = &task.for_each {
        self::for_each(&path, for_each, task, report);
    } else if task.max_parallel.is_some() {
        report
            .error_at_key(
                tm01::MEANINGLESS,
                format!("{path}.max_parallel"),
                "`max_parallel` does nothing without `for_each`",
            )
            .advise("leave it out");
    }
    pool(&path, task, known, report);
    kinds::body(&format!("{path}.{}", task.kind.name()), &task.kind, known, report);
    if matches!(task.kind, TaskKind::Wait(_)) && task.timeout.is_none() {
        unlimited_wait(&path, &task.kind, report);
    }
}

fn for_each(path: &str, for_each: &ForEach, task: &Task, report: &mut Report) {
    let at = format!("{path}.for_each");
    match for_each {
        ForEach::List(items) => {
            for (index, item) in items.iter().enumerate() {
                no_secret(item, &format!("{at}[{index}]"), report);
            }
        }
        ForEach::Template(text) if template::is_single(text) => plain_text(text, &at, report),
        ForEach::Template(text) => {
            let message = format!("`{text}` gives text, and a list is needed");
            report.error(tm01::WRONG_TYPE, &at, message).advise(
                "one `{{ … }}` alone gives a list, as in `{{ tasks.x.result }}`; the rows of a task are `{rows: x}`",
            );
        }
        ForEach::Rows(_) => {}
    }
    if task.max_parallel == Some(0) {
        report
            .error(tm01::OUT_OF_RANGE, format!("{path}.max_parallel"), "with `max_parallel: 0` no item would ever run")
            .advise("allow at least 1");
    }
    if let TaskKind::Load(load) = &task.kind
        && load.mode == LoadMode::Replace
    {
        report
            .error(tm01::MEANINGLESS, &at, "each item would replace what the items before it loaded")
            .advise("write `mode: append` or `mode: merge`, or load the task's collected rows once");
    }
}

/// A pool must be one of the project's, where these are known, and its slots some.
fn pool(path: &str, task: &Task, known: &Known, report: &mut Report) {
    match (&task.pool, task.pool_slots) {
        (Some(_), Some(0)) => {
            report
                .error(tm01::OUT_OF_RANGE, format!("{path}.pool_slots"), "a task that takes no slots needs no pool")
                .advise("take at least 1, or leave `pool` out");
        }
        (None, Some(_)) => {
            report
                .error_at_key(
                    tm01::MEANINGLESS,
                    format!("{path}.pool_slots"),
                    "`pool_slots` does nothing without `pool`",
                )
                .advise("name the `pool`, or leave it out");
        }
        (Some(_), Some(_) | None) | (None, None) => {}
    }
    let (Some(name), Some(pools)) = (&task.pool, &known.pools) else { return };
    let path = format!("{path}.pool");
    match pools.get(name) {
        None => {
            let help = suggest::help(name, pools.keys().map(String::as_str), "pools");
            report.error(tm02::UNKNOWN_POOL, path, format!("there is no pool `{name}`")).advise(help);
        }
        Some(size) if task.pool_slots.unwrap_or(1) > *size => {
            let message = format!("`{name}` has {size} slots, so this would wait for ever");
            report
                .error(tm01::OUT_OF_RANGE, format!("{path}_slots"), message)
                .advise("take fewer, or enlarge the pool");
        }
        Some(_) => {}
    }
}

/// A file that never comes keeps a run open for ever: worth a word.
fn unlimited_wait(path: &str, kind: &TaskKind, report: &mut Report) {
    let TaskKind::Wait(wait) = kind else { return };
    let what = match wait {
        Wait { file: Some(_), .. } => "the file never comes",
        Wait { sql: Some(_), .. } | Wait { http: Some(_), .. } => "the answer never changes",
        Wait { run: Some(_), .. } => "no such run ends",
        _ => return,
    };
    report
        .error_at_key(tm01::MEANINGLESS, format!("{path}.wait"), format!("this waits for ever if {what}"))
        .only_warn()
        .advise("set a `timeout`");
}

/// Refuses names that stand twice in a list.
fn twice(names: &[String], path: &str, report: &mut Report) {
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if !seen.insert(name) {
            report
                .error(tm01::LISTED_TWICE, format!("{path}[{index}]"), format!("`{name}` is listed twice"))
                .advise("leave one of them out");
        }
    }
}

/// Refuses a connection that the project does not have.
fn connection(name: &str, path: &str, known: &Known, report: &mut Report) -> bool {
    if known.connections.contains_key(name) {
        return true;
    }
    let help = crate::links::unknown_connection_help(name, known);
    report.error(tm02::UNKNOWN_CONNECTION, path, format!("there is no connection `{name}`")).advise(help);
    false
}

/// Refuses a template where none is read.
fn no_template(text: &str, path: &str, report: &mut Report) -> bool {
    let found = text.contains("{{") || text.contains("{%");
    if found {
        report
            .error(tm03::NO_TEMPLATE_HERE, path, "templates are not read here")
            .advise("write the value itself: what a pipeline touches is fixed before it runs");
    }
    !found
}

//! The bodies of the task kinds.

use indexmap::IndexMap;
use regex::Regex;
use serde_json::Value;

use super::{connection, feature, no_secret, no_template, plain_text, secrets, twice};
use crate::{
    codes::{tm01, tm02, tm03},
    compile::Known,
    params,
    read::BUILT,
    report::Report,
    spec::{
        Approval, Between, Check, Command, Expectation, Extract, Http, Load, LoadMode, Notify, ParamType, Python,
        RunPipeline, Shell, Sql, TaskKind, Wait,
    },
    suggest,
    time::Span,
};

pub(super) fn body(path: &str, kind: &TaskKind, known: &Known, report: &mut Report) {
    match kind {
        TaskKind::Extract(body) => extract(path, body, known, report),
        TaskKind::Sql(body) => sql(path, body, report),
        TaskKind::Load(body) => load(path, body, known, report),
        TaskKind::Check(body) => check(path, body, report),
        TaskKind::Python(body) => python(path, body, report),
        TaskKind::Shell(body) => shell(path, body, report),
        TaskKind::Http(body) => http(path, body, report),
        TaskKind::Wait(body) => wait(path, body, report),
        TaskKind::Run(body) => run(path, body, report),
        TaskKind::Notify(body) => notify(path, body, report),
        TaskKind::Approval(body) => approval(path, body, report),
        TaskKind::Llm(_) => {
            let message = format!("tasks of kind `{}` are not available yet", kind.name());
            let help = format!("kinds that are: {}", suggest::listed(BUILT).unwrap_or_default());
            report.error_at_key(tm01::KIND_NOT_BUILT, path, message).advise(help);
        }
    }
}

/// Refuses text that says nothing.
fn not_empty(text: &str, path: &str, report: &mut Report) -> bool {
    let sound = !text.trim().is_empty();
    if !sound {
        report.error(tm01::EMPTY_VALUE, path, "this is empty").advise("write something, or leave the key out");
    }
    sound
}

fn extract(path: &str, extract: &Extract, known: &Known, report: &mut Report) {
    let fixed = no_template(&extract.table, &format!("{path}.table"), report);
    twice(&extract.columns, &format!("{path}.columns"), report);
    if extract.incremental.is_some() {
        feature(
            &format!("{path}.incremental"),
            "incremental extracts",
            "filter by a column in the `sql` task that reads it",
            report,
        );
    }
    if !connection(&extract.connection, &format!("{path}.connection"), known, report) {
        return;
    }
    let tables = known.connections.get(&extract.connection).and_then(|facts| facts.tables.as_ref());
    if let Some(tables) = tables
        && fixed
        && !tables.contains(&extract.table)
        && not_empty(&extract.table, &format!("{path}.table"), report)
    {
        let message = format!("the connection `{}` has no table `{}`", extract.connection, extract.table);
        let what = format!("tables of `{}`", extract.connection);
        let help = suggest::help(&extract.table, tables.iter().map(String::as_str), &what);
        report.error(tm02::UNKNOWN_TABLE, format!("{path}.table"), message).advise(help);
    }
}

fn sql(path: &str, sql: &Sql, report: &mut Report) {
    if let Sql::Full { connection: Some(_), .. } = sql {
        let instead = "leave `connection` out: filters and columns reach the source all the same";
        feature(&format!("{path}.connection"), "queries that run inside a connection", instead, report);
    }
}

fn load(path: &str, load: &Load, known: &Known, report: &mut Report) {
    connection(&load.connection, &format!("{path}.connection"), known, report);
    if not_empty(&load.table, &format!("{path}.table"), report) {
        no_template(&load.table, &format!("{path}.table"), report);
    }
    twice(&load.key, &format!("{path}.key"), report);
    match (load.mode, load.key.is_empty()) {
        (LoadMode::Merge, true) => {
            report
                .error(tm01::KEY_AND_MODE, path, "`mode: merge` needs a `key`: the columns that name a row")
                .advise("add `key: [id]` with the columns that are unique together");
        }
        (LoadMode::Append | LoadMode::Replace, false) => {
            report
                .error_at_key(tm01::KEY_AND_MODE, format!("{path}.key"), "`key` has a meaning for `mode: merge` only")
                .advise("add `mode: merge`, or leave `key` out");
        }
        (LoadMode::Merge, false) | (LoadMode::Append | LoadMode::Replace, true) => {}
    }
}

fn check(path: &str, check: &Check, report: &mut Report) {
    if check.expect.is_empty() && !report.has(&format!("{path}.expect")) {
        report
            .error(tm01::EMPTY_VALUE, format!("{path}.expect"), "nothing is expected, so nothing is checked")
            .advise("add an expectation, as in `- not_null: id`");
    }
    for (index, expectation) in check.expect.iter().enumerate() {
        let path = format!("{path}.expect[{index}].{}", expectation.name());
        match expectation {
            Expectation::NotNull(columns) | Expectation::Unique(columns) => {
                if columns.as_slice().is_empty() && !report.has(&path) {
                    report.error(tm01::EMPTY_VALUE, &path, "no columns are named").advise("name at least one column");
                }
                twice(columns.as_slice(), &path, report);
            }
            Expectation::Between(between) => self::between(&path, between, report),
            Expectation::AcceptedValues(accepted) if accepted.values.is_empty() => {
                report
                    .error(tm01::EMPTY_VALUE, format!("{path}.values"), "no value is accepted, so every row fails")
                    .advise("list the values");
            }
            Expectation::Regex(pattern) => {
                if let Err(error) = Regex::new(&pattern.pattern) {
                    let message = format!("the pattern is not a regular expression: {}", last_line(&error.to_string()));
                    let help = if message.contains("not supported") {
                        "the pattern must do without; several expectations can stand beside each other"
                    } else {
                        "put patterns in 'single quotes', so that their backslashes stay"
                    };
                    report.error(tm01::BAD_REGEX, format!("{path}.pattern"), message).advise(help);
                }
            }
            Expectation::RowCount(range) => match (range.min, range.max) {
                (None, None) => {
                    report.error(tm01::BAD_RANGE, &path, "the range has no bounds").advise("give `min`, `max` or both");
                }
                (Some(min), Some(max)) if min > max => {
                    let message = format!("no number is at least {min} and at most {max}");
                    report.error(tm01::BAD_RANGE, &path, message).advise("exchange `min` and `max`");
                }
                (Some(_) | None, Some(_)) | (Some(_), None) => {}
            },
            Expectation::AcceptedValues(_)
            | Expectation::Freshness(_)
            | Expectation::References(_)
            | Expectation::Sql(_) => {}
        }
    }
}

/// What the regex crate says last is what is wrong; before it stands the pattern.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ").to_owned()
}

fn between(path: &str, between: &Between, report: &mut Report) {
    let bounds = [("min", &between.min), ("max", &between.max)];
    for (key, bound) in bounds {
        if let Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) = bound {
            let message = "a bound is a number, or a date or time as text";
            report
                .error(tm01::WRONG_TYPE, format!("{path}.{key}"), message)
                .advise("as in `min: 0` or `min: 2024-01-31`");
        }
    }
    match (&between.min, &between.max) {
        (None, None) => {
            report.error(tm01::BAD_RANGE, path, "the range has no bounds").advise("give `min`, `max` or both");
        }
        (Some(Value::Number(min)), Some(Value::Number(max))) if min.as_f64() > max.as_f64() => {
            let message = format!("no number is at least {min} and at most {max}");
            report.error(tm01::BAD_RANGE, path, message).advise("exchange `min` and `max`");
        }
        (Some(Value::String(min)), Some(Value::String(max))) if min > max => {
            let message = format!("nothing is at least `{min}` and at most `{max}`");
            report.error(tm01::BAD_RANGE, path, message).advise("exchange `min` and `max`");
        }
        (Some(Value::Number(_)), Some(Value::String(_))) | (Some(Value::String(_)), Some(Value::Number(_))) => {
            let message = "one bound is a number and the other is text";
            report.error(tm01::BAD_RANGE, path, message).advise("write both the same way");
        }
        (Some(_), Some(_) | None) | (None, Some(_)) => {}
    }
}

fn python(path: &str, python: &Python, report: &mut Report) {
    match (&python.script, &python.code) {
        (Some(_), Some(_)) => {
            report
                .error_at_key(tm01::ONE_OF, format!("{path}.code"), "`script` and `code` exclude each other")
                .advise("keep the file or the text");
        }
        (None, None) if report.has(path) => {}
        (None, None) => {
            report
                .error(tm01::ONE_OF, path, "there is no Python here: `script` or `code` is missing")
                .advise("add `code: |` with a function `run`, or `script: file.py`");
        }
        (Some(script), None) => {
            if not_empty(script, &format!("{path}.script"), report) {
                no_template(script, &format!("{path}.script"), report);
            }
        }
        (None, Some(code)) => {
            let path = format!("{path}.code");
            if not_empty(code, &path, report) {
                inside(code, &path, "pass values through `args`", report);
            }
        }
    }
    for (name, value) in &python.args {
        no_secret(value, &format!("{path}.args.{name}"), report);
    }
    environment(&format!("{path}.env"), &python.env, report);
    memory(path, python.limits.memory_mb, report);
}

fn memory(path: &str, megabytes: Option<u64>, report: &mut Report) {
    if let Some(megabytes @ 0..32) = megabytes {
        let message = format!("no program starts in {megabytes} MiB");
        report.error(tm01::OUT_OF_RANGE, format!("{path}.limits.memory_mb"), message).advise("allow at least 32");
    }
}

/// A text that is passed on as it is: a template in it would be a mistake.
fn inside(text: &str, path: &str, instead: &str, report: &mut Report) {
    let found = text.match_indices("{{").find(|(at, _)| {
        let word = text[at + 2..].trim_start();
        ["params.", "vars.", "tasks.", "run.", "interval.", "trigger."].iter().any(|root| word.starts_with(root))
    });
    if let Some((offset, _)) = found {
        report.error_within(tm03::NO_TEMPLATE_HERE, path, text, offset, "templates are not read here").advise(instead);
    }
}

fn shell(path: &str, shell: &Shell, report: &mut Report) {
    let command = format!("{path}.command");
    match &shell.command {
        Command::Text(text) => {
            if not_empty(text, &command, report) {
                inside(
                    text,
                    &command,
                    "pass values through `env`, and use them as `\"$NAME\"`; or write the command as a list",
                    report,
                );
            }
        }
        Command::List(words) => {
            if words.first().is_none_or(|program| program.is_empty()) {
                report
                    .error(tm01::EMPTY_VALUE, &command, "there is no program to run")
                    .advise("begin the list with a program");
            }
            for (index, word) in words.iter().enumerate() {
                // Arguments of a program are seen by everybody on the machine.
                plain_text(word, &format!("{command}[{index}]"), report);
            }
        }
    }
    environment(&format!("{path}.env"), &shell.env, report);
    memory(path, shell.limits.memory_mb, report);
}

/// Environment variables: plain names, and the place for secrets.
fn environment(path: &str, variables: &IndexMap<String, String>, report: &mut Report) {
    for (name, value) in variables {
        let path = format!("{path}.{name}");
        let sound = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !sound {
            report
                .error_at_key(tm02::BAD_NAME, &path, format!("`{name}` is not a name for an environment variable"))
                .advise("use letters, digits and `_`, and start with a letter");
        }
        secrets(value, &path, report);
    }
}

fn http(path: &str, http: &Http, report: &mut Report) {
    let url = format!("{path}.url");
    if not_empty(&http.url, &url, report) {
        let dynamic = http.url.starts_with("{{");
        if !dynamic && !http.url.starts_with("http://") && !http.url.starts_with("https://") {
            report
                .error(tm01::EMPTY_VALUE, &url, format!("`{}` does not begin with `http://` or `https://`", http.url))
                .advise("write the whole address");
        }
        plain_text(&http.url, &url, report);
    }
    for (name, value) in &http.headers {
        secrets(value, &format!("{path}.headers.{name}"), report);
    }
    if let Some(json) = &http.json {
        no_secret(json, &format!("{path}.json"), report);
    }
    for (index, status) in http.expect_status.iter().enumerate() {
        if !(100..600).contains(status) {
            let message = format!("{status} is not an HTTP status");
            report.error(tm01::OUT_OF_RANGE, format!("{path}.expect_status[{index}]"), message).advise("100 to 599");
        }
    }
}

fn run(path: &str, run: &RunPipeline, report: &mut Report) {
    let at = format!("{path}.pipeline");
    if not_empty(&run.pipeline, &at, report) {
        no_template(&run.pipeline, &at, report);
    }
    for (name, value) in &run.params {
        no_secret(value, &format!("{path}.params.{name}"), report);
    }
}

pub(super) fn notify(path: &str, notify: &Notify, report: &mut Report) {
    let url = format!("{path}.url");
    if not_empty(&notify.url, &url, report) {
        let written = notify.url.as_str();
        if let Some(address) = written.strip_prefix("mailto:") {
            let message = format!("e-mail (to `{address}`) is not available yet");
            report
                .error(tm01::FEATURE_NOT_BUILT, &url, message)
                .advise("give an http(s) address; many mail and chat services have one");
        } else if !["http://", "https://", "{{", "${"].iter().any(|start| written.starts_with(start)) {
            let message = format!("`{written}` does not begin with `http://` or `https://`");
            report.error(tm01::EMPTY_VALUE, &url, message).advise("write the whole address");
        }
        secrets(written, &url, report);
    }
    if let Some(message) = &notify.message {
        plain_text(message, &format!("{path}.message"), report);
    }
    for (name, value) in &notify.headers {
        secrets(value, &format!("{path}.headers.{name}"), report);
    }
    if let Some(secret) = &notify.secret {
        let at = format!("{path}.secret");
        secrets(secret, &at, report);
        if crate::secret::find(secret).is_none() {
            report
                .error(tm02::BAD_SECRET, &at, "a secret that stands in a definition is none")
                .advise("write its place: `${env:NAME}`, `${file:PATH}` or `${secret:NAME}`");
        }
    }
}

fn wait_for(path: &str, wait: &Wait, report: &mut Report) {
    if let Some(http) = &wait.http {
        let url = format!("{path}.http.url");
        if not_empty(&http.url, &url, report) {
            plain_text(&http.url, &url, report);
        }
        for (name, value) in &http.headers {
            secrets(value, &format!("{path}.http.headers.{name}"), report);
        }
        for (pointer, value) in &http.json {
            let at = format!("{path}.http.json.{pointer}");
            no_secret(value, &at, report);
            if !pointer.is_empty() && !pointer.starts_with('/') {
                report
                    .error_at_key(tm01::EMPTY_VALUE, at, format!("`{pointer}` is not a JSON pointer"))
                    .advise(format!("begin it with a slash: `/{pointer}`"));
            }
        }
    }
    if wait.stable.is_some() && wait.file.is_none() {
        report
            .error_at_key(tm01::MEANINGLESS, format!("{path}.stable"), "`stable` has a meaning with `file` only")
            .advise("leave it out");
    }
    if wait.poll == Span::default() {
        report
            .error(
                tm01::OUT_OF_RANGE,
                format!("{path}.poll"),
                "without a pause between two looks nothing else gets done",
            )
            .advise("as in `poll: 5s`");
    }
    if wait.max_poll.is_some_and(|max| max < wait.poll) {
        report
            .error(tm01::BAD_RANGE, format!("{path}.max_poll"), "the longest pause is shorter than the first")
            .advise("make `max_poll` at least as long as `poll`");
    }
    if let Some(run) = &wait.run {
        not_empty(&run.pipeline, &format!("{path}.run.pipeline"), report);
        if run.states.is_empty() && !report.has(&format!("{path}.run.states")) {
            report
                .error(tm01::EMPTY_VALUE, format!("{path}.run.states"), "no state would do, so this waits in vain")
                .advise("as in `states: [succeeded]`");
        }
    }
}

fn wait(path: &str, wait: &Wait, report: &mut Report) {
    wait_for(path, wait, report);
    let forms = [
        ("for", wait.span.is_some()),
        ("until", wait.until.is_some()),
        ("file", wait.file.is_some()),
        ("sql", wait.sql.is_some()),
        ("http", wait.http.is_some()),
        ("run", wait.run.is_some()),
    ];
    let given: Vec<&str> = forms.into_iter().filter_map(|(name, is)| is.then_some(name)).collect();
    match given.as_slice() {
        [_] => {}
        [] if report.has(path) => {}
        [] => {
            report
                .error(
                    tm01::ONE_OF,
                    path,
                    "this waits for nothing: `for`, `until`, `file`, `sql`, `http` or `run` is missing",
                )
                .advise("as in `for: 10m`, `until: 2030-01-01T06:00:00Z` or `file: data/ready`");
        }
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` exclude each other");
            report
                .error_at_key(tm01::ONE_OF, format!("{path}.{second}"), message)
                .advise("write two `wait` tasks to wait for both");
        }
    }
    if let Some(until) = wait.until.as_ref().filter(|until| !until.contains("{{"))
        && params::fit(ParamType::Timestamp, &Value::String(until.clone()), false).is_err()
    {
        let message = format!("`{until}` is not a point in time");
        report.error(tm01::BAD_MOMENT, format!("{path}.until"), message).advise("as in `2030-01-01T06:00:00Z`");
    }
    for (key, text) in [("until", &wait.until), ("file", &wait.file)] {
        if let Some(text) = text {
            plain_text(text, &format!("{path}.{key}"), report);
        }
    }
}

fn approval(path: &str, approval: &Approval, report: &mut Report) {
    if not_empty(&approval.message, &format!("{path}.message"), report) {
        plain_text(&approval.message, &format!("{path}.message"), report);
    }
    twice(&approval.shows, &format!("{path}.shows"), report);
    twice(&approval.approvers, &format!("{path}.approvers"), report);
    for (index, name) in approval.approvers.iter().enumerate() {
        let path = format!("{path}.approvers[{index}]");
        if not_empty(name.strip_prefix("role:").unwrap_or(name), &path, report) {
            no_template(name, &path, report);
        }
    }
    if approval.required == 0 {
        report
            .error(tm01::OUT_OF_RANGE, format!("{path}.required"), "with `required: 0` nobody would be asked")
            .advise("require at least 1, or leave the task out");
    }
    let roles = approval.approvers.iter().any(|name| name.starts_with("role:"));
    if !approval.approvers.is_empty() && !roles && approval.required as usize > approval.approvers.len() {
        let message = format!("{} people must approve, and only {} may", approval.required, approval.approvers.len());
        report
            .error(tm01::BAD_RANGE, format!("{path}.required"), message)
            .advise("name more `approvers`, or require fewer");
    }
    if approval.expires == Span::default() {
        report
            .error(tm01::OUT_OF_RANGE, format!("{path}.expires"), "nobody can answer in no time")
            .advise("as in `expires: 2d`");
    }
}

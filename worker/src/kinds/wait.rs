//! `wait`: until a time, a file, a row, an answer or a run. A waiting task is parked: it holds no slot and no lease.

use std::{path::Path, time::Duration};

use chrono::DateTime;
use reqwest::Url;
use serde_json::{Value, json};
use tidemill_dag::{
    spec::{EndState, OnTimeout, Wait, WaitHttp, WaitRun},
    state::RunState,
    time::{Span, Timestamp},
};
use tidemill_engine::json_rows;
use tidemill_store::{Page, RunFilter};

use super::http::{self, Target};
use crate::{
    attempt::{Attempt, Done},
    error::{TaskError, chain, retryable_status},
    session::Tables,
};

pub(super) async fn perform(attempt: &Attempt<'_>, wait: &Wait) -> Result<Done, TaskError> {
    if let Some(span) = wait.span {
        return Ok(until(attempt, attempt.claimed.ready_at.after(span.0), || format!("{span} have passed")));
    }
    if let Some(written) = &wait.until {
        let text = attempt.text("wait.until", written)?;
        let moment = moment(text.trim())?;
        return Ok(until(attempt, moment, || format!("it is {moment}")));
    }
    match look(attempt, wait).await? {
        Seen::Yes(result) => Ok(Done::Output(json!({ "result": result }))),
        Seen::No(what) => later(attempt, wait, &what),
    }
}

/// What one look came to.
enum Seen {
    /// It is there.
    Yes(Value),
    /// It is not, and this is what is waited for.
    No(String),
}

async fn look(attempt: &Attempt<'_>, wait: &Wait) -> Result<Seen, TaskError> {
    if let Some(query) = &wait.sql {
        return row(attempt, query).await;
    }
    if let Some(http) = &wait.http {
        return answer(attempt, http).await;
    }
    if let Some(run) = &wait.run {
        return newest_run(attempt, run).await;
    }
    let path = attempt.text("wait.file", wait.file.as_deref().unwrap_or_default())?;
    if path.trim().is_empty() {
        return Err(TaskError::Setting { field: "wait.file", problem: "the path is empty".to_owned() });
    }
    file(attempt, &path, wait.stable).await
}

/// Parks until the next look, or gives up.
fn later(attempt: &Attempt<'_>, wait: &Wait, what: &str) -> Result<Done, TaskError> {
    let (now, since) = (attempt.now(), attempt.claimed.ready_at);
    let end = attempt.planned.task.timeout.map(|limit| (limit, since.after(limit.0)));
    if let Some((limit, _)) = end.filter(|(_, end)| now >= *end) {
        return match wait.on_timeout {
            OnTimeout::Fail => Err(TaskError::InVain { limit: limit.0, what: what.to_owned() }),
            OnTimeout::Skip => Ok(Done::Skip(format!("waited {limit} in vain until {what}"))),
        };
    }
    let longest = wait.max_poll.unwrap_or(wait.poll).0.max(wait.poll.0);
    let next = now.after(now.since(since).clamp(wait.poll.0, longest));
    let wake_at = end.map_or(next, |(_, end)| end.min(next));
    Ok(Done::Park { wake_at, reason: format!("waits until {what}") })
}

async fn file(attempt: &Attempt<'_>, path: &str, stable: Option<Span>) -> Result<Seen, TaskError> {
    let place = attempt.site.config.project_dir.join(path);
    let found = match tokio::fs::metadata(&place).await {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Seen::No(format!("the file {path} is there")));
        }
        Err(source) => return Err(TaskError::Files { action: "look for", path: place, source }),
    };
    if let Some(stable) = stable
        && quiet_for(attempt, &place, &found)? < stable.0
    {
        return Ok(Seen::No(format!("the file {path} has not changed for {stable}")));
    }
    Ok(Seen::Yes(json!({ "file": path, "bytes": found.len() })))
}

/// How long a file has not been changed.
fn quiet_for(attempt: &Attempt<'_>, place: &Path, found: &std::fs::Metadata) -> Result<Duration, TaskError> {
    let changed = found.modified().map_err(crate::error::files("look at", place))?;
    let changed: DateTime<chrono::Utc> = changed.into();
    Ok(attempt.now().since(Timestamp::from(changed)))
}

async fn row(attempt: &Attempt<'_>, query: &str) -> Result<Seen, TaskError> {
    let query = attempt.sql("wait.sql", query)?;
    let tables = Tables::open(attempt).await?;
    let batches = tables.0.stream(&query).await?.collect().await?;
    let first = batches.iter().find(|batch| batch.num_rows() > 0);
    let first = first.map(|batch| json_rows(&batch.slice(0, 1))).transpose()?.and_then(|mut rows| rows.pop());
    let holds = first.as_ref().and_then(|row| row.values().next()).is_some_and(|value| match value {
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => false,
    });
    Ok(if holds { Seen::Yes(json!(first)) } else { Seen::No("its query gives true".to_owned()) })
}

async fn answer(attempt: &Attempt<'_>, wanted: &WaitHttp) -> Result<Seen, TaskError> {
    let url = Url::parse(attempt.text("wait.http.url", &wanted.url)?.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| TaskError::Setting {
            field: "wait.http.url",
            problem: "it is not an http(s) address".to_owned(),
        })?;
    let target = Target::new("GET", &url);
    let headers = http::headers(attempt, "wait.http.headers", &wanted.headers)?;
    let request = attempt.site.http.get(url).timeout(http::time(attempt)).headers(headers);
    let response = match request.send().await {
        Ok(response) => response,
        // A server that is not there may be soon: that is what is waited for.
        Err(error) => return Ok(Seen::No(format!("{} answers ({})", target.shown, chain(&error.without_url())))),
    };
    let status = response.status().as_u16();
    if !http::expected(&wanted.expect_status, response.status()) {
        if wanted.expect_status.is_empty() && matches!(status, 400..500) && status != 404 && !retryable_status(status) {
            return Err(http::refused(response, target, status).await);
        }
        return Ok(Seen::No(format!("{} answers otherwise than {status}", target.shown)));
    }
    let body = http::body(response, &target).await?;
    for (pointer, value) in &wanted.json {
        let value = attempt.value(&format!("wait.http.json.{pointer}"), value)?;
        let found = body.pointer(pointer).unwrap_or(&Value::Null);
        if *found != value {
            return Ok(Seen::No(format!("{} says {value} at {pointer}, not {found}", target.shown)));
        }
    }
    Ok(Seen::Yes(body))
}

async fn newest_run(attempt: &Attempt<'_>, wanted: &WaitRun) -> Result<Seen, TaskError> {
    let filter = RunFilter { pipeline: Some(wanted.pipeline.clone()), states: Vec::new() };
    let runs = attempt.site.wiring.store.runs(&filter, Page { before: None, limit: 1 }).await?;
    let what = format!("a run of `{}` has ended as wanted", wanted.pipeline);
    let Some(run) = runs.into_iter().next() else { return Ok(Seen::No(what)) };
    let fresh = wanted.within.is_none_or(|within| run.created_at.after(within.0) >= attempt.claimed.ready_at);
    let ended = match run.state {
        RunState::Queued | RunState::Running => None,
        RunState::Succeeded => Some(EndState::Succeeded),
        RunState::Failed => Some(EndState::Failed),
        RunState::Cancelled => Some(EndState::Cancelled),
    };
    if fresh && ended.is_some_and(|state| wanted.states.contains(&state)) {
        return Ok(Seen::Yes(json!({ "run": run.id, "state": run.state })));
    }
    Ok(Seen::No(what))
}

fn until(attempt: &Attempt<'_>, moment: Timestamp, what: impl Fn() -> String) -> Done {
    if attempt.now() >= moment {
        return Done::Output(json!({ "result": { "until": moment.to_string() } }));
    }
    Done::Park { wake_at: moment, reason: format!("waits until {}", what()) }
}

fn moment(text: &str) -> Result<Timestamp, TaskError> {
    DateTime::parse_from_rfc3339(text).map(|moment| Timestamp::from(moment.to_utc())).map_err(|_| TaskError::Setting {
        field: "wait.until",
        problem: format!("`{text}` is not a moment like 2025-01-31T06:00:00Z"),
    })
}

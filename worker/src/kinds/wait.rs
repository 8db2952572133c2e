//! `wait`: until a time or a file. A waiting task is parked: it holds no slot and no lease.

use chrono::DateTime;
use serde_json::json;
use tidemill_dag::{spec::Wait, time::Timestamp};

use crate::{
    attempt::{Attempt, Done},
    error::TaskError,
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
    let written = wait.file.as_deref().unwrap_or_default();
    let path = attempt.text("wait.file", written)?;
    if path.trim().is_empty() {
        return Err(TaskError::Setting { field: "wait.file", problem: "the path is empty".to_owned() });
    }
    let place = attempt.site.config.project_dir.join(&path);
    match tokio::fs::try_exists(&place).await {
        Ok(true) => Ok(Done::Output(json!({ "result": { "file": path } }))),
        Ok(false) => Ok(Done::Park {
            wake_at: attempt.now().after(wait.poll.0),
            reason: format!("waits until the file {path} is there"),
        }),
        Err(source) => Err(TaskError::Files { action: "look for", path: place, source }),
    }
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

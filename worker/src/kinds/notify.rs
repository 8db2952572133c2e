//! `notify`: a signed JSON message to an address.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Url, header};
use serde_json::{Value, json};
use sha2::Sha256;
use tidemill_dag::{spec::Notify, state::TaskState};

use super::http::{self, Target};
use crate::{
    attempt::{Attempt, Done},
    error::TaskError,
};

pub(super) async fn perform(attempt: &Attempt<'_>, notify: &Notify) -> Result<Done, TaskError> {
    let written = attempt.secret("notify.url", &notify.url)?;
    let url =
        Url::parse(written.expose().trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(
            || TaskError::Setting { field: "notify.url", problem: "it is not an http(s) address".to_owned() },
        )?;
    let text = match &notify.message {
        Some(message) => attempt.text("notify.message", message)?,
        None => sentence(attempt),
    };
    let body = body(attempt, &text).to_string();
    let target = Target::new("POST", &url);
    let headers = http::headers(attempt, "notify.headers", &notify.headers)?;
    let mut request = attempt
        .site
        .http
        .post(url)
        .timeout(http::time(attempt))
        .headers(headers)
        .header(header::CONTENT_TYPE, "application/json")
        .header("Tidemill-Delivery", format!("{}/{}", attempt.claimed.run.id, attempt.claimed.name));
    if let Some(secret) = &notify.secret {
        let secret = attempt.secret("notify.secret", secret)?;
        let seconds = attempt.now().0 / 1_000_000;
        request = request.header("Tidemill-Signature", signature(secret.expose(), seconds, &body));
    }
    let response = request.body(body).send().await.map_err(|error| target.broke(error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(http::refused(response, target, status.as_u16()).await);
    }
    attempt.log.say(&format!("{} was told: {text}", target.shown));
    Done::result(json!({ "status": status.as_u16(), "message": text }))
}

/// What failed, if anything did.
fn failed<'a>(attempt: &'a Attempt<'_>) -> Vec<&'a str> {
    let bad = attempt.before.upstream.iter().filter(|task| task.state == TaskState::Failed);
    bad.map(|task| task.name.as_str()).collect()
}

fn sentence(attempt: &Attempt<'_>) -> String {
    let run = &attempt.claimed.run;
    let failed = failed(attempt);
    match failed.is_empty() {
        true => format!("{}: run {} went well", run.pipeline, run.id),
        false => format!("{}: run {} failed in {}", run.pipeline, run.id, failed.join(", ")),
    }
}

fn body(attempt: &Attempt<'_>, text: &str) -> Value {
    let run = &attempt.claimed.run;
    json!({
        "message": text,
        "pipeline": run.pipeline,
        "run": run.id,
        "task": attempt.claimed.name,
        "failed": failed(attempt),
        "at": attempt.now().to_string(),
    })
}

/// As GitHub's and Stripe's: the moment is signed too, so that an old message cannot be sent again.
fn signature(secret: &str, seconds: i64, body: &str) -> String {
    use std::fmt::Write as _;

    // Any length of key is good for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.{body}").as_bytes());
    let mut text = format!("t={seconds},v1=");
    for byte in mac.finalize().into_bytes() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

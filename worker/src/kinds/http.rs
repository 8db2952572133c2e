//! `http`: one call. A JSON answer becomes the result as it is, any other as text.

use std::time::Duration;

use indexmap::IndexMap;
use reqwest::{Client, RequestBuilder, Response, Url, header};
use serde_json::Value;
use tidemill_dag::spec::{Http, Method};

use crate::{
    attempt::{Attempt, Done, MAX_RESULT},
    error::{TaskError, chain, retryable_status},
};

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long a call may take where the task has no `timeout`.
const CALL_TIME: Duration = Duration::from_secs(60);
/// A server that asks for patience gets it until the task is this old; then the call counts as failed.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The shortest time a server that asks for patience gets.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// The client of a worker.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .connect_timeout(CONNECT_TIME)
        .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::limited(5))
        .build()
}

/// What is called, as people may know it.
pub(super) struct Target {
    method: &'static str,
    /// The address as people may see it: without user, password and query.
    pub shown: String,
}

/// How long a call may take.
pub(super) fn time(attempt: &Attempt<'_>) -> Duration {
    attempt.planned.task.timeout.map_or(CALL_TIME, |limit| limit.0)
}

/// Whether a status is one of those that are wanted; any success if none is named.
pub(super) fn expected(wanted: &[u16], status: reqwest::StatusCode) -> bool {
    if wanted.is_empty() { status.is_success() } else { wanted.contains(&status.as_u16()) }
}

pub(super) async fn perform(attempt: &Attempt<'_>, http: &Http) -> Result<Done, TaskError> {
    let (request, target) = request(attempt, http)?;
    let response = request.send().await.map_err(|error| target.broke(error))?;
    let status = response.status().as_u16();
    if expected(&http.expect_status, response.status()) {
        let value = body(response, &target).await?;
        attempt.log.say(&format!("{} {} answered {status}", target.method, target.shown));
        return Done::result(value);
    }
    if retryable_status(status)
        && let Some(wait) = retry_after(&response, attempt)
    {
        let wake_at = attempt.now().after(wait);
        if wake_at <= attempt.claimed.ready_at.after(PATIENCE) {
            let reason = format!("{} answered {status} and asked for {} s of patience", target.shown, wait.as_secs());
            return Ok(Done::Park { wake_at, reason });
        }
    }
    Err(refused(response, target, status).await)
}

pub(super) async fn refused(response: Response, target: Target, status: u16) -> TaskError {
    const SHOWN: usize = 300;
    let text = body(response, &target).await.unwrap_or_default();
    let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
    let start: String = text.chars().take(SHOWN).collect();
    let body = if text.is_empty() || text == "null" { String::new() } else { format!(": {}", start.trim()) };
    TaskError::Status { method: target.method, url: target.shown, status, body }
}

fn request(attempt: &Attempt<'_>, http: &Http) -> Result<(RequestBuilder, Target), TaskError> {
    let url = Url::parse(attempt.text("http.url", &http.url)?.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| TaskError::Setting { field: "http.url", problem: "it is not an http(s) address".to_owned() })?;
    let (method, name) = match http.method {
        Method::Get => (reqwest::Method::GET, "GET"),
        Method::Post => (reqwest::Method::POST, "POST"),
        Method::Put => (reqwest::Method::PUT, "PUT"),
        Method::Patch => (reqwest::Method::PATCH, "PATCH"),
        Method::Delete => (reqwest::Method::DELETE, "DELETE"),
    };
    let target = Target::new(name, &url);
    let headers = headers(attempt, "http.headers", &http.headers)?;
    let mut request = attempt.site.http.request(method, url).timeout(time(attempt)).headers(headers);
    if let Some(json) = &http.json {
        request = request.json(&attempt.value("http.json", json)?);
    }
    Ok((request, target))
}

/// Headers as they are sent; `field` is where they are written.
pub(super) fn headers(
    attempt: &Attempt<'_>,
    field: &'static str,
    written: &IndexMap<String, String>,
) -> Result<header::HeaderMap, TaskError> {
    let mut headers = header::HeaderMap::new();
    for (name, written) in written {
        let value = attempt.secret(&format!("{field}.{name}"), written)?;
        let mut value = header::HeaderValue::from_str(value.expose()).map_err(|_| TaskError::Setting {
            field,
            problem: format!("the value of `{name}` holds characters that a header cannot"),
        })?;
        value.set_sensitive(true);
        let name = header::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| TaskError::Setting { field, problem: format!("`{name}` is not the name of a header") })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

impl Target {
    pub fn new(method: &'static str, url: &Url) -> Self {
        Self { method, shown: shown(url) }
    }

    pub fn broke(&self, error: reqwest::Error) -> TaskError {
        // Its address may hold a user and a query; the one that is shown does not.
        let error = error.without_url();
        let reason = if error.is_timeout() { "it took too long".to_owned() } else { chain(&error) };
        TaskError::Http { method: self.method, url: self.shown.clone(), reason, retryable: !error.is_builder() }
    }
}

pub(super) async fn body(mut response: Response, target: &Target) -> Result<Value, TaskError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| target.broke(error))? {
        if bytes.len() + chunk.len() > MAX_RESULT {
            return Err(TaskError::TooLarge { limit: MAX_RESULT });
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())))
}

/// Seconds, or a date.
fn retry_after(response: &Response, attempt: &Attempt<'_>) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => attempt.until(chrono::DateTime::parse_from_rfc2822(text).ok()?.to_utc().into()),
    };
    Some(wait.max(SHORTEST_WAIT))
}

//! A signed sample, sent through everything that a real delivery goes through.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tidemill_dag::hook::{Headers, sign};
use tidemill_dag::spec::{Preset, Webhook};
use tower::ServiceExt as _;

use super::{HookError, Hooks, Site, recognise, secret};

/// How a sample was answered.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Trial {
    /// Where it went.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// The answer.
    pub answer: Value,
}

/// A payload as the preset's sender writes it. Its event is a new one each time.
pub fn sample(hook: &Webhook, event: &str) -> Value {
    match hook.preset {
        Preset::Github => json!({"zen": "Practicality beats purity.", "action": "opened", "event": event}),
        Preset::Stripe => json!({"id": event, "object": "event", "type": "charge.succeeded", "data": {"object": {}}}),
        Preset::Slack => json!({"type": "event_callback", "event_id": event, "event": {"type": "message"}}),
        Preset::Generic => json!({"id": event, "kind": "test"}),
    }
}

/// Signs a body with the webhook's first secret and sends it through the API's own routes. Without a body, a sample.
///
/// # Errors
/// There is no such webhook, or its secret cannot be read here.
pub async fn try_out(
    site: &Site,
    (pipeline, called): (&str, &str),
    body: Option<Vec<u8>>,
    more: Headers,
) -> Result<Trial, HookError> {
    let missing = || HookError::NoHook { pipeline: pipeline.to_owned(), hook: called.to_owned() };
    let found = Hooks::new(site.clone()).find(pipeline, called).await?.ok_or_else(missing)?;
    let hook = found.hook().ok_or_else(missing)?;
    let (secrets, unread) = secret::all(hook).await;
    let Some(secret) = secrets.first() else {
        let (pipeline, called) = (pipeline.to_owned(), called.to_owned());
        return Err(HookError::Secret { pipeline, hook: called, reason: unread.join("; ") });
    };
    let event = format!("test-{}", hex::encode(&site.chance.bits().to_be_bytes()[..8]));
    let body = body.unwrap_or_else(|| sample(hook, &event).to_string().into_bytes());
    let signed = sign(hook, &body, site.clock.now());
    let mut headers = Headers::from([("content-type".to_owned(), "application/json".to_owned())]);
    if hook.preset == Preset::Github {
        headers.insert("x-github-event".to_owned(), "ping".to_owned());
        headers.insert("x-github-delivery".to_owned(), event);
    }
    headers.extend(signed.headers(hook, &recognise::signature(secret, &signed.text)));
    headers.extend(more);
    let path = format!("/hooks/{pipeline}/{called}");
    let request = headers.iter().fold(Request::post(&path), |request, (name, value)| request.header(name, value));
    let request = request.body(Body::from(body)).map_err(|_| HookError::NotRecognised)?;
    // The router answers everything, errors too.
    let Ok(response) = crate::routes::hooks::router(site.clone()).oneshot(request).await;
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), super::MOST_BYTES).await.unwrap_or_default();
    let answer = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    Ok(Trial { path, status, answer })
}

//! Webhook deliveries, as far as no secret is needed: what must be signed, when a delivery is too old, whether it
//! starts a run, with which parameters, and which other deliveries tell of the same event.
//!
//! Pure: headers, body and the time are arguments. Whether a signature fits is for the caller to say, who
//! has the secret and compares in constant time.

mod form;
mod signature;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

pub use signature::{Claim, Refusal, Signed, claim, sign};

use crate::{
    codes::tm12,
    params,
    spec::{DeliveryKey, Pipeline, Preset, Webhook},
    template::{Context, TemplateError, render_bool, render_value},
};

/// Headers by their names in lower case; several of one name are joined by `, `.
pub type Headers = BTreeMap<String, String>;

/// A body is no longer than this unless the trigger says otherwise.
pub const MAX_BYTES: u32 = 1_000_000;

/// Where nothing names an event, the same body within this time is the same event.
pub const SAME_BODY: Duration = Duration::from_secs(600);

/// How long a named event is remembered: no sender repeats itself for longer.
pub const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// Longer names of events are replaced by their hash.
const MAX_KEY: usize = 200;

/// What a delivery says, once it is known who sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The body: JSON, or the fields of a form; nothing where it is empty.
    pub payload: Value,
    /// The headers that may be seen.
    pub headers: Headers,
}

/// Why a delivery that is known to be genuine starts no run.
#[derive(Debug, Clone, PartialEq)]
pub struct Unusable {
    /// Public code.
    pub code: &'static str,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The event that a delivery tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    /// Its name.
    pub key: String,
    /// How long another delivery of this name is the same event.
    pub lasts: Duration,
}

/// What becomes of a genuine delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It only wants to know whether somebody is there: it is sent this text back.
    Echo(String),
    /// The trigger's `when` is false for it.
    Filtered,
    /// It starts a run, unless its event did before.
    Start {
        /// The event.
        event: EventKey,
        /// Values for the run's parameters, not yet typed.
        params: Map<String, Value>,
    },
}

/// Names of headers that may hold secrets begin or end with, or hold, one of these.
const PRIVATE: [&str; 8] =
    ["signature", "authorization", "cookie", "token", "secret", "password", "api-key", "credential"];

/// The headers of a delivery that may be stored and shown: all but those that hold secrets or signatures.
pub fn shown(headers: &Headers, hook: &Webhook) -> Headers {
    let own = hook.signature.as_ref().map(|signature| signature.header.to_lowercase());
    let private = |name: &str| PRIVATE.iter().any(|word| name.contains(word)) || own.as_deref() == Some(name);
    headers.iter().filter(|(name, _)| !private(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Reads a body: JSON, or a form where its type says so. A form's only field `payload` is read as JSON, as some
/// senders wrap theirs.
///
/// # Errors
/// A body that is neither.
pub fn read(hook: &Webhook, headers: &Headers, body: &[u8]) -> Result<Message, Unusable> {
    let wrong = |reason: String| Unusable {
        code: tm12::BAD_PAYLOAD,
        reason,
        help: Some("send JSON, or a form with its content type".to_owned()),
    };
    let is_form = headers.get("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let payload = if body.is_empty() {
        Value::Null
    } else if is_form {
        let text = std::str::from_utf8(body).map_err(|_| wrong("the form is not UTF-8 text".to_owned()))?;
        form::fields(text)
    } else {
        serde_json::from_slice(body).map_err(|error| wrong(format!("the body is not JSON: {error}")))?
    };
    Ok(Message { payload, headers: shown(headers, hook) })
}

/// What becomes of a genuine delivery.
///
/// # Errors
/// A filter or a mapping that fails on it, an event without a name, or parameters that do not fit.
pub fn answer(pipeline: &Pipeline, hook: &Webhook, message: &Message, body: &[u8]) -> Result<Answer, Unusable> {
    if hook.preset == Preset::Slack && message.payload["type"] == "url_verification" {
        let challenge = message.payload["challenge"].as_str().unwrap_or_default();
        return Ok(Answer::Echo(challenge.to_owned()));
    }
    let context = context(message);
    if let Some(when) = &hook.when {
        let holds = render_bool(when, &context).map_err(|error| failed(tm12::FILTER_FAILED, "the filter", &error))?;
        if !holds {
            return Ok(Answer::Filtered);
        }
    }
    let mut given = Map::new();
    for (name, how) in &hook.params {
        if let Some(value) = mapped(name, how, message, &context)? {
            given.insert(name.clone(), value);
        }
    }
    if let Err(found) = params::bind(pipeline, &given) {
        let reasons: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
        return Err(Unusable {
            code: tm12::MAPPING_FAILED,
            reason: reasons.join("; "),
            help: found.first().and_then(|finding| finding.help.clone()),
        });
    }
    Ok(Answer::Start { event: event(hook, message, body)?, params: given })
}

/// What templates of a webhook see.
fn context(message: &Message) -> Context {
    let extra = [("payload".to_owned(), message.payload.clone()), ("headers".to_owned(), json!(message.headers))];
    Context { extra: extra.into(), ..Context::default() }
}

/// The value of one parameter; a pointer to nothing leaves it to its default.
fn mapped(name: &str, how: &Value, message: &Message, context: &Context) -> Result<Option<Value>, Unusable> {
    if let Value::String(text) = how
        && text.starts_with('/')
    {
        return Ok(message.payload.pointer(text).filter(|value| !value.is_null()).cloned());
    }
    let what = format!("the mapping of `{name}`");
    render_value(how, context).map(Some).map_err(|error| failed(tm12::MAPPING_FAILED, &what, &error))
}

fn failed(code: &'static str, what: &str, error: &TemplateError) -> Unusable {
    Unusable { code, reason: format!("{what} fails: {}", error.message), help: error.help.clone() }
}

/// The event that a delivery tells of.
///
/// # Errors
/// The trigger says where the event's name is, and it is not there.
pub fn event(hook: &Webhook, message: &Message, body: &[u8]) -> Result<EventKey, Unusable> {
    let missing = |place: String| Unusable {
        code: tm12::NO_EVENT_KEY,
        reason: format!("{place} should name the event, and it is not there"),
        help: Some("change `key` of the trigger, or let the sender send it".to_owned()),
    };
    let header = |name: &str| message.headers.get(&name.to_lowercase()).filter(|value| !value.is_empty()).cloned();
    let named = match &hook.key {
        Some(DeliveryKey::Header(name)) => header(name).ok_or_else(|| missing(format!("the header `{name}`")))?,
        Some(DeliveryKey::Payload(pointer)) => {
            let place = || missing(format!("the payload's `{pointer}`"));
            message.payload.pointer(pointer).and_then(name).ok_or_else(place)?
        }
        Some(DeliveryKey::Body(span)) => return Ok(same_body(body, span.0)),
        None => {
            let own = match hook.preset {
                Preset::Github => header("x-github-delivery"),
                Preset::Stripe => message.payload.get("id").and_then(name),
                Preset::Slack => message.payload.get("event_id").and_then(name),
                Preset::Generic => None,
            };
            match own {
                Some(own) => own,
                None => return Ok(same_body(body, SAME_BODY)),
            }
        }
    };
    Ok(EventKey { key: format!("id/{}", short(named)), lasts: REMEMBERED })
}

fn name(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn same_body(body: &[u8], lasts: Duration) -> EventKey {
    EventKey { key: format!("body/{}", blake3::hash(body).to_hex()), lasts }
}

fn short(text: String) -> String {
    let plain = text.len() <= MAX_KEY && !text.contains('\0');
    if plain { text } else { blake3::hash(text.as_bytes()).to_hex().to_string() }
}

/// What templates of the run see as `trigger`.
pub fn trigger_data(trigger: &str, message: &Message) -> Value {
    json!({ "webhook": trigger, "payload": message.payload, "headers": message.headers })
}

#[cfg(test)]
mod tests;

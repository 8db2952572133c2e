//! What the providers of one protocol have in common.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{Call, Habits, Outgoing};
use crate::error::GatewayError;
use crate::request::{Part, Request};
use crate::secret::Secret;
use crate::wire::fields::Fields;
use crate::wire::openai;

/// Fields that change nothing about the answer; they end here where the other side does not know them.
const WITHOUT_EFFECT: [&str; 8] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "inference_geo",
];

/// Sets a header to a secret.
pub fn secret(
    headers: &mut HeaderMap,
    name: HeaderName,
    before: &str,
    key: Option<&Secret>,
) -> Result<(), GatewayError> {
    let Some(key) = key else { return Ok(()) };
    let wrong = |_| GatewayError::Secret {
        place: "a provider's key".to_owned(),
        reason: "it has signs that no header can carry".to_owned(),
    };
    let mut value = HeaderValue::try_from(format!("{before}{}", key.expose())).map_err(wrong)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// The end of the address of a call in OpenAI's protocol.
pub const fn path(call: Call) -> &'static str {
    match call {
        Call::Chat { .. } => "chat/completions",
        Call::Embed => "embeddings",
    }
}

/// Refuses by name what a provider cannot do.
pub fn possible(habits: &Habits, outgoing: &Outgoing<'_>) -> Result<(), GatewayError> {
    let (request, sampling) = (outgoing.request, &outgoing.request.sampling);
    let punished = |penalty: Option<f64>| penalty.is_some_and(|penalty| penalty != 0.0);
    let asked = [
        ("top_k", habits.top_k, sampling.top_k.is_some()),
        ("seed", habits.seed, sampling.seed.is_some()),
        ("presence_penalty", habits.penalties, punished(sampling.presence_penalty)),
        ("frequency_penalty", habits.penalties, punished(sampling.frequency_penalty)),
        ("parallel_tool_calls", habits.serial_tools, request.parallel_tools == Some(false)),
    ];
    if let Some((what, ..)) = asked.into_iter().find(|(_, can, asked)| *asked && !can) {
        return Err(unsupported(habits, format!("`{what}`")));
    }
    if outgoing.native { Ok(()) } else { nothing_foreign(habits, request) }
}

/// Refuses what a request holds that only its own protocol knows.
fn nothing_foreign(habits: &Habits, request: &Request) -> Result<(), GatewayError> {
    if let Some(field) = request.extra.keys().find(|key| !WITHOUT_EFFECT.contains(&key.as_str())) {
        return Err(unsupported(habits, format!("`{field}`")));
    }
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        if let Part::Foreign(value) = part {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
            return Err(unsupported(habits, format!("content of type `{kind}`")));
        }
    }
    Ok(())
}

fn unsupported(habits: &Habits, what: String) -> GatewayError {
    GatewayError::Unsupported { what, provider: habits.name.to_owned() }
}

/// For providers that make no vectors.
pub fn no_vectors(habits: &Habits) -> GatewayError {
    unsupported(habits, "a request for embeddings".to_owned())
}

/// A body in OpenAI's protocol.
pub fn write(habits: &Habits, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
    possible(habits, outgoing)?;
    let request = Request { max_tokens: Some(outgoing.max_tokens), ..outgoing.request.clone() };
    let mut body = openai::write_request(&request, outgoing.model, habits.max_tokens);
    if outgoing.native {
        body.extend(request.extra);
    }
    if let Some(top_k) = request.sampling.top_k {
        body.insert("top_k".to_owned(), top_k.into());
    }
    if let Some(switch) = habits.off_for_whole_answers.filter(|_| !request.stream) {
        body.entry(switch).or_insert(Value::Bool(false));
    }
    Ok(bytes(&body))
}

/// The bytes of a request with what every server of OpenAI's protocol needs: the model, the most tokens under the name it
/// knows, and the usage at the end of a stream.
pub fn patched(habits: &Habits, fields: &Fields, outgoing: &Outgoing<'_>) -> Vec<u8> {
    let mut patches = vec![("model", Some(Value::from(outgoing.model).to_string()))];
    let other = if habits.max_tokens == "max_tokens" { "max_completion_tokens" } else { "max_tokens" };
    if outgoing.request.max_tokens != Some(outgoing.max_tokens) || fields.raw(habits.max_tokens).is_none() {
        patches.push((habits.max_tokens, Some(outgoing.max_tokens.to_string())));
    }
    if fields.raw(other).is_some() {
        patches.push((other, None));
    }
    if outgoing.request.stream && !outgoing.request.include_usage {
        patches.push(("stream_options", Some(r#"{"include_usage":true}"#.to_owned())));
    }
    if let Some(switch) =
        habits.off_for_whole_answers.filter(|name| !outgoing.request.stream && fields.raw(name).is_none())
    {
        patches.push((switch, Some("false".to_owned())));
    }
    fields.patched(&patches)
}

/// A map as the bytes of a body.
pub fn bytes(body: &Map<String, Value>) -> Vec<u8> {
    // A map of values always prints.
    serde_json::to_vec(body).unwrap_or_default()
}

//! What the providers of one protocol have in common.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::Outgoing;
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

/// Refuses what a request holds that only its own protocol knows.
pub fn nothing_foreign(request: &Request, provider: &str) -> Result<(), GatewayError> {
    let refuse = |what: String| Err(GatewayError::Unsupported { what, provider: provider.to_owned() });
    if let Some(field) = request.extra.keys().find(|key| !WITHOUT_EFFECT.contains(&key.as_str())) {
        return refuse(format!("`{field}`"));
    }
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        if let Part::Foreign(value) = part {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
            return refuse(format!("content of type `{kind}`"));
        }
    }
    Ok(())
}

/// Refuses a setting by name where the protocol has none like it.
pub fn without(what: &str, set: bool, provider: &str) -> Result<(), GatewayError> {
    if set {
        return Err(GatewayError::Unsupported { what: format!("`{what}`"), provider: provider.to_owned() });
    }
    Ok(())
}

/// A body in OpenAI's protocol.
pub fn openai_body(
    outgoing: &Outgoing<'_>,
    max_tokens_name: &str,
    provider: &str,
) -> Result<Map<String, Value>, GatewayError> {
    if !outgoing.native {
        nothing_foreign(outgoing.request, provider)?;
    }
    let request = Request { max_tokens: Some(outgoing.max_tokens), ..outgoing.request.clone() };
    let mut body = openai::write_request(&request, outgoing.model, max_tokens_name);
    if outgoing.native {
        body.extend(request.extra);
    }
    Ok(body)
}

/// The patches that every server of OpenAI's protocol needs: the model, the most tokens under the name it knows, and
/// the usage at the end of a stream.
pub fn openai_patches<'n>(
    fields: &Fields,
    outgoing: &Outgoing<'_>,
    max_tokens_name: &'n str,
) -> Vec<(&'n str, Option<String>)> {
    let mut patches = vec![("model", Some(Value::from(outgoing.model).to_string()))];
    let other = if max_tokens_name == "max_tokens" { "max_completion_tokens" } else { "max_tokens" };
    if outgoing.request.max_tokens != Some(outgoing.max_tokens) || fields.raw(max_tokens_name).is_none() {
        patches.push((max_tokens_name, Some(outgoing.max_tokens.to_string())));
    }
    if fields.raw(other).is_some() {
        patches.push((other, None));
    }
    if outgoing.request.stream && !outgoing.request.include_usage {
        patches.push(("stream_options", Some(r#"{"include_usage":true}"#.to_owned())));
    }
    patches
}

/// A map as the bytes of a body.
pub fn bytes(body: &Map<String, Value>) -> Vec<u8> {
    // A map of values always prints.
    serde_json::to_vec(body).unwrap_or_default()
}

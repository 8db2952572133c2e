//! No seed and no penalties; the most tokens is always there.

use serde_json::Value;

use crate::error::GatewayError;
use crate::providers::{Outgoing, shared};
use crate::request::EmbedRequest;
use crate::wire::anthropic;
use crate::wire::fields::Fields;

const NAME: &str = "anthropic";

/// The body of a request.
pub fn write(outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
    let Outgoing { request, model, max_tokens, native } = *outgoing;
    let sampling = &request.sampling;
    shared::without("seed", sampling.seed.is_some(), NAME)?;
    shared::without("presence_penalty", sampling.presence_penalty.is_some_and(|p| p != 0.0), NAME)?;
    shared::without("frequency_penalty", sampling.frequency_penalty.is_some_and(|p| p != 0.0), NAME)?;
    if !native {
        shared::nothing_foreign(request, NAME)?;
    }
    let mut body = anthropic::write_request(request, model, max_tokens)?;
    if native {
        let (tools, fields): (Vec<_>, Vec<_>) =
            request.extra.clone().into_iter().partition(|(key, _)| key.starts_with("tools["));
        body.extend(fields);
        if let Some(list) = body.entry("tools").or_insert_with(|| Value::Array(Vec::new())).as_array_mut() {
            list.extend(tools.into_iter().map(|(_, tool)| tool));
        }
        if body.get("tools").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            body.remove("tools");
        }
    }
    Ok(shared::bytes(&body))
}

/// The same from its bytes.
pub fn patch(fields: &Fields, outgoing: &Outgoing<'_>) -> Vec<u8> {
    let mut patches = vec![("model", Some(Value::from(outgoing.model).to_string()))];
    if outgoing.request.max_tokens != Some(outgoing.max_tokens) {
        patches.push(("max_tokens", Some(outgoing.max_tokens.to_string())));
    }
    fields.patched(&patches)
}

/// It makes no vectors.
pub fn embed(_: &EmbedRequest, _: &str) -> Result<Vec<u8>, GatewayError> {
    Err(GatewayError::Unsupported { what: "a request for embeddings".to_owned(), provider: NAME.to_owned() })
}

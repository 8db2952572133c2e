//! No seed and no penalties; the most tokens is always there. It makes no vectors.

use serde_json::Value;

use super::Anthropic;
use crate::error::GatewayError;
use crate::providers::{Habits, Outgoing, Requests, shared};
use crate::request::EmbedRequest;
use crate::wire::anthropic;
use crate::wire::fields::Fields;

impl Requests for Anthropic {
    fn habits(&self) -> Habits {
        Habits { seed: false, penalties: false, ..Habits::of("anthropic") }
    }

    fn request(&self, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        let Outgoing { request, model, max_tokens, native } = *outgoing;
        shared::possible(&self.habits(), outgoing)?;
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

    fn patch(&self, fields: &Fields, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        let mut patches = vec![("model", Some(Value::from(outgoing.model).to_string()))];
        if outgoing.request.max_tokens != Some(outgoing.max_tokens) {
            patches.push(("max_tokens", Some(outgoing.max_tokens.to_string())));
        }
        Ok(fields.patched(&patches))
    }

    fn embed_request(&self, _: &EmbedRequest, _: &str) -> Result<Vec<u8>, GatewayError> {
        Err(shared::no_vectors(&self.habits()))
    }
}

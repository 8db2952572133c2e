//! The older name of the most tokens; `top_k` is known; hidden reasoning only works in pieces, so it is off for
//! whole answers unless the caller says otherwise.

use crate::error::GatewayError;
use crate::providers::{Outgoing, shared};
use crate::request::EmbedRequest;
use crate::wire::fields::Fields;
use crate::wire::openai;

const MAX_TOKENS: &str = "max_tokens";
const THINKING: &str = "enable_thinking";

/// The body of a request.
pub fn write(outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
    let mut body = shared::openai_body(outgoing, MAX_TOKENS, "qwen")?;
    if let Some(top_k) = outgoing.request.sampling.top_k {
        body.insert("top_k".to_owned(), top_k.into());
    }
    if !outgoing.request.stream && !body.contains_key(THINKING) {
        body.insert(THINKING.to_owned(), false.into());
    }
    Ok(shared::bytes(&body))
}

/// The same from its bytes.
pub fn patch(fields: &Fields, outgoing: &Outgoing<'_>) -> Vec<u8> {
    let mut patches = shared::openai_patches(fields, outgoing, MAX_TOKENS);
    if !outgoing.request.stream && fields.raw(THINKING).is_none() {
        patches.push((THINKING, Some("false".to_owned())));
    }
    fields.patched(&patches)
}

/// The body of a request for vectors.
pub fn embed(request: &EmbedRequest, model: &str) -> Vec<u8> {
    openai::write_embed_request(request, model).to_string().into_bytes()
}

//! The older name of the most tokens, which every server knows, and `top_k`, which all of these have.

use crate::error::GatewayError;
use crate::providers::{Outgoing, shared};
use crate::request::EmbedRequest;
use crate::wire::fields::Fields;
use crate::wire::openai;

const MAX_TOKENS: &str = "max_tokens";

/// The body of a request.
pub fn write(outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
    let mut body = shared::openai_body(outgoing, MAX_TOKENS, "compatible")?;
    if let Some(top_k) = outgoing.request.sampling.top_k {
        body.insert("top_k".to_owned(), top_k.into());
    }
    Ok(shared::bytes(&body))
}

/// The same from its bytes.
pub fn patch(fields: &Fields, outgoing: &Outgoing<'_>) -> Vec<u8> {
    fields.patched(&shared::openai_patches(fields, outgoing, MAX_TOKENS))
}

/// The body of a request for vectors.
pub fn embed(request: &EmbedRequest, model: &str) -> Vec<u8> {
    openai::write_embed_request(request, model).to_string().into_bytes()
}

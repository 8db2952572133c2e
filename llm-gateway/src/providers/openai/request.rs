//! The newer name of the most tokens, which all its models know; no `top_k`.

use crate::error::GatewayError;
use crate::providers::{Outgoing, shared};
use crate::request::EmbedRequest;
use crate::wire::fields::Fields;
use crate::wire::openai;

const MAX_TOKENS: &str = "max_completion_tokens";

/// The body of a request.
pub fn write(outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
    shared::without("top_k", outgoing.request.sampling.top_k.is_some(), "openai")?;
    Ok(shared::bytes(&shared::openai_body(outgoing, MAX_TOKENS, "openai")?))
}

/// The same from its bytes.
pub fn patch(fields: &Fields, outgoing: &Outgoing<'_>) -> Vec<u8> {
    fields.patched(&shared::openai_patches(fields, outgoing, MAX_TOKENS))
}

/// The body of a request for vectors.
pub fn embed(request: &EmbedRequest, model: &str) -> Vec<u8> {
    openai::write_embed_request(request, model).to_string().into_bytes()
}

//! The older name of the most tokens. It constrains answers to JSON but not to a schema: the schema goes into the
//! instructions, and whether the answer fits is checked here as everywhere.

use serde_json::{Map, Value, json};

use crate::error::GatewayError;
use crate::providers::{Outgoing, shared};
use crate::request::{EmbedRequest, Format, Message, Request, Role};
use crate::wire::fields::Fields;

const MAX_TOKENS: &str = "max_tokens";
const NAME: &str = "deepseek";

/// The body of a request.
pub fn write(outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
    shared::without("top_k", outgoing.request.sampling.top_k.is_some(), NAME)?;
    shared::without("seed", outgoing.request.sampling.seed.is_some(), NAME)?;
    body(outgoing).map(|body| shared::bytes(&body))
}

/// The same from its bytes; a request for a schema is written anew.
pub fn patch(fields: &Fields, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
    if matches!(outgoing.request.format, Format::JsonSchema { .. }) {
        return write(outgoing);
    }
    Ok(fields.patched(&shared::openai_patches(fields, outgoing, MAX_TOKENS)))
}

fn body(outgoing: &Outgoing<'_>) -> Result<Map<String, Value>, GatewayError> {
    let Format::JsonSchema { schema, .. } = &outgoing.request.format else {
        return shared::openai_body(outgoing, MAX_TOKENS, NAME);
    };
    let mut request = Request { format: Format::JsonObject, ..outgoing.request.clone() };
    let order = format!("Answer with one JSON object that fits this JSON Schema, and nothing else:\n{schema}");
    let after = request.messages.iter().take_while(|message| message.role == Role::System).count();
    request.messages.insert(after, Message::text(Role::System, order));
    let mut body = shared::openai_body(&Outgoing { request: &request, ..*outgoing }, MAX_TOKENS, NAME)?;
    body.insert("response_format".to_owned(), json!({"type": "json_object"}));
    Ok(body)
}

/// It makes no vectors.
pub fn embed(_: &EmbedRequest, _: &str) -> Result<Vec<u8>, GatewayError> {
    Err(GatewayError::Unsupported { what: "a request for embeddings".to_owned(), provider: NAME.to_owned() })
}

//! The older name of the most tokens. It constrains answers to JSON but not to a schema: the schema goes into the
//! instructions, and whether the answer fits is checked here as everywhere. It makes no vectors.

use super::DeepSeek;
use crate::error::GatewayError;
use crate::providers::{Habits, Outgoing, Requests, shared};
use crate::request::{EmbedRequest, Format, Message, Request, Role};
use crate::wire::fields::Fields;

impl Requests for DeepSeek {
    fn habits(&self) -> Habits {
        Habits { top_k: false, seed: false, ..Habits::of("deepseek") }
    }

    fn request(&self, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        let Format::JsonSchema { schema, .. } = &outgoing.request.format else {
            return shared::write(&self.habits(), outgoing);
        };
        let mut request = Request { format: Format::JsonObject, ..outgoing.request.clone() };
        let order = format!("Answer with one JSON object that fits this JSON Schema, and nothing else:\n{schema}");
        let after = request.messages.iter().take_while(|message| message.role == Role::System).count();
        request.messages.insert(after, Message::text(Role::System, order));
        shared::write(&self.habits(), &Outgoing { request: &request, ..*outgoing })
    }

    fn patch(&self, fields: &Fields, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        // A request for a schema is written anew.
        match outgoing.request.format {
            Format::JsonSchema { .. } => self.request(outgoing),
            _ => Ok(shared::patched(&self.habits(), fields, outgoing)),
        }
    }

    fn embed_request(&self, _: &EmbedRequest, _: &str) -> Result<Vec<u8>, GatewayError> {
        Err(shared::no_vectors(&self.habits()))
    }
}

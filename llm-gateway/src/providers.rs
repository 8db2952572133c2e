//! Who runs models: a folder each, with the same four files. `mod.rs` has the address and the headers; `request.rs`,
//! `response.rs` and `stream.rs` are pure, from our types to its bytes and back. OpenAI's protocol is what all four are
//! without another word, so each file holds only what its provider does otherwise.

mod anthropic;
mod azure;
mod compatible;
mod deepseek;
mod gemini;
mod openai;
mod qwen;
mod shared;

use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::answer::{Answer, Embeddings};
use crate::config::ProviderKind;
use crate::error::{Failure, GatewayError};
use crate::request::{EmbedRequest, Request};
use crate::secret::Secret;
use crate::usage::Usage;
use crate::wire::fields::Fields;
use crate::wire::{self, Dialect, ReadStream};

/// What is asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// An answer, whole or in pieces.
    Chat {
        /// In pieces.
        stream: bool,
    },
    /// Vectors.
    Embed,
}

/// Where a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its address without a slash at the end.
    pub url: String,
    /// The version of its protocol.
    pub version: String,
}

/// A request for one deployment.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// The model as the provider names it.
    pub model: &'a str,
    /// The most tokens of the answer; what was reserved.
    pub max_tokens: u32,
    /// Whether the request came in the provider's own dialect, so that its other fields mean the same there.
    pub native: bool,
}

/// A provider: where it is and how it is asked. What is not said otherwise is as in OpenAI's protocol. Nothing here does I/O.
pub trait Provider: Requests + Responses + Streams + Send + Sync + 'static {
    /// The protocol.
    fn dialect(&self) -> Dialect {
        Dialect::Openai
    }

    /// The public address; `None` where each customer has another.
    fn public_url(&self) -> Option<&'static str> {
        None
    }

    /// The version of the protocol this was tested with; empty if it has none.
    fn version(&self) -> &'static str {
        ""
    }

    /// The address of a call.
    fn url(&self, site: &Site, _model: &str, call: Call) -> String {
        format!("{}/{}", site.url, shared::path(call))
    }

    /// Adds what names us.
    ///
    /// # Errors
    /// The key has signs that no header can carry.
    fn authorize(&self, _site: &Site, key: Option<&Secret>, headers: &mut HeaderMap) -> Result<(), GatewayError> {
        shared::secret(headers, AUTHORIZATION, "Bearer ", key)
    }
}

/// What requests to a provider may hold, and the one name that differs between servers of OpenAI's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// The provider as errors name it.
    pub name: &'static str,
    /// The name of the most tokens of an answer.
    pub max_tokens: &'static str,
    /// A switch that must be off for whole answers unless the caller sets it.
    pub off_for_whole_answers: Option<&'static str>,
    /// Whether tokens may be drawn from the likeliest few only.
    pub top_k: bool,
    /// Whether draws may be repeated.
    pub seed: bool,
    /// Whether repetition may be punished.
    pub penalties: bool,
    /// Whether tools may be kept from being called together.
    pub serial_tools: bool,
}

impl Habits {
    /// Of a server that does everything under its older name.
    pub const fn of(name: &'static str) -> Self {
        Self {
            name,
            max_tokens: "max_tokens",
            off_for_whole_answers: None,
            top_k: true,
            seed: true,
            penalties: true,
            serial_tools: true,
        }
    }
}

/// From our types to a provider's bytes.
pub trait Requests {
    /// What requests may hold.
    fn habits(&self) -> Habits;

    /// The body of a request.
    ///
    /// # Errors
    /// Something is asked for that the provider cannot do.
    fn request(&self, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        shared::write(&self.habits(), outgoing)
    }

    /// The same from the bytes of a request in the provider's own dialect: only what must change is changed.
    ///
    /// # Errors
    /// Something is asked for that the provider cannot do.
    fn patch(&self, fields: &Fields, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        Ok(shared::patched(&self.habits(), fields, outgoing))
    }

    /// The body of a request for vectors.
    ///
    /// # Errors
    /// The provider makes none.
    fn embed_request(&self, request: &EmbedRequest, model: &str) -> Result<Vec<u8>, GatewayError> {
        Ok(wire::openai::write_embed_request(request, model).to_string().into_bytes())
    }
}

/// From a provider's bytes to our types.
pub trait Responses {
    /// Reads a whole answer; the usage is `None` where the provider did not tell.
    ///
    /// # Errors
    /// It is no answer.
    fn answer(&self, body: &[u8]) -> Result<(Answer, Option<Usage>), Failure> {
        wire::openai::read_answer(body)
    }

    /// What an error answer means.
    fn failure(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        wire::openai::read_failure(status, retry_after, body)
    }

    /// Reads vectors; the flag says whether the provider told the tokens.
    ///
    /// # Errors
    /// They are not there.
    fn embeddings(&self, body: &[u8], texts: usize) -> Result<(Embeddings, bool), Failure> {
        wire::openai::read_embeddings(body, texts)
    }
}

/// The same for answers in pieces.
pub trait Streams {
    /// Reads an answer in pieces.
    fn reader(&self) -> Box<dyn ReadStream> {
        Box::new(wire::openai::Reader::default())
    }
}

/// The provider of a kind.
pub fn of(kind: ProviderKind) -> &'static dyn Provider {
    match kind {
        ProviderKind::Openai => &openai::OpenAi,
        ProviderKind::Anthropic => &anthropic::Anthropic,
        ProviderKind::Qwen => &qwen::Qwen,
        ProviderKind::Deepseek => &deepseek::DeepSeek,
        ProviderKind::Azure => &azure::Azure,
        ProviderKind::Gemini => &gemini::Gemini,
        ProviderKind::Compatible => &compatible::Compatible,
    }
}

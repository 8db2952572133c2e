//! Who runs models: a folder each, with the same four files. `mod.rs` has the address, the headers and what the
//! provider can do; `request.rs`, `response.rs` and `stream.rs` are pure, from our types to its bytes and back.

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

use crate::answer::{Answer, Embeddings};
use crate::config::ProviderKind;
use crate::error::{Failure, GatewayError};
use crate::request::{EmbedRequest, Request};
use crate::secret::Secret;
use crate::usage::Usage;
use crate::wire::fields::Fields;
use crate::wire::{Dialect, ReadStream};

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

/// A provider's protocol and habits. Nothing here does I/O.
pub trait Provider: Send + Sync + 'static {
    /// The protocol.
    fn dialect(&self) -> Dialect;

    /// The public address; `None` where each customer has another.
    fn public_url(&self) -> Option<&'static str>;

    /// The version of the protocol this was tested with; empty if it has none.
    fn version(&self) -> &'static str {
        ""
    }

    /// The address of a call.
    fn url(&self, site: &Site, model: &str, call: Call) -> String;

    /// Adds what names us.
    ///
    /// # Errors
    /// The key has signs that no header can carry.
    fn authorize(&self, site: &Site, key: Option<&Secret>, headers: &mut HeaderMap) -> Result<(), GatewayError>;

    /// The body of a request.
    ///
    /// # Errors
    /// Something is asked for that the provider cannot do.
    fn request(&self, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError>;

    /// The same from the bytes of a request in the provider's own dialect: only what must change is changed.
    ///
    /// # Errors
    /// Something is asked for that the provider cannot do.
    fn patch(&self, fields: &Fields, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError>;

    /// Reads a whole answer; the usage is `None` where the provider did not tell.
    ///
    /// # Errors
    /// It is no answer.
    fn answer(&self, body: &[u8]) -> Result<(Answer, Option<Usage>), Failure>;

    /// Reads an answer in pieces.
    fn reader(&self) -> Box<dyn ReadStream>;

    /// What an error answer means.
    fn failure(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure;

    /// The body of a request for vectors.
    ///
    /// # Errors
    /// The provider makes none.
    fn embed_request(&self, request: &EmbedRequest, model: &str) -> Result<Vec<u8>, GatewayError>;

    /// Reads vectors; the flag says whether the provider told the tokens.
    ///
    /// # Errors
    /// They are not there.
    fn embeddings(&self, body: &[u8], texts: usize) -> Result<(Embeddings, bool), Failure>;
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

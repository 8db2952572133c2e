//! Google Gemini: https://ai.google.dev/api/generate-content.

mod request;
mod response;
mod stream;

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderName;

use super::{Call, Outgoing, Provider, Site, shared};
use crate::answer::{Answer, Embeddings};
use crate::error::{Failure, GatewayError};
use crate::request::EmbedRequest;
use crate::secret::Secret;
use crate::usage::Usage;
use crate::wire::fields::Fields;
use crate::wire::{Dialect, ReadStream};

/// Google Gemini.
pub struct Gemini;

impl Provider for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn public_url(&self) -> Option<&'static str> {
        Some("https://generativelanguage.googleapis.com")
    }

    fn version(&self) -> &'static str {
        "v1beta"
    }

    fn url(&self, site: &Site, model: &str, call: Call) -> String {
        let what = match call {
            Call::Chat { stream: false } => "generateContent",
            Call::Chat { stream: true } => "streamGenerateContent?alt=sse",
            Call::Embed => "batchEmbedContents",
        };
        format!("{}/{}/models/{model}:{what}", site.url, site.version)
    }

    fn authorize(&self, _: &Site, key: Option<&Secret>, headers: &mut HeaderMap) -> Result<(), GatewayError> {
        shared::secret(headers, HeaderName::from_static("x-goog-api-key"), "", key)
    }

    fn request(&self, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        request::write(outgoing)
    }

    fn patch(&self, _: &Fields, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        // No caller speaks this protocol, so every request is written anew.
        request::write(outgoing)
    }

    fn answer(&self, body: &[u8]) -> Result<(Answer, Option<Usage>), Failure> {
        response::answer(body)
    }

    fn reader(&self) -> Box<dyn ReadStream> {
        stream::reader()
    }

    fn failure(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        response::failure(status, retry_after, body)
    }

    fn embed_request(&self, request: &EmbedRequest, model: &str) -> Result<Vec<u8>, GatewayError> {
        Ok(request::embed(request, model))
    }

    fn embeddings(&self, body: &[u8], texts: usize) -> Result<(Embeddings, bool), Failure> {
        response::embeddings(body, texts)
    }
}

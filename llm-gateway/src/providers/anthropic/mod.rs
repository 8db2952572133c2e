//! Anthropic: https://docs.anthropic.com/en/api/messages.

mod request;
mod response;
mod stream;

use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::{Call, Outgoing, Provider, Site, shared};
use crate::answer::{Answer, Embeddings};
use crate::error::{Failure, GatewayError};
use crate::request::EmbedRequest;
use crate::secret::Secret;
use crate::usage::Usage;
use crate::wire::fields::Fields;
use crate::wire::{Dialect, ReadStream};

/// Anthropic.
pub struct Anthropic;

impl Provider for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn public_url(&self) -> Option<&'static str> {
        Some("https://api.anthropic.com")
    }

    fn version(&self) -> &'static str {
        "2023-06-01"
    }

    fn url(&self, site: &Site, _: &str, _: Call) -> String {
        format!("{}/v1/messages", site.url)
    }

    fn authorize(&self, site: &Site, key: Option<&Secret>, headers: &mut HeaderMap) -> Result<(), GatewayError> {
        let wrong = |_| GatewayError::Config {
            path: "gateway.providers".to_owned(),
            reason: format!("`{}` is not a version", site.version),
        };
        let version = HeaderValue::try_from(&site.version).map_err(wrong)?;
        headers.insert(HeaderName::from_static("anthropic-version"), version);
        shared::secret(headers, HeaderName::from_static("x-api-key"), "", key)
    }

    fn request(&self, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        request::write(outgoing)
    }

    fn patch(&self, fields: &Fields, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        Ok(request::patch(fields, outgoing))
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
        request::embed(request, model)
    }

    fn embeddings(&self, body: &[u8], texts: usize) -> Result<(Embeddings, bool), Failure> {
        response::embeddings(body, texts)
    }
}

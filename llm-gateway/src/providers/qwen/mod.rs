//! Qwen, through DashScope's compatible mode: https://www.alibabacloud.com/help/en/model-studio/.

mod request;
mod response;
mod stream;

use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::{Call, Outgoing, Provider, Site, shared};
use crate::answer::{Answer, Embeddings};
use crate::error::{Failure, GatewayError};
use crate::request::EmbedRequest;
use crate::secret::Secret;
use crate::usage::Usage;
use crate::wire::fields::Fields;
use crate::wire::{Dialect, ReadStream};

/// Qwen.
pub struct Qwen;

impl Provider for Qwen {
    fn dialect(&self) -> Dialect {
        Dialect::Openai
    }

    fn public_url(&self) -> Option<&'static str> {
        Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1")
    }

    fn url(&self, site: &Site, _: &str, call: Call) -> String {
        match call {
            Call::Chat { .. } => format!("{}/chat/completions", site.url),
            Call::Embed => format!("{}/embeddings", site.url),
        }
    }

    fn authorize(&self, _: &Site, key: Option<&Secret>, headers: &mut HeaderMap) -> Result<(), GatewayError> {
        shared::secret(headers, AUTHORIZATION, "Bearer ", key)
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
        Ok(request::embed(request, model))
    }

    fn embeddings(&self, body: &[u8], texts: usize) -> Result<(Embeddings, bool), Failure> {
        response::embeddings(body, texts)
    }
}

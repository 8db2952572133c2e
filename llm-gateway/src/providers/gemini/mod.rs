//! Google Gemini: https://ai.google.dev/api/generate-content.

mod request;
mod response;
mod stream;

use http::HeaderMap;
use http::header::HeaderName;

use super::{Call, Provider, Site, shared};
use crate::error::GatewayError;
use crate::secret::Secret;
use crate::wire::Dialect;

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
}

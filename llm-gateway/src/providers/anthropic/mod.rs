//! Anthropic: https://docs.anthropic.com/en/api/messages.

mod request;
mod response;
mod stream;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::{Call, Provider, Site, shared};
use crate::error::GatewayError;
use crate::secret::Secret;
use crate::wire::Dialect;

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
}

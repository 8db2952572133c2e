//! Azure OpenAI: https://learn.microsoft.com/azure/ai-services/openai/reference. The address names the deployment.

mod request;
mod response;
mod stream;

use http::HeaderMap;
use http::header::HeaderName;

use super::{Call, Provider, Site, shared};
use crate::error::GatewayError;
use crate::secret::Secret;

/// Azure OpenAI.
pub struct Azure;

impl Provider for Azure {
    fn version(&self) -> &'static str {
        "2024-10-21"
    }

    fn url(&self, site: &Site, model: &str, call: Call) -> String {
        format!("{}/openai/deployments/{model}/{}?api-version={}", site.url, shared::path(call), site.version)
    }

    fn authorize(&self, _: &Site, key: Option<&Secret>, headers: &mut HeaderMap) -> Result<(), GatewayError> {
        shared::secret(headers, HeaderName::from_static("api-key"), "", key)
    }
}

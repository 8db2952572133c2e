//! OpenAI: https://platform.openai.com/docs/api-reference/chat.

mod request;
mod response;
mod stream;

use super::Provider;

/// OpenAI.
pub struct OpenAi;

impl Provider for OpenAi {
    fn public_url(&self) -> Option<&'static str> {
        Some("https://api.openai.com/v1")
    }
}

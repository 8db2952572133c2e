//! DeepSeek: https://api-docs.deepseek.com/api/create-chat-completion.

mod request;
mod response;
mod stream;

use super::Provider;

/// DeepSeek.
pub struct DeepSeek;

impl Provider for DeepSeek {
    fn public_url(&self) -> Option<&'static str> {
        Some("https://api.deepseek.com")
    }
}

//! Qwen, through DashScope's compatible mode: https://www.alibabacloud.com/help/en/model-studio/.

mod request;
mod response;
mod stream;

use super::Provider;

/// Qwen.
pub struct Qwen;

impl Provider for Qwen {
    fn public_url(&self) -> Option<&'static str> {
        Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1")
    }
}

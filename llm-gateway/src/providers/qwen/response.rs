//! Answers of OpenAI's protocol; the content filter has a code of its own.

use std::time::Duration;

use serde_json::Value;

use super::Qwen;
use crate::error::Failure;
use crate::providers::Responses;
use crate::wire::openai;

impl Responses for Qwen {
    fn failure(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let code = value.pointer("/error/code").or_else(|| value.get("code")).and_then(Value::as_str);
        let message = value.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
        match code {
            Some("data_inspection_failed" | "DataInspectionFailed") => Failure::Declined,
            // The window is a range of lengths in its words.
            Some(_) if status == 400 && message.contains("Range of input length should be") => Failure::OverWindow,
            _ => openai::read_failure(status, retry_after, body),
        }
    }
}

//! Answers of OpenAI's protocol; its content filter hides behind a general code.

use std::time::Duration;

use serde_json::Value;

use super::Azure;
use crate::error::Failure;
use crate::providers::Responses;
use crate::wire::openai;

impl Responses for Azure {
    fn failure(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let inner = value.pointer("/error/innererror/code").and_then(Value::as_str);
        if inner == Some("ResponsibleAIPolicyViolation") {
            return Failure::Declined;
        }
        openai::read_failure(status, retry_after, body)
    }
}

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Failure, GatewayError};

/// A provider's own text in our errors is cut to this.
const SHOWN: usize = 300;

/// What a provider's error answer means.
pub fn read_failure(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = value.get("error").unwrap_or(&value);
    let code = error.get("code").and_then(Value::as_str).unwrap_or_default();
    let kind = error.get("type").and_then(Value::as_str).unwrap_or_default();
    let message = error.get("message").and_then(Value::as_str).or_else(|| error.as_str()).unwrap_or_default();
    classify(status, retry_after, [code, kind], message)
}

/// What an error in the middle of a stream means.
pub(super) fn in_stream(error: &Value) -> Failure {
    let kind = error.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" => Failure::Limited { retry_after: None },
        _ => Failure::Status { status: 500, retry_after: None },
    }
}

/// The same for every provider: status first, then the provider's words.
pub(crate) fn classify(status: u16, retry_after: Option<Duration>, words: [&str; 2], message: &str) -> Failure {
    let over_window = words.contains(&"context_length_exceeded")
        || words.contains(&"exceed_context_size_error")
        || (status == 400
            && [
                "maximum context length",
                "prompt is too long",
                "input token count",
                "exceeds the available context size",
            ]
            .iter()
            .any(|sign| message.contains(sign)));
    let filtered = words.contains(&"content_filter") || words.contains(&"content_policy_violation");
    match status {
        400 | 413 | 422 if over_window => Failure::OverWindow,
        400 if filtered => Failure::Declined,
        401 | 403 => Failure::Auth { status },
        429 => Failure::Limited { retry_after },
        408 | 409 | 425 | 500.. => Failure::Status { status, retry_after },
        _ => Failure::Refused { status, message: shortened(message) },
    }
}

fn shortened(message: &str) -> String {
    let mut text: String = message.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if text.is_empty() {
        text.push_str("no reason is given");
    }
    text
}

/// An error as callers of the protocol expect it, with the code and the route that was tried.
pub fn write_error(error: &GatewayError) -> Value {
    let kind = match error.status() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    let field = match error {
        GatewayError::BadRequest { field, .. } => field.as_deref(),
        _ => None,
    };
    json!({"error": {
        "message": error.to_string(),
        "type": kind,
        "param": field,
        "code": error.code(),
        "route": error.tried(),
    }})
}

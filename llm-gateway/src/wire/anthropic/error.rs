use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Failure, GatewayError};
use crate::wire::openai::classify;

/// What a provider's error answer means.
pub fn read_failure(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| value.pointer(key).and_then(Value::as_str).unwrap_or_default();
    // 529 is the protocol's own status for an overloaded service.
    classify(status, retry_after, [text("/error/type"), ""], text("/error/message"))
}

/// What an error in the middle of a stream means.
pub(super) fn in_stream(error: &Value) -> Failure {
    match error.get("type").and_then(Value::as_str) {
        Some("rate_limit_error") => Failure::Limited { retry_after: None },
        Some("overloaded_error") => Failure::Status { status: 529, retry_after: None },
        _ => Failure::Status { status: 500, retry_after: None },
    }
}

/// An error as callers of the protocol expect it, with the code and the route that was tried.
pub fn write_error(error: &GatewayError) -> Value {
    let kind = match error.status() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {
        "type": kind,
        "message": error.to_string(),
        "code": error.code(),
        "route": error.tried(),
    }})
}

//! Conditional GET: whoever has seen an answer need not be sent it again.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// JSON answers are at most this long; pages and previews are bounded well below.
const LONGEST: usize = 64 << 20;

/// Gives JSON answers to GET an `ETag` where the operation has not, and leaves the body out where the caller has it.
pub(crate) async fn conditional(request: Request, next: Next) -> Response {
    let asked = *request.method() == Method::GET;
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let answer = next.run(request).await;
    if !asked || answer.status() != StatusCode::OK || !is_json(answer.headers()) {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else { return Problem::fault().into_response() };
    if !head.headers.contains_key(header::ETAG) {
        let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            head.headers.insert(header::ETAG, tag);
        }
    }
    let tag = head.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    if known.is_some_and(|known| matches(known.to_str().unwrap_or_default(), tag)) {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(header::CONTENT_TYPE);
        head.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(body))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/json")
}

/// Whether a list of tags, as in `If-None-Match`, has this one. Weak tags match strong ones here.
pub(crate) fn matches(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|each| each == "*" || each.strip_prefix("W/").unwrap_or(each) == tag)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn tags_are_found_in_lists() {
        assert!(matches("\"a\"", "\"a\"") && matches("\"b\", W/\"a\"", "\"a\"") && matches("*", "\"a\""));
        assert!(!matches("\"ab\"", "\"a\"") && !matches("", "\"a\""));
    }
}

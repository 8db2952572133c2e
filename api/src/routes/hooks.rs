//! Where webhooks arrive. Callers are recognised by signatures, so they may come from anywhere.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;
use tidemill_dag::codes::tm12;
use tidemill_dag::hook::Headers;

use crate::hooks::{HookError, Hooks, MOST_BYTES, Received, Site};
use crate::problem::Problem;

/// The only route that is open to all the world.
pub(crate) fn router(site: Site) -> Router {
    Router::new()
        .route("/hooks/{pipeline}/{trigger}", post(receive).fallback(super::wrong_method))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(Arc::new(Hooks::new(site)))
}

/// Takes a delivery: 202 with its run, 200 where it needs none.
async fn receive(
    State(hooks): State<Arc<Hooks>>,
    Path((pipeline, trigger)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, tm12::DELIVERY_TOO_LARGE, "no delivery may be this large")
        }
        _ => Problem::bad_request("the body could not be read"),
    })?;
    Ok(match hooks.deliver(&pipeline, &trigger, &plain(&headers), &body).await? {
        Received::Echo(challenge) => Json(json!({ "challenge": challenge })).into_response(),
        Received::Filtered => Json(json!({ "accepted": false, "reason": "the filter is false" })).into_response(),
        Received::Run { run, duplicate } => {
            let answer = json!({ "accepted": true, "run": run, "duplicate": duplicate });
            (StatusCode::ACCEPTED, Json(answer)).into_response()
        }
    })
}

/// Headers of one name are joined, as HTTP means them; what is not text is left out.
fn plain(headers: &HeaderMap) -> Headers {
    let mut all = Headers::new();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        all.entry(name.as_str().to_owned())
            .and_modify(|joined| *joined += &format!(", {value}"))
            .or_insert(value.to_owned());
    }
    all
}

impl From<HookError> for Problem {
    fn from(error: HookError) -> Self {
        let status = match &error {
            HookError::NotRecognised => StatusCode::UNAUTHORIZED,
            HookError::Unusable(why) => match why.code {
                tm12::DELIVERY_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
                tm12::BAD_PAYLOAD => StatusCode::BAD_REQUEST,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            HookError::NoHook { .. } | HookError::NoLetter(_) => StatusCode::NOT_FOUND,
            HookError::NotReplayable { .. } => StatusCode::CONFLICT,
            HookError::Secret { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            HookError::Store(_) | HookError::Start(_) => {
                return match error {
                    HookError::Store(inner) => inner.into(),
                    HookError::Start(inner) => inner.into(),
                    other => Self::new(StatusCode::INTERNAL_SERVER_ERROR, other.code(), other.to_string()),
                };
            }
        };
        let (code, detail, help) = (error.code(), error.to_string(), error.help());
        Self { help, ..Self::new(status, code, detail) }
    }
}

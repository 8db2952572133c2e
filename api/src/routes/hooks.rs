//! Where webhooks arrive. Callers are recognised by signatures, so they may come from anywhere.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use tidemill_dag::codes::tm12;
use tidemill_dag::hook::Headers;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::hooks::{HookError, Hooks, MOST_BYTES, Received, Site};
use crate::problem::Problem;

/// The only route that is open to all the world.
pub(crate) fn router(site: Site) -> Router {
    let (routes, _) = described().split_for_parts();
    routes
        .method_not_allowed_fallback(super::wrong_method)
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(Arc::new(Hooks::new(site)))
}

/// The same with its documentation.
pub(crate) fn described() -> OpenApiRouter<Arc<Hooks>> {
    OpenApiRouter::new().routes(routes!(receive))
}

/// What became of a delivery that was recognised.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Delivered {
    /// Whether it makes a run; not so if the filter is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    accepted: Option<bool>,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    run: Option<String>,
    /// Whether the same delivery had made that run before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    duplicate: Option<bool>,
    /// Why it makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    reason: Option<&'static str>,
    /// What Slack wants to hear when an address is entered there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    challenge: Option<String>,
}

/// Takes a delivery of a webhook. The sender needs no token: it is recognised by the signature that the trigger asks for, in a
/// header of the sender's own, over the body as it was sent.
#[utoipa::path(
    post, path = "/hooks/{pipeline}/{trigger}", operation_id = "deliver_webhook", tag = "triggers",
    params(
        ("pipeline" = String, Path, description = "The pipeline"),
        ("trigger" = String, Path, description = "The trigger's name or its number, from 0"),
    ),
    request_body(content((serde_json::Value = "application/json"), (String = "application/x-www-form-urlencoded"))),
    responses(
        (status = 202, description = "A run was made of it, now or before", body = Delivered),
        (status = 200, description = "Recognised, and no run is made of it", body = Delivered),
        (status = 401, description = "There is no such webhook, or no signature, or not the right one, or it is too old"),
        (status = 413, description = "It is too large"),
        (status = 422, description = "Recognised, and it cannot be made a run of; it is among the dead letters"),
    )
)]
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
        Received::Echo(challenge) => {
            Json(Delivered { challenge: Some(challenge), ..Delivered::default() }).into_response()
        }
        Received::Filtered => {
            let reason = Some("the filter is false");
            Json(Delivered { accepted: Some(false), reason, ..Delivered::default() }).into_response()
        }
        Received::Run { run, duplicate } => {
            let (run, duplicate) = (Some(run.to_string()), Some(duplicate));
            let answer = Delivered { accepted: Some(true), run, duplicate, ..Delivered::default() };
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

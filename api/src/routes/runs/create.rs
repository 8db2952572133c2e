use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value};
use tidemill_store::TriggerKind;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::auth::Caller;
use crate::input::Body;
use crate::problem::Problem;
use crate::start::{self, Order};
use crate::view::RunView;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateBody {
    /// The pipeline; its active version runs.
    pipeline: String,
    /// Values for its parameters.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    params: Map<String, Value>,
}

/// Starts a run of the active version of a pipeline.
///
/// With `Idempotency-Key` one key makes one run: told again, it gives that run.
#[utoipa::path(
    post, path = "/api/v1/runs", operation_id = "create_run", tag = "runs",
    params(KeyHeader),
    request_body = CreateBody,
    responses(
        (status = 201, description = "The run; of a key that was used before, the run it made then", body = RunView, headers(
            ("location" = String, description = "Where it is"),
            ("idempotent-replayed" = bool, description = "Whether the key had made it before"),
        )),
        (status = 404, description = "There is no such pipeline, or no version of it is active"),
        (status = 422, description = "The parameters do not fit, the definition no longer fits the project, or the key belongs to a run with other values"),
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<CreateBody>,
) -> Result<Response, Problem> {
    start_run(&api, &body.pipeline, body.params, (&caller, &headers)).await
}

/// Starts a run and answers with it. Who repeats a request with its key, because the answer got lost, gets the same
/// answer: 201 and the run, as it is now; only a header tells the difference.
pub(super) async fn start_run(
    api: &Api,
    name: &str,
    params: Map<String, Value>,
    (caller, headers): (&Caller, &HeaderMap),
) -> Result<Response, Problem> {
    let key = idempotency_key(headers)?.map(|key| format!("api/{key}"));
    let compiled = start::active(&api.store, name, &api.workbench.names()).await?;
    let order = Order { trigger: TriggerKind::Api, key, data: Value::Null, by: caller.named(), params };
    let created = start::start(&api.store, &compiled, order, (&*api.clock, &*api.chance)).await?;
    let run = RunView::from(api.store.run(created.run).await?);
    let head =
        [("location", format!("/api/v1/runs/{}", created.run)), ("idempotent-replayed", created.existed.to_string())];
    Ok((StatusCode::CREATED, head, Json(run)).into_response())
}

/// The header of [`idempotency_key`], for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it says what callers send; what they sent is read by `idempotency_key`")]
pub(in crate::routes) struct KeyHeader {
    /// 1 to 200 visible ASCII characters that name the cause.
    #[param(rename = "idempotency-key", pattern = "^[!-~]{1,200}$")]
    key: Option<String>,
}

pub(in crate::routes) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let fits = |key: &&str| (1..=200).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = value.to_str().ok().filter(fits);
    key.map(Some).ok_or_else(|| Problem::bad_request("an Idempotency-Key is 1 to 200 visible ASCII characters"))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    use crate::testing::Example;
    Example::post("create_run", "/api/v1/runs", r#"{"pipeline": "sums", "params": {"least": 3}}"#)
        .header("idempotency-key", "one")
        .malformed(r#"{"pipeline": "sums", "params": {"least": "lots"}}"#, 422, "TM0210")
        .malformed(r#"{"params": {}}"#, 400, "TM0917")
        .malformed(r#"{"pipeline": "sums", "parms": {}}"#, 400, "TM0917")
        .malformed(r#"{"pipeline": "nobody"}"#, 404, "TM0809")
        .conflict(r#"{"pipeline": "sums", "params": {"least": 4}}"#, 422, "TM0921")
}

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::create::{KeyHeader, start_run};
use crate::Api;
use crate::auth::Caller;
use crate::input::{At, Body};
use crate::problem::Problem;
use crate::view::RunView;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunBody {
    /// Values for its parameters.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    params: Map<String, Value>,
}

/// Starts a run of the active version of this pipeline; otherwise as `create_run`.
#[utoipa::path(
    post, path = "/api/v1/pipelines/{name}/runs", operation_id = "create_run_of", tag = "runs",
    params(
        ("name" = String, Path, description = "The pipeline"),
        KeyHeader,
    ),
    request_body = RunBody,
    responses(
        (status = 201, description = "The run; of a key that was used before, the run it made then", body = RunView, headers(
            ("location" = String, description = "Where it is"),
            ("idempotent-replayed" = bool, description = "Whether the key had made it before"),
        )),
        (status = 404, description = "There is no such pipeline, or no version of it is active"),
        (status = 422, description = "The parameters do not fit, the definition no longer fits the project, or the key belongs to a run with other values"),
    )
)]
pub(super) async fn create_of(
    State(api): State<Api>,
    At(name): At<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<RunBody>,
) -> Result<Response, Problem> {
    start_run(&api, &name, body.params, (&caller, &headers)).await
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    use crate::testing::Example;
    Example::post("create_run_of", "/api/v1/pipelines/sums/runs", r#"{"params": {"least": 3}}"#)
        .header("idempotency-key", "one")
        .malformed(r#"{"params": {"leest": 3}}"#, 422, "TM0208")
        .malformed("[]", 400, "TM0917")
        .conflict(r#"{"params": {"least": 4}}"#, 422, "TM0921")
}

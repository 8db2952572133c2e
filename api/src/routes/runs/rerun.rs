use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use tidemill_dag::rerun::Wanted;
use tidemill_store::TriggerKind;
use utoipa::ToSchema;

use super::{KeyHeader, idempotency_key, run_id};
use crate::Api;
use crate::auth::Caller;
use crate::input::{At, Body};
use crate::problem::Problem;
use crate::start::{self, Again, Which};
use crate::view::RunView;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RerunBody {
    /// The tasks that are done again; all if empty. The others end as they did, with what they gave.
    #[schema(required = false)]
    tasks: Vec<String>,
    /// And whatever reads them, and what reads that.
    #[schema(required = false)]
    downstream: bool,
    /// By which version: `same` (if left out), `active`, or the id of one.
    version: Option<String>,
}

/// Does a run again, all or in part, as a new run with the same parameters and interval. Every load of it is visible once.
///
/// With `Idempotency-Key` one key makes one run: told again, it gives that run.
#[utoipa::path(
    post, path = "/api/v1/runs/{run}/rerun", operation_id = "rerun_run", tag = "runs",
    params(
        ("run" = String, Path, description = "The id of a run that has ended"),
        KeyHeader,
    ),
    request_body = RerunBody,
    responses(
        (status = 201, description = "The new run; of a key that was used before, the run it made then", body = RunView, headers(
            ("location" = String, description = "Where it is"),
            ("idempotent-replayed" = bool, description = "Whether the key had made it before"),
        )),
        (status = 404, description = "There is no such run or version"),
        (status = 409, description = "The run has not ended, or its results are gone"),
        (status = 422, description = "There is no such task, or a result is missing that one of them needs, or the key belongs to a run with other values"),
    )
)]
pub(super) async fn rerun(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(run): At<String>,
    headers: HeaderMap,
    Body(body): Body<RerunBody>,
) -> Result<Response, Problem> {
    let again = Again {
        run: run_id(&run)?,
        wanted: Wanted { tasks: body.tasks, downstream: body.downstream },
        version: body.version.as_deref().map(Which::parse).unwrap_or_default(),
        trigger: TriggerKind::Api,
        key: idempotency_key(&headers)?.map(|key| format!("api/{key}")),
        by: caller.named(),
    };
    let created = start::rerun(&api.store, &api.workbench.names(), again, (&*api.clock, &*api.chance)).await?;
    let run = RunView::from(api.store.run(created.run).await?);
    let head =
        [("location", format!("/api/v1/runs/{}", created.run)), ("idempotent-replayed", created.existed.to_string())];
    Ok((StatusCode::CREATED, head, Json(run)).into_response())
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    use crate::testing::Example;
    Example::post("rerun_run", "/api/v1/runs/{done}/rerun", r#"{"tasks": ["second"]}"#)
        .header("idempotency-key", "one")
        .malformed(r#"{"tasks": "second"}"#, 400, "TM0917")
        .malformed(r#"{"tasks": ["secnd"]}"#, 422, "TM0908")
        .malformed(r#"{"version": "none"}"#, 404, "TM0808")
        .conflict(r#"{"tasks": ["first"]}"#, 422, "TM0921")
        .conflict_at("/api/v1/runs/{run}/rerun", "{}", 422, "TM0921")
        .conflict_at("/api/v1/runs/{stopped}/rerun", r#"{"tasks": ["second"]}"#, 422, "TM1265")
        .conflict_at("/api/v1/runs/run_1/rerun", "{}", 404, "TM0918")
}

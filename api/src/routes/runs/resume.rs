use axum::Json;
use axum::extract::State;

use super::run_id;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::view::RunView;

/// Goes on with a failed or cancelled run: what succeeded stays, the rest runs again.
#[utoipa::path(
    post, path = "/api/v1/runs/{run}/resume", operation_id = "resume_run", tag = "runs",
    params(("run" = String, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run as it is now", body = RunView),
        (status = 404, description = "There is no such run"),
        (status = 409, description = "The run goes on already, or it succeeded"),
    )
)]
pub(super) async fn resume(State(api): State<Api>, At(run): At<String>) -> Result<Json<RunView>, Problem> {
    let run = api.store.resume_run(run_id(&run)?).await?;
    api.bell.notify_one();
    Ok(Json(run.into()))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::post("resume_run", "/api/v1/runs/{stopped}/resume", "")
        .again(409)
        .conflict_at("/api/v1/runs/{done}/resume", "", 409, "TM0810")
        .wrong("POST", "/api/v1/runs/run_1/resume", 404, "TM0918")
}

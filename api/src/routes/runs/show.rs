use axum::Json;
use axum::extract::State;

use super::run_id;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::view::RunView;

/// A run.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}", operation_id = "show_run", tag = "runs",
    params(("run" = String, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run", body = RunView),
        (status = 404, description = "There is no such run"),
    )
)]
pub(super) async fn show(State(api): State<Api>, At(run): At<String>) -> Result<Json<RunView>, Problem> {
    Ok(Json(api.store.run(run_id(&run)?).await?.into()))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("show_run", "/api/v1/runs/{run}")
        .wrong("GET", "/api/v1/runs/run_1", 404, "TM0918")
        .wrong("GET", "/api/v1/runs/run_00000000000000000000000000000000", 404, "TM0807")
}

use axum::Json;
use axum::extract::State;

use super::run_id;
use crate::Api;
use crate::explain::{self, Explained};
use crate::input::At;
use crate::problem::Problem;

/// What a run waits for, since when, who has it, when it is looked at next, and what would unblock it.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/explain", operation_id = "explain_run", tag = "runs",
    params(("run" = String, Path, description = "The run's id")),
    responses(
        (status = 200, description = "In words, with the facts behind them", body = Explained),
        (status = 404, description = "There is no such run"),
    )
)]
pub(super) async fn explain(State(api): State<Api>, At(run): At<String>) -> Result<Json<Explained>, Problem> {
    let run = api.store.run(run_id(&run)?).await?;
    let tasks = api.store.tasks(run.id).await?;
    let around = explain::around(&api.store, &run, &tasks).await?;
    Ok(Json(explain::run(&run, &tasks, &around, api.clock.now())))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("explain_run", "/api/v1/runs/{run}/explain").wrong(
        "GET",
        "/api/v1/runs/nothing/explain",
        404,
        "TM0918",
    )
}

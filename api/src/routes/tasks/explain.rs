use axum::Json;
use axum::extract::State;

use super::find;
use crate::Api;
use crate::explain::{self, Explained};
use crate::input::At;
use crate::problem::Problem;

/// What a task waits for, since when, who has it, when it is looked at next, and what would unblock it.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/tasks/{task}/explain", operation_id = "explain_task", tag = "tasks",
    params(("run" = String, Path, description = "The run's id"), ("task" = String, Path, description = "The task's name")),
    responses(
        (status = 200, description = "In words, with the facts behind them", body = Explained),
        (status = 404, description = "There is no such run, or it has no such task"),
    )
)]
pub(super) async fn explain(
    State(api): State<Api>,
    At((run, task)): At<(String, String)>,
) -> Result<Json<Explained>, Problem> {
    let (task, all) = find(&api, &run, &task).await?;
    let around = explain::around(&api.store, &api.store.run(task.run).await?, &all).await?;
    Ok(Json(explain::task(&task, &all, &around, api.clock.now())))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("explain_task", "/api/v1/runs/{run}/tasks/second/explain").wrong(
        "GET",
        "/api/v1/runs/{run}/tasks/nobody/explain",
        404,
        "TM0918",
    )
}

use axum::Json;
use axum::extract::State;

use super::find;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::view::TaskView;

/// One task of a run.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/tasks/{task}", operation_id = "show_task", tag = "tasks",
    params(("run" = String, Path, description = "The run's id"), ("task" = String, Path, description = "The task's name")),
    responses(
        (status = 200, description = "The task", body = TaskView),
        (status = 404, description = "There is no such run, or it has no such task"),
    )
)]
pub(super) async fn show(
    State(api): State<Api>,
    At((run, task)): At<(String, String)>,
) -> Result<Json<TaskView>, Problem> {
    Ok(Json(find(&api, &run, &task).await?.0.into()))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("show_task", "/api/v1/runs/{run}/tasks/first").wrong(
        "GET",
        "/api/v1/runs/{run}/tasks/nobody",
        404,
        "TM0918",
    )
}

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::routes::runs::run_id;
use crate::view::TaskView;

/// The tasks of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskList {
    /// The tasks, in the order of the plan.
    tasks: Vec<TaskView>,
}

/// Every task of a run.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/tasks", operation_id = "list_tasks", tag = "tasks",
    params(("run" = String, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The tasks", body = TaskList),
        (status = 404, description = "There is no such run"),
    )
)]
pub(super) async fn list(State(api): State<Api>, At(run): At<String>) -> Result<Json<TaskList>, Problem> {
    let run = api.store.run(run_id(&run)?).await?;
    let tasks = api.store.tasks(run.id).await?;
    Ok(Json(TaskList { tasks: tasks.into_iter().map(TaskView::from).collect() }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_tasks", "/api/v1/runs/{run}/tasks").wrong(
        "GET",
        "/api/v1/runs/run_1/tasks",
        404,
        "TM0918",
    )
}

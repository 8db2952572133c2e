use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::view::{AttemptView, attempts};

/// The attempts at a task.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttemptList {
    /// The attempts, oldest first.
    attempts: Vec<AttemptView>,
}

/// Every attempt at a task: who had it, from when to when, and what became of it.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/tasks/{task}/attempts", operation_id = "list_attempts", tag = "tasks",
    params(("run" = String, Path, description = "The run's id"), ("task" = String, Path, description = "The task's name")),
    responses(
        (status = 200, description = "The attempts", body = AttemptList),
        (status = 404, description = "There is no such run, or it has no such task"),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    At((run, task)): At<(String, String)>,
) -> Result<Json<AttemptList>, Problem> {
    let (task, _) = find(&api, &run, &task).await?;
    let events = api.store.task_events(task.key()).await?;
    Ok(Json(AttemptList { attempts: attempts(&task, &events) }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_attempts", "/api/v1/runs/{run}/tasks/first/attempts").wrong(
        "GET",
        "/api/v1/runs/{run}/tasks/nobody/attempts",
        404,
        "TM0918",
    )
}

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tidemill_store::LogQuery;
use utoipa::{IntoParams, ToSchema};

use super::{ordinal, run_id};
use crate::Api;
use crate::cursor::List;
use crate::input::{Ask, At, page};
use crate::problem::Problem;
use crate::view::LogView;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogsQuery {
    /// Only of this task.
    task: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of lines.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogPage {
    /// The lines, in the order in which they were stored.
    lines: Vec<LogView>,
    /// Where to go on, also once more was printed.
    next: Option<String>,
}

/// What the tasks of a run printed.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/logs", operation_id = "list_logs", tag = "logs",
    params(("run" = String, Path, description = "The run's id"), LogsQuery),
    responses(
        (status = 200, description = "A page of lines", body = LogPage),
        (status = 404, description = "There is no such run, or it has no such task"),
    )
)]
pub(super) async fn logs(
    State(api): State<Api>,
    At(run): At<String>,
    Ask(asked): Ask<LogsQuery>,
) -> Result<Json<LogPage>, Problem> {
    let limit = page(asked.limit)?;
    let after: Option<i64> = List::Logs.key(asked.cursor.as_deref())?;
    let run = api.store.run(run_id(&run)?).await?;
    let ordinal = match &asked.task {
        None => None,
        Some(name) => Some(ordinal(&api, run.id, name).await?),
    };
    let lines = api.store.logs(LogQuery { run: run.id, ordinal, after: after.unwrap_or(0), limit }).await?;
    let next = lines.last().map(|last| List::Logs.cursor(last.cursor)).or(asked.cursor);
    Ok(Json(LogPage { lines: lines.into_iter().map(LogView::from).collect(), next }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_logs", "/api/v1/runs/{run}/logs?task=first&limit=2")
        .wrong("GET", "/api/v1/runs/{run}/logs?task=nobody", 404, "TM0918")
        .wrong("GET", "/api/v1/runs/{run}/logs?limit=x", 400, "TM0917")
}

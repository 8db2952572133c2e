use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_engine::EngineError;
use utoipa::{IntoParams, ToSchema};

use super::data_set;
use super::files::ReadOnly;
use super::list::{ColumnView, columns};
use crate::Api;
use crate::input::{Ask, At};
use crate::problem::Problem;

/// No preview has more rows.
const MOST: u32 = 1_000;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PreviewQuery {
    /// How many rows; 20 if unset.
    #[param(minimum = 1, maximum = 1000)]
    rows: Option<u32>,
}

/// The first rows of a data set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Preview {
    /// The columns.
    columns: Vec<ColumnView>,
    /// The rows, each an object; numbers and booleans keep their types, everything else is text.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Value>,
    /// How many rows the data set has.
    total: u64,
}

/// The first rows of the data set that a task wrote, with their types.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/artifacts/{task}/preview", operation_id = "preview_artifact", tag = "artifacts",
    params(
        ("run" = String, Path, description = "The run's id"),
        ("task" = String, Path, description = "The task's name"),
        PreviewQuery,
    ),
    responses(
        (status = 200, description = "The first rows", body = Preview),
        (status = 404, description = "There is no such run or task, or the task has no data set"),
    )
)]
pub(super) async fn preview(
    State(api): State<Api>,
    At((run, task)): At<(String, String)>,
    Ask(asked): Ask<PreviewQuery>,
) -> Result<Json<Preview>, Problem> {
    let rows = asked.rows.unwrap_or(20);
    if !(1..=MOST).contains(&rows) {
        return Err(Problem::bad_request(format!("`rows` is 1 to {MOST}")));
    }
    let manifest = data_set(&api, &run, &task).await?;
    let mut session = api.workbench.engine.session(api.clock.now());
    session.add_dataset("rows", &manifest, Arc::new(ReadOnly(api.blobs.clone()))).map_err(|e| unreadable(&e))?;
    let stream = session.stream(&format!("SELECT * FROM rows LIMIT {rows}")).await.map_err(|e| unreadable(&e))?;
    let batches = stream.collect().await.map_err(|e| unreadable(&e))?;
    let head = crate::preview::json(&batches).map_err(|error| {
        tracing::error!(%error, "rows could not be shown");
        Problem::fault()
    })?;
    Ok(Json(Preview { columns: columns(&manifest), rows: head, total: manifest.rows }))
}

/// A data set that its manifest names and that cannot be read: a fault of the place, not of the caller.
fn unreadable(error: &EngineError) -> Problem {
    tracing::error!(error = error as &dyn std::error::Error, "a data set could not be read");
    let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.code(), error.to_string());
    Problem { help: error.help(), ..problem }
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("preview_artifact", "/api/v1/runs/{done}/artifacts/second/preview?rows=2")
        .wrong("GET", "/api/v1/runs/{done}/artifacts/first/preview", 404, "TM1317")
        .wrong("GET", "/api/v1/runs/{done}/artifacts/nobody/preview", 404, "TM0918")
        .wrong("GET", "/api/v1/runs/{done}/artifacts/second/preview?rows=0", 400, "TM0917")
}

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tidemill_dag::id::RunId;
use tidemill_dag::state::RunState;
use tidemill_store::{Page, RunFilter};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::cursor::List;
use crate::input::{Ask, next, page};
use crate::problem::Problem;
use crate::view::{RunView, run_state};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// Only of this pipeline.
    pipeline: Option<String>,
    /// Only in this state.
    #[param(schema_with = run_state)]
    state: Option<RunState>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunPage {
    /// The runs, newest first.
    runs: Vec<RunView>,
    /// The cursor of the next page, if there may be one.
    next: Option<String>,
}

/// Runs, newest first. New ones do not move the pages behind a cursor.
#[utoipa::path(
    get, path = "/api/v1/runs", operation_id = "list_runs", tag = "runs", params(RunsQuery),
    responses((status = 200, description = "A page of runs", body = RunPage))
)]
pub(super) async fn list(State(api): State<Api>, Ask(asked): Ask<RunsQuery>) -> Result<Json<RunPage>, Problem> {
    let limit = page(asked.limit)?;
    let before: Option<RunId> = List::Runs.key(asked.cursor.as_deref())?;
    let filter = RunFilter { pipeline: asked.pipeline, states: asked.state.into_iter().collect() };
    let rows = api.store.runs(&filter, Page { before, limit }).await?;
    let next = next(&rows, limit, |last| List::Runs.cursor(last.id));
    Ok(Json(RunPage { runs: rows.into_iter().map(RunView::from).collect(), next }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_runs", "/api/v1/runs?pipeline=revenue&state=running&limit=2")
        .wrong("GET", "/api/v1/runs?state=happy", 400, "TM0917")
        .wrong("GET", "/api/v1/runs?cursor=00", 422, "TM1308")
        .wrong("GET", "/api/v1/runs?before=x", 400, "TM0917")
}

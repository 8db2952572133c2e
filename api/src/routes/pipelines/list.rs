use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::cursor::List;
use crate::input::{Ask, next, page};
use crate::problem::Problem;
use crate::view::PipelineView;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PipelinesQuery {
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of pipelines.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PipelinePage {
    /// The pipelines, by name.
    pipelines: Vec<PipelineView>,
    /// The cursor of the next page, if there may be one.
    next: Option<String>,
}

/// Pipelines by name.
#[utoipa::path(
    get, path = "/api/v1/pipelines", operation_id = "list_pipelines", tag = "pipelines", params(PipelinesQuery),
    responses((status = 200, description = "A page of pipelines", body = PipelinePage))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Ask(asked): Ask<PipelinesQuery>,
) -> Result<Json<PipelinePage>, Problem> {
    let limit = page(asked.limit)?;
    let after: String = List::Pipelines.key(asked.cursor.as_deref())?.unwrap_or_default();
    let rows = api.store.pipeline_page(&after, limit).await?;
    let next = next(&rows, limit, |last| List::Pipelines.cursor(&last.name));
    Ok(Json(PipelinePage { pipelines: rows.into_iter().map(PipelineView::from).collect(), next }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_pipelines", "/api/v1/pipelines?limit=1")
        .wrong("GET", "/api/v1/pipelines?cursor=zz", 400, "TM1308")
        .wrong("GET", "/api/v1/pipelines?limit=0", 400, "TM0917")
}

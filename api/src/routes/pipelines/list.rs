use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::cursor::List;
use crate::input::{Ask, PageQuery, next, page};
use crate::problem::Problem;
use crate::view::PipelineView;

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
    get, path = "/api/v1/pipelines", operation_id = "list_pipelines", tag = "pipelines", params(PageQuery),
    responses((status = 200, description = "A page of pipelines", body = PipelinePage))
)]
pub(super) async fn list(State(api): State<Api>, Ask(asked): Ask<PageQuery>) -> Result<Json<PipelinePage>, Problem> {
    let limit = page(asked.limit)?;
    let after: String = List::Pipelines.key(asked.cursor.as_deref())?.unwrap_or_default();
    let rows = api.store.pipeline_page(&after, limit).await?;
    let next = next(&rows, limit, |last| List::Pipelines.cursor(&last.name));
    Ok(Json(PipelinePage { pipelines: rows.into_iter().map(PipelineView::from).collect(), next }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_pipelines", "/api/v1/pipelines?limit=1")
        .wrong("GET", "/api/v1/pipelines?cursor=zz", 422, "TM1308")
        .wrong("GET", "/api/v1/pipelines?limit=0", 400, "TM0917")
}

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::cursor::List;
use crate::input::{Ask, At, PageQuery, next, page};
use crate::problem::Problem;
use crate::view::VersionSummaryView;

/// A page of versions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionPage {
    /// The versions, newest first.
    versions: Vec<VersionSummaryView>,
    /// The cursor of the next page, if there may be one.
    next: Option<String>,
}

/// Versions of a pipeline, newest first. A pipeline that is not there has none.
#[utoipa::path(
    get, path = "/api/v1/pipelines/{name}/versions", operation_id = "list_versions", tag = "versions",
    params(("name" = String, Path, description = "The pipeline"), PageQuery),
    responses((status = 200, description = "A page of versions", body = VersionPage))
)]
pub(super) async fn list(
    State(api): State<Api>,
    At(name): At<String>,
    Ask(asked): Ask<PageQuery>,
) -> Result<Json<VersionPage>, Problem> {
    let limit = page(asked.limit)?;
    let below = List::Versions.key(asked.cursor.as_deref())?;
    let rows = api.store.version_page(&name, below, limit).await?;
    let next = next(&rows, limit, |last| List::Versions.cursor(last.number));
    Ok(Json(VersionPage { versions: rows.into_iter().map(VersionSummaryView::from).collect(), next }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_versions", "/api/v1/pipelines/revenue/versions?limit=5").wrong(
        "GET",
        "/api/v1/pipelines/revenue/versions?cursor=p",
        422,
        "TM1308",
    )
}

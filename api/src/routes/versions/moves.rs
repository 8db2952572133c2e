use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::cursor::List;
use crate::input::{Ask, At, PageQuery, next, page};
use crate::problem::Problem;
use crate::view::VersionMoveView;

/// A page of the history of versions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MovePage {
    /// What happened, newest first.
    moves: Vec<VersionMoveView>,
    /// The cursor of the next page, if there may be one.
    next: Option<String>,
}

/// What happened to the versions of a pipeline and who did it, newest first.
#[utoipa::path(
    get, path = "/api/v1/pipelines/{name}/history", operation_id = "list_version_moves", tag = "versions",
    params(("name" = String, Path, description = "The pipeline"), PageQuery),
    responses((status = 200, description = "A page of the history", body = MovePage))
)]
pub(super) async fn moves(
    State(api): State<Api>,
    At(name): At<String>,
    Ask(asked): Ask<PageQuery>,
) -> Result<Json<MovePage>, Problem> {
    let limit = page(asked.limit)?;
    let before = List::Moves.key(asked.cursor.as_deref())?;
    let rows = api.store.version_moves(&name, before, limit).await?;
    let next = next(&rows, limit, |last| List::Moves.cursor(last.id));
    Ok(Json(MovePage { moves: rows.into_iter().map(VersionMoveView::from).collect(), next }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_version_moves", "/api/v1/pipelines/revenue/history").wrong(
        "GET",
        "/api/v1/pipelines/revenue/history?limit=1001",
        400,
        "TM0917",
    )
}

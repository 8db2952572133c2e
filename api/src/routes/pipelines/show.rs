use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::tag;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::view::VersionView;

/// The active version of a pipeline. Its `ETag` is the version, for `If-Match` of whoever changes it.
#[utoipa::path(
    get, path = "/api/v1/pipelines/{name}", operation_id = "show_pipeline", tag = "pipelines",
    params(("name" = String, Path, description = "The pipeline")),
    responses(
        (status = 200, description = "The active version", body = VersionView, headers(("etag" = String, description = "The version in quotes"))),
        (status = 404, description = "No version of such a pipeline is active"),
    )
)]
pub(super) async fn show(State(api): State<Api>, At(name): At<String>) -> Result<impl IntoResponse + use<>, Problem> {
    let Some(version) = api.store.active(&name).await? else {
        return Err(Problem::not_found(format!("no version of a pipeline `{name}` is active")));
    };
    Ok((tag(&version.id), Json(VersionView::from(version))))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("show_pipeline", "/api/v1/pipelines/revenue").wrong(
        "GET",
        "/api/v1/pipelines/nobody",
        404,
        "TM0918",
    )
}

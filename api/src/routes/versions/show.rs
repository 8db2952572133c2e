use axum::Json;
use axum::extract::State;

use super::find;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::view::VersionView;

/// A version with its definition.
#[utoipa::path(
    get, path = "/api/v1/pipelines/{name}/versions/{version}", operation_id = "show_version", tag = "versions",
    params(
        ("name" = String, Path, description = "The pipeline"),
        ("version" = String, Path, description = "`active`, a number, a hash, or the first eight or more characters of one"),
    ),
    responses(
        (status = 200, description = "The version", body = VersionView),
        (status = 404, description = "There is no such version"),
    )
)]
pub(super) async fn show(
    State(api): State<Api>,
    At((name, version)): At<(String, String)>,
) -> Result<Json<VersionView>, Problem> {
    Ok(Json(find(&api, &name, &version).await?.into()))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("show_version", "/api/v1/pipelines/revenue/versions/1")
        .wrong("GET", "/api/v1/pipelines/revenue/versions/99", 404, "TM0918")
        .wrong("GET", "/api/v1/pipelines/nobody/versions/active", 404, "TM0918")
}

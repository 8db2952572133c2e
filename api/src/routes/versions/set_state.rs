use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Deserialize;
use tidemill_dag::state::{VersionState, way_to};
use tidemill_store::StoreError;
use utoipa::ToSchema;

use super::find;
use crate::Api;
use crate::auth::Caller;
use crate::input::{At, Body};
use crate::problem::Problem;
use crate::routes::pipelines::{Belief, expected};
use crate::view::{VersionView, version_state};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StateBody {
    /// Where the version shall be in its life.
    #[schema(schema_with = version_state)]
    state: VersionState,
}

/// Moves a version: proposes it, withdraws it, makes it active (a rollback too), or archives it.
///
/// With `If-Match: "VERSION"` only where that version is active now. What is there already stays as it is.
#[utoipa::path(
    put, path = "/api/v1/pipelines/{name}/versions/{version}/state", operation_id = "set_version_state", tag = "versions",
    params(
        ("name" = String, Path, description = "The pipeline"),
        ("version" = String, Path, description = "`active`, a number, a hash, or the first eight or more characters of one"),
        Belief,
    ),
    request_body = StateBody,
    responses(
        (status = 200, description = "The version as it is now", body = VersionView),
        (status = 404, description = "There is no such version"),
        (status = 409, description = "The state of the version does not allow it"),
        (status = 412, description = "Another version is active than the caller believes"),
    )
)]
pub(super) async fn set_state(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At((name, version)): At<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<StateBody>,
) -> Result<Json<VersionView>, Problem> {
    let expected = expected(&headers)?;
    let version = find(&api, &name, &version).await?;
    let refused = |source| StoreError::VersionMove { pipeline: name.clone(), version: version.id.clone(), source };
    let Some(event) = way_to(version.state, body.state).map_err(refused)? else {
        let active = api.store.active(&name).await?.map(|version| version.id);
        let holds = expected.holds(active.as_ref());
        return if holds { Ok(Json(version.into())) } else { Err(StoreError::Stale { pipeline: name, active }.into()) };
    };
    let moved = api.store.move_version(&name, (&version.id, event), &expected, &caller.actor()).await?;
    api.bell.notify_one();
    Ok(Json(moved.into()))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    use crate::testing::Example;
    Example::put("set_version_state", "/api/v1/pipelines/revenue/versions/1/state", r#"{"state": "proposed"}"#)
        .malformed(r#"{"state": "gone"}"#, 400, "TM0917")
        .malformed("{}", 400, "TM0917")
        .conflict_at("/api/v1/pipelines/revenue/versions/2/state", r#"{"state": "proposed"}"#, 409, "TM1302")
        .conflicts("an older belief", &[("if-match", "\"0123\"")], 412, "TM1301")
        .wrong("PUT", "/api/v1/pipelines/revenue/versions/99/state", 404, "TM0918")
}

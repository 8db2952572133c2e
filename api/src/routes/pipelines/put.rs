use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;
use tidemill_dag::state::VersionState;
use utoipa::IntoParams;

use super::{Belief, expected, tag};
use crate::Api;
use crate::auth::Caller;
use crate::definitions::{actor, misnamed, plan};
use crate::input::{Ask, At, Definition};
use crate::problem::Problem;
use crate::view::{ChangeView, saved_state};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PutQuery {
    /// Only say what would change; nothing is saved.
    dry_run: bool,
    /// Where the version shall be in its life; `active` if unset. `draft` only saves it.
    #[param(schema_with = saved_state)]
    state: Option<VersionState>,
}

/// Takes a definition as YAML or JSON, proves it, says what it changes, and makes it the active version.
///
/// With `If-Match: "VERSION"` only where that version is active; with `If-None-Match: *` only where none is. So two
/// people do not overwrite each other. The same definition again changes nothing.
#[utoipa::path(
    put, path = "/api/v1/pipelines/{name}", operation_id = "put_pipeline", tag = "pipelines",
    params(
        ("name" = String, Path, description = "The pipeline; the definition must give itself this name"),
        Belief,
        PutQuery,
    ),
    request_body(content((String = "application/yaml"), (serde_json::Value = "application/json"))),
    responses(
        (status = 200, description = "Saved; or only looked at", body = ChangeView),
        (status = 201, description = "The pipeline is new", body = ChangeView),
        (status = 409, description = "The state of the version does not allow it"),
        (status = 412, description = "Another version is active than the caller believes"),
        (status = 422, description = "The definition is wrong; `errors` has every finding with its place"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(name): At<String>,
    Ask(asked): Ask<PutQuery>,
    headers: HeaderMap,
    Definition(body): Definition,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?;
    let wanted = asked.state.unwrap_or(VersionState::Active);
    if wanted == VersionState::Archived {
        return Err(Problem::bad_request("a version is saved as `draft`, `proposed` or `active`"));
    }
    let checked = api.workbench.check(&body).await.map_err(|found| Problem::findings(&found))?;
    if let Some(wrong) = misnamed(&checked.compiled, &name) {
        return Err(Problem::findings(&[wrong]));
    }
    let change = plan(&api.store, &api.workbench, &checked, api.clock.now()).await?;
    let view = ChangeView::planned(&change);
    if asked.dry_run {
        return Ok(Json(view).into_response());
    }
    let origin = json!({"from": "api", "by": caller.name});
    let actor = actor(&origin);
    let adopted = api.store.adopt(&[checked.adopt(origin, wanted, expected)], &actor).await?.pop();
    let Some(adopted) = adopted else { return Err(Problem::fault()) };
    api.bell.notify_one();
    let new = adopted.before.is_none() && adopted.moved && wanted == VersionState::Active;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let number = adopted.version.number;
    Ok((status, tag(&adopted.version.id), Json(view.applied(number))).into_response())
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    use crate::testing::{Example, REVENUE};
    let wrong = REVENUE.replace("FROM orders", "FROM order");
    Example::put("put_pipeline", "/api/v1/pipelines/revenue", REVENUE)
        .typed("application/yaml")
        .conflicts("an older belief", &[("if-match", "\"0123\"")], 412, "TM1301")
        .conflicts("it is there already", &[("if-none-match", "*")], 412, "TM1301")
        .malformed("pipeline: [", 422, "TM0103")
        .malformed(&wrong, 422, "TM0205")
        .malformed(&REVENUE.replace("revenue", "other"), 422, "TM0922")
        .wrong("PUT", "/api/v1/pipelines/revenue?state=archived", 400, "TM0917")
}

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidemill_dag::id::VersionId;
use utoipa::{IntoParams, ToSchema};

use super::find;
use crate::Api;
use crate::definitions::compare;
use crate::input::{Ask, At};
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DiffQuery {
    /// The older version: `active`, a number, a hash, or the first eight or more characters of one.
    from: String,
    /// The newer version; `active` if unset.
    to: Option<String>,
}

/// What is different between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Compared {
    /// The pipeline.
    name: String,
    /// The older version.
    #[schema(value_type = String)]
    from: VersionId,
    /// The newer version.
    #[schema(value_type = String)]
    to: VersionId,
    /// What is different: `tasks`, `edges`, `columns`, `schedule`, `settings`, and what could not be compared.
    #[schema(value_type = Object)]
    diff: Value,
}

/// What is different between two versions of a pipeline: graph, SQL and code line by line, columns, schedule, settings.
#[utoipa::path(
    get, path = "/api/v1/pipelines/{name}/diff", operation_id = "diff_versions", tag = "versions",
    params(("name" = String, Path, description = "The pipeline"), DiffQuery),
    responses(
        (status = 200, description = "The difference", body = Compared),
        (status = 404, description = "There is no such version"),
    )
)]
pub(super) async fn diff(
    State(api): State<Api>,
    At(name): At<String>,
    Ask(asked): Ask<DiffQuery>,
) -> Result<Json<Compared>, Problem> {
    let from = find(&api, &name, &asked.from).await?;
    let to = find(&api, &name, asked.to.as_deref().unwrap_or("active")).await?;
    let diff = compare(&api.store, &api.workbench, (&from, &to), api.clock.now()).await?;
    Ok(Json(Compared { name, from: from.id, to: to.id, diff: json!(diff) }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("diff_versions", "/api/v1/pipelines/revenue/diff?from=1&to=2")
        .wrong("GET", "/api/v1/pipelines/revenue/diff", 400, "TM0917")
        .wrong("GET", "/api/v1/pipelines/revenue/diff?from=99", 404, "TM0918")
}

//! Several definitions together: all are applied, or none.

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidemill_dag::compile::MAX_BYTES;
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_dag::id::VersionId;
use tidemill_dag::state::{Expected, VersionState};
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::{Caller, Role};
use crate::definitions::{self, Checked, Entry, actor};
use crate::input::Body;
use crate::problem::Problem;
use crate::view::{ChangeView, saved_state};

/// A folder of definitions may be larger than one definition.
const LARGEST: usize = 4 * MAX_BYTES;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(needs(Role::Admin, routes!(apply)).layer(DefaultBodyLimit::max(LARGEST)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyBody {
    /// The definitions.
    #[schema(min_items = 1, max_items = 1000)]
    definitions: Vec<ApplyEntry>,
    /// Only say what would change; nothing is saved.
    #[serde(default)]
    #[schema(required = false)]
    plan: bool,
    /// Where the versions shall be in their life; `active` if unset.
    #[serde(default)]
    #[schema(schema_with = saved_state, required = false)]
    state: Option<VersionState>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyEntry {
    /// What errors call it: a file's name.
    name: String,
    /// The definition as YAML or JSON.
    source: String,
    /// The version that must be active, if any may not.
    #[serde(default)]
    #[schema(required = false)]
    expected: Option<String>,
}

/// What became of definitions that were given together.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Applied {
    /// Whether they were applied; a plan only looks.
    applied: bool,
    /// What each changes.
    changes: Vec<ChangeView>,
}

/// Proves definitions, says what they change, and applies all of them or none.
#[utoipa::path(
    post, path = "/api/v1/apply", operation_id = "apply", tag = "pipelines", request_body = ApplyBody,
    responses(
        (status = 200, description = "What changed, or would change", body = Applied),
        (status = 409, description = "The state of a version does not allow it"),
        (status = 412, description = "Another version is active than the caller believes; nothing was applied"),
        (status = 422, description = "Some are wrong, nothing was applied; `errors` has every finding of every one"),
    )
)]
async fn apply(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(body): Body<ApplyBody>,
) -> Result<Response, Problem> {
    let wanted = body.state.unwrap_or(VersionState::Active);
    if wanted == VersionState::Archived || !(1..=1_000).contains(&body.definitions.len()) {
        let detail = "give 1 to 1000 definitions, and `draft`, `proposed` or `active` as their state";
        return Err(Problem::bad_request(detail));
    }
    let entry = |entry: &ApplyEntry| Entry { name: entry.name.clone(), bytes: entry.source.clone().into_bytes() };
    let entries: Vec<Entry> = body.definitions.iter().map(entry).collect();
    let checked = definitions::check_all(&api.workbench, &entries).await.map_err(|wrong| findings(&entries, &wrong))?;
    let mut changes = Vec::with_capacity(checked.len());
    for each in &checked {
        let change = definitions::plan(&api.store, &api.workbench, each, api.clock.now()).await?;
        changes.push(ChangeView::planned(&change));
    }
    if !body.plan {
        let origin = json!({"from": "api", "by": caller.name});
        let numbers = adopt(&api, &body.definitions, &checked, (&origin, wanted)).await?;
        changes = changes.into_iter().zip(numbers).map(|(change, number)| change.applied(number)).collect();
        api.bell.notify_one();
    }
    Ok(Json(Applied { applied: !body.plan, changes }).into_response())
}

async fn adopt(
    api: &Api,
    entries: &[ApplyEntry],
    checked: &[Checked],
    (origin, wanted): (&Value, VersionState),
) -> Result<Vec<u32>, Problem> {
    let set: Vec<_> = entries
        .iter()
        .zip(checked)
        .map(|(entry, checked)| {
            let expected =
                entry.expected.clone().map_or(Expected::Any, |version| Expected::Version(VersionId(version)));
            checked.adopt(origin.clone(), wanted, expected)
        })
        .collect();
    let adopted = api.store.adopt(&set, &actor(origin)).await?;
    Ok(adopted.iter().map(|each| each.version.number).collect())
}

/// Every finding of every definition, each with the name of its definition.
fn findings(entries: &[Entry], wrong: &[(usize, Vec<Diagnostic>)]) -> Problem {
    let all: Vec<Diagnostic> = wrong.iter().flat_map(|(_, found)| found.clone()).collect();
    let named = wrong.iter().flat_map(|(place, found)| {
        let name = entries.get(*place).map_or("", |entry| entry.name.as_str());
        found.iter().map(move |finding| {
            let mut value = json!(finding);
            value["definition"] = json!(name);
            value
        })
    });
    Problem { errors: named.collect(), ..Problem::findings(&all) }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    use crate::testing::{Example, REVENUE};
    let body = |entries: serde_json::Value| json!({ "definitions": entries }).to_string();
    let one = |source: &str| json!({"name": "a.yaml", "source": source});
    let stale = json!({"name": "a.yaml", "source": REVENUE, "expected": "0123"});
    let other = "pipeline: other\ntasks:\n  a: {shell: {command: \"true\"}}\n";
    let example = Example::post("apply", "/api/v1/apply", &body(json!([one(other)])))
        .malformed(&body(json!([])), 400, "TM0917")
        .malformed(&body(json!([one(other), one("pipeline: x\ntasks: {}\n")])), 422, "TM0403")
        .malformed(&body(json!([one(other), one(other)])), 422, "TM1315")
        .conflict(&body(json!([one(other), stale])), 412, "TM1301");
    vec![example]
}

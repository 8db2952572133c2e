use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidemill_dag::codes::tm09;
use tidemill_store::TriggerKind;

use crate::Api;
use crate::definitions::{apply, misnamed};
use crate::problem::Problem;
use crate::start::{self, Order};
use crate::view::{PipelineView, RunView};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/pipelines", get(list))
        .route("/pipelines/{name}", get(show).put(put))
        .route("/pipelines/{name}/runs", post(run))
}

async fn list(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let pipelines = api.store.pipelines().await?.into_iter().map(PipelineView::from);
    Ok(Json(json!({"pipelines": pipelines.collect::<Vec<_>>()})))
}

async fn show(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let Some(version) = api.store.active(&name).await? else {
        return Err(Problem::not_found(format!("no version of a pipeline `{name}` is active")));
    };
    Ok(Json(json!({
        "name": name,
        "version": version.id,
        "number": version.number,
        "created_at": version.created_at.to_string(),
        "origin": version.origin,
        "definition": version.definition,
        "source": version.source,
    })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PutQuery {
    /// Check only; nothing is saved.
    dry_run: bool,
}

/// Takes a definition as YAML or JSON, proves it, and makes it the active version.
async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<PutQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = bytes(body)?;
    let checked = api.workbench.check(&body).await.map_err(|found| Problem::findings(&found))?;
    if let Some(wrong) = misnamed(&checked.compiled, &name) {
        return Err(Problem::findings(&[wrong]));
    }
    let warnings = &checked.compiled.warnings;
    if query.dry_run {
        let answer = json!({"name": name, "version": checked.compiled.version, "applied": false, "warnings": warnings});
        return Ok(Json(answer).into_response());
    }
    let before = api.store.active(&name).await?;
    let version = apply(&api.store, &checked, json!({"from": "api"})).await?;
    api.bell.notify_one();
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let answer = json!({
        "name": name, "version": version.id, "number": version.number, "applied": true,
        "changed": before.is_none_or(|b| b.id != version.id), "warnings": warnings,
    });
    Ok((status, Json(answer)).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RunBody {
    params: Map<String, Value>,
}

/// Starts a run of the active version.
async fn run(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body: RunBody = json_body(body)?;
    start_run(&api, &name, body.params, &headers).await
}

/// Starts a run and answers with it. Who repeats a request with its key, because the answer got lost, gets the same
/// answer: 201 and the run, as it is now; only a header tells the difference.
pub(super) async fn start_run(
    api: &Api,
    name: &str,
    params: Map<String, Value>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let key = idempotency_key(headers)?;
    let compiled = start::active(&api.store, name, &api.workbench.names()).await?;
    let order = Order { trigger: TriggerKind::Api, key: key.map(|k| format!("api/{k}")), data: Value::Null, params };
    let created = start::start(&api.store, &compiled, order, (&*api.clock, &*api.chance)).await?;
    let run = RunView::from(api.store.run(created.run).await?);
    let head =
        [("location", format!("/api/v1/runs/{}", created.run)), ("idempotent-replayed", created.existed.to_string())];
    Ok((StatusCode::CREATED, head, Json(run)).into_response())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let fits = |key: &&str| !key.is_empty() && key.len() <= 200;
    let key = value.to_str().ok().filter(fits);
    key.map(Some).ok_or_else(|| Problem::bad_request("an Idempotency-Key is 1 to 200 visible ASCII characters"))
}

pub(super) fn bytes(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| {
        let status = rejection.status();
        let code = if status == StatusCode::PAYLOAD_TOO_LARGE { tm09::BODY_TOO_LARGE } else { tm09::BAD_REQUEST };
        Problem::new(status, code, rejection.body_text())
    })
}

/// A JSON body; none at all is an empty object.
pub(super) fn json_body<T: Default + for<'de> Deserialize<'de>>(
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Problem> {
    let body = bytes(body)?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("the body is not as expected: {error}")))
}

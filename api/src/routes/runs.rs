use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidemill_dag::id::{Ordinal, RunId};
use tidemill_dag::state::RunState;
use tidemill_store::{LogQuery, Page, RunFilter};

use super::pipelines::{json_body, start_run};
use crate::Api;
use crate::problem::Problem;
use crate::view::{EventView, LogView, RunView, TaskView};

/// No page is longer.
const MAX_PAGE: u32 = 1_000;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/runs", get(list).post(create))
        .route("/runs/{id}", get(show))
        .route("/runs/{id}/tasks", get(tasks))
        .route("/runs/{id}/events", get(events))
        .route("/runs/{id}/logs", get(logs))
        .route("/runs/{id}/explain", get(explain))
        .route("/runs/{id}/cancel", post(cancel))
        .route("/runs/{id}/resume", post(resume))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ListQuery {
    pipeline: Option<String>,
    state: Option<RunState>,
    before: Option<RunId>,
    limit: Option<u32>,
}

type Asked<T> = Result<Query<T>, QueryRejection>;

fn query<T>(query: Asked<T>) -> Result<T, Problem> {
    query.map(|Query(q)| q).map_err(|rejection| Problem::bad_request(rejection.body_text()))
}

fn run_id(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|_| Problem::not_found(format!("`{text}` is not the id of a run")))
}

fn limit(asked: Option<u32>) -> u32 {
    asked.unwrap_or(100).clamp(1, MAX_PAGE)
}

async fn list(State(api): State<Api>, asked: Asked<ListQuery>) -> Result<Json<Value>, Problem> {
    let asked = query(asked)?;
    let filter = RunFilter { pipeline: asked.pipeline, states: asked.state.into_iter().collect() };
    let limit = limit(asked.limit);
    let runs = api.store.runs(&filter, Page { before: asked.before, limit }).await?;
    let full = runs.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = if full { runs.last().map(|run| run.id) } else { None };
    Ok(Json(json!({"runs": runs.into_iter().map(RunView::from).collect::<Vec<_>>(), "next": next})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CreateBody {
    pipeline: String,
    params: Map<String, Value>,
}

async fn create(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body: CreateBody = json_body(body)?;
    if body.pipeline.is_empty() {
        return Err(Problem::bad_request("`pipeline` is missing").help(r#"as in {"pipeline": "delays", "params": {}}"#));
    }
    start_run(&api, &body.pipeline, body.params, &headers).await
}

async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<RunView>, Problem> {
    Ok(Json(api.store.run(run_id(&id)?).await?.into()))
}

async fn tasks(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let run = api.store.run(run_id(&id)?).await?;
    let tasks = api.store.tasks(run.id).await?.into_iter().map(TaskView::from);
    Ok(Json(json!({"tasks": tasks.collect::<Vec<_>>()})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AfterQuery {
    after: i64,
    limit: Option<u32>,
    task: Option<String>,
}

/// What every question about one run brings.
type OfRun = (State<Api>, Path<String>);

async fn events((State(api), Path(id)): OfRun, asked: Asked<AfterQuery>) -> Result<Json<Value>, Problem> {
    let asked = query(asked)?;
    let run = api.store.run(run_id(&id)?).await?;
    let events = api.store.events(run.id, asked.after, limit(asked.limit)).await?;
    let next = events.last().map_or(asked.after, |event| event.id);
    Ok(Json(json!({"events": events.into_iter().map(EventView::from).collect::<Vec<_>>(), "after": next})))
}

async fn logs((State(api), Path(id)): OfRun, asked: Asked<AfterQuery>) -> Result<Json<Value>, Problem> {
    let asked = query(asked)?;
    let run = api.store.run(run_id(&id)?).await?;
    let ordinal = match &asked.task {
        None => None,
        Some(name) => Some(ordinal(&api, run.id, name).await?),
    };
    let question = LogQuery { run: run.id, ordinal, after: asked.after, limit: limit(asked.limit) };
    let lines = api.store.logs(question).await?;
    let next = lines.last().map_or(asked.after, |line| line.cursor);
    Ok(Json(json!({"lines": lines.into_iter().map(LogView::from).collect::<Vec<_>>(), "after": next})))
}

async fn ordinal(api: &Api, run: RunId, name: &str) -> Result<Ordinal, Problem> {
    let tasks = api.store.tasks(run).await?;
    let task = tasks.iter().find(|task| task.name == name);
    task.map(|task| task.ordinal).ok_or_else(|| Problem::not_found(format!("run {run} has no task `{name}`")))
}

async fn explain(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let run = api.store.run(run_id(&id)?).await?;
    let tasks = api.store.tasks(run.id).await?;
    Ok(Json(json!(crate::explain::run(&run, &tasks, api.clock.now()))))
}

async fn cancel(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<RunView>, Problem> {
    Ok(Json(api.store.cancel_run(run_id(&id)?, "cancelled through the API").await?.into()))
}

async fn resume(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<RunView>, Problem> {
    Ok(Json(api.store.resume_run(run_id(&id)?).await?.into()))
}

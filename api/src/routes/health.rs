use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::Api;
use crate::problem::Problem;

pub(super) fn router() -> Router<Api> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

/// The process answers.
async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// The process can do its work: its state answers.
async fn ready(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    api.store.pipelines().await?;
    Ok(Json(json!({"status": "ready"})))
}

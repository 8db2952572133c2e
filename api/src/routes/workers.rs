//! Who takes tasks.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tidemill_dag::time::Timestamp;
use tidemill_store::KnownWorker;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::problem::Problem;
use crate::view::word;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(needs(Role::Read, routes!(list)))
}

fn state() -> utoipa::openapi::schema::Object {
    word(["working", "draining", "silent"])
}

/// A worker.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkerView {
    /// How it names itself in leases.
    id: String,
    /// The machine.
    host: String,
    /// The program's version.
    version: String,
    /// The queues it takes from.
    queues: Vec<String>,
    /// What its configuration says about it.
    labels: BTreeMap<String, String>,
    /// How many tasks it works on at the same time.
    slots: u32,
    /// Tasks that it holds now.
    running: u32,
    /// `draining` takes no more tasks; `silent` was not heard of for a while.
    #[schema(schema_with = state)]
    state: &'static str,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it was last heard of.
    #[schema(format = DateTime)]
    seen_at: String,
}

impl WorkerView {
    fn new(known: KnownWorker, now: Timestamp) -> Self {
        let state = match (known.is_alive(now), known.worker.draining) {
            (false, _) => "silent",
            (true, true) => "draining",
            (true, false) => "working",
        };
        let worker = known.worker;
        Self {
            id: worker.id.to_string(),
            host: worker.host,
            version: worker.version,
            queues: worker.queues,
            labels: worker.labels,
            slots: worker.slots,
            running: known.running,
            state,
            started_at: known.started_at.to_string(),
            seen_at: known.seen_at.to_string(),
        }
    }
}

/// Workers that were heard of in the last day.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkerList {
    /// The workers, by host.
    workers: Vec<WorkerView>,
}

/// Every worker that was heard of in the last day: where it is, what it serves, what it holds.
#[utoipa::path(
    get, path = "/api/v1/workers", operation_id = "list_workers", tag = "workers",
    responses((status = 200, description = "The workers", body = WorkerList))
)]
async fn list(State(api): State<Api>) -> Result<Json<WorkerList>, Problem> {
    let (workers, now) = (api.store.workers().await?, api.clock.now());
    Ok(Json(WorkerList { workers: workers.into_iter().map(|known| WorkerView::new(known, now)).collect() }))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    vec![crate::testing::Example::get("list_workers", "/api/v1/workers")]
}

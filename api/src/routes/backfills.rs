//! Backfills: one run for every stretch of time in a range.

mod create;
mod moves;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::backfill::{BackfillState, PartitionState, Reprocess};
use tidemill_dag::id::{RunId, VersionId};
use tidemill_dag::time::Timestamp;
use tidemill_store::{BackfillRecord, PartitionRecord, Progress};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::cursor::List;
use crate::input::{Ask, At, PageQuery, next, page};
use crate::problem::Problem;
use crate::view::{IntervalView, word};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list)))
        .routes(needs(Role::Run, routes!(create::create)))
        .routes(needs(Role::Read, routes!(create::preview)))
        .routes(needs(Role::Read, routes!(show)))
        .routes(needs(Role::Read, routes!(partitions)))
        .routes(needs(Role::Run, routes!(moves::pause)))
        .routes(needs(Role::Run, routes!(moves::resume)))
        .routes(needs(Role::Run, routes!(moves::cancel)))
}

fn backfill_state() -> utoipa::openapi::schema::Object {
    word(BackfillState::ALL.iter().map(|it| it.name()))
}

fn partition_state() -> utoipa::openapi::schema::Object {
    word(PartitionState::ALL.iter().map(|it| it.name()))
}

fn reprocess() -> utoipa::openapi::schema::Object {
    word(Reprocess::ALL.iter().map(|it| it.name()))
}

/// How many partitions of a backfill stand where.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
struct ProgressView {
    /// Their turn has not come.
    pending: u32,
    /// They were run before and are left out.
    skipped: u32,
    /// Their run waits for its place.
    queued: u32,
    /// Their run is at work.
    running: u32,
    /// Their run succeeded.
    succeeded: u32,
    /// Their run failed.
    failed: u32,
    /// Their run was cancelled.
    cancelled: u32,
    /// All of them.
    total: u32,
}

impl From<Progress> for ProgressView {
    fn from(it: Progress) -> Self {
        let total = it.total();
        let Progress { pending, skipped, queued, running, succeeded, failed, cancelled } = it;
        Self { pending, skipped, queued, running, succeeded, failed, cancelled, total }
    }
}

/// A backfill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backfill)]
struct BackfillView {
    /// Its id.
    id: String,
    /// The pipeline.
    pipeline: String,
    /// The version that its runs run.
    #[schema(value_type = String)]
    version: VersionId,
    /// Where it is in its life.
    #[schema(schema_with = backfill_state)]
    state: BackfillState,
    /// The range that was asked for.
    range: IntervalView,
    /// How it was cut: a cron expression with its zone, or a length.
    cut: String,
    /// Which partitions that were run before are run again.
    #[schema(schema_with = reprocess)]
    reprocess: Reprocess,
    /// Whether the newest goes first.
    newest_first: bool,
    /// How many runs may be under way at once.
    parallel: u32,
    /// Parameters of its runs.
    #[schema(value_type = Object)]
    params: Value,
    /// Who asked for it, where that is known.
    created_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed its state.
    #[schema(format = DateTime)]
    changed_at: String,
    /// How many partitions stand where.
    progress: ProgressView,
}

impl From<BackfillRecord> for BackfillView {
    fn from(it: BackfillRecord) -> Self {
        Self {
            id: it.id,
            pipeline: it.pipeline,
            version: it.version,
            state: it.state,
            range: it.range.into(),
            cut: it.cut,
            reprocess: it.reprocess,
            newest_first: it.newest_first,
            parallel: it.parallel,
            params: it.params,
            created_by: it.created_by,
            created_at: it.created_at.to_string(),
            changed_at: it.changed_at.to_string(),
            progress: it.progress.into(),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BackfillsQuery {
    /// Only of this pipeline.
    pipeline: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of backfills.
#[derive(Debug, Serialize, ToSchema)]
struct BackfillPage {
    /// The backfills, newest first.
    backfills: Vec<BackfillView>,
    /// The cursor of the next page, if there may be one.
    next: Option<String>,
}

/// Where a page of backfills ends: a moment and an id.
struct Behind(Timestamp, String);

impl std::str::FromStr for Behind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once('/').ok_or(())?;
        Ok(Self(Timestamp(at.parse().map_err(|_| ())?), id.to_owned()))
    }
}

/// Backfills, newest first.
#[utoipa::path(
    get, path = "/api/v1/backfills", operation_id = "list_backfills", tag = "backfills", params(BackfillsQuery),
    responses((status = 200, description = "A page of backfills", body = BackfillPage))
)]
async fn list(State(api): State<Api>, Ask(asked): Ask<BackfillsQuery>) -> Result<Json<BackfillPage>, Problem> {
    let limit = page(asked.limit)?;
    let before: Option<Behind> = List::Backfills.key(asked.cursor.as_deref())?;
    let before = before.map(|Behind(at, id)| (at, id));
    let rows = api.store.backfills(asked.pipeline.as_deref(), before, limit).await?;
    let next = next(&rows, limit, |last| List::Backfills.cursor(format!("{}/{}", last.created_at.0, last.id)));
    Ok(Json(BackfillPage { backfills: rows.into_iter().map(BackfillView::from).collect(), next }))
}

/// A backfill and how far it is.
#[utoipa::path(
    get, path = "/api/v1/backfills/{backfill}", operation_id = "show_backfill", tag = "backfills",
    params(("backfill" = String, Path, description = "The backfill's id")),
    responses(
        (status = 200, description = "The backfill", body = BackfillView),
        (status = 404, description = "There is no such backfill"),
    )
)]
async fn show(State(api): State<Api>, At(id): At<String>) -> Result<Json<BackfillView>, Problem> {
    Ok(Json(api.store.backfill(&id).await?.into()))
}

/// One stretch of time of a backfill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Partition)]
struct PartitionView {
    /// Its turn, from 0.
    place: u32,
    /// The stretch of time.
    interval: IntervalView,
    /// Where it stands.
    #[schema(schema_with = partition_state)]
    state: PartitionState,
    /// Its run.
    #[schema(value_type = Option<String>)]
    run: Option<RunId>,
}

impl From<PartitionRecord> for PartitionView {
    fn from(it: PartitionRecord) -> Self {
        Self { place: it.place, interval: it.interval.into(), state: it.state, run: it.run }
    }
}

/// A page of partitions.
#[derive(Debug, Serialize, ToSchema)]
struct PartitionPage {
    /// The partitions, in their order.
    partitions: Vec<PartitionView>,
    /// The cursor of the next page, if there may be one.
    next: Option<String>,
}

/// The stretches of time of a backfill, in the order in which they are run, and where each stands.
#[utoipa::path(
    get, path = "/api/v1/backfills/{backfill}/partitions", operation_id = "list_partitions", tag = "backfills",
    params(("backfill" = String, Path, description = "The backfill's id"), PageQuery),
    responses(
        (status = 200, description = "A page of partitions", body = PartitionPage),
        (status = 404, description = "There is no such backfill"),
    )
)]
async fn partitions(
    State(api): State<Api>,
    At(id): At<String>,
    Ask(asked): Ask<PageQuery>,
) -> Result<Json<PartitionPage>, Problem> {
    let limit = page(asked.limit)?;
    let from: Option<u32> = List::Partitions.key(asked.cursor.as_deref())?;
    let id = api.store.backfill(&id).await?.id;
    let rows = api.store.partitions(&id, from.unwrap_or(0), limit).await?;
    let next = next(&rows, limit, |last| List::Partitions.cursor(last.place.saturating_add(1)));
    Ok(Json(PartitionPage { partitions: rows.into_iter().map(PartitionView::from).collect(), next }))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    use crate::testing::Example;
    let mut all = vec![
        Example::get("list_backfills", "/api/v1/backfills?pipeline=revenue&limit=1")
            .wrong("GET", "/api/v1/backfills?cursor=00", 422, "TM1308")
            .wrong("GET", "/api/v1/backfills?limit=0", 400, "TM0917"),
        Example::get("show_backfill", "/api/v1/backfills/bf_1").wrong("GET", "/api/v1/backfills/bf_9", 404, "TM1270"),
        Example::get("list_partitions", "/api/v1/backfills/bf_1/partitions?limit=2")
            .wrong("GET", "/api/v1/backfills/bf_1/partitions?cursor=00", 422, "TM1308")
            .wrong("GET", "/api/v1/backfills/bf_9/partitions", 404, "TM1270"),
    ];
    all.extend(create::examples());
    all.extend(moves::examples());
    all
}

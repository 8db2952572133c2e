//! Slots: pools, tenants, and pipelines that start nothing new.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tidemill_dag::id::RunId;
use tidemill_dag::limits::Gate;
use tidemill_store::{NewPool, PoolRecord, SlotHolder, StoreError, TenantRecord};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::input::{At, Body, count, some_count};
use crate::problem::Problem;
use crate::view::PipelineView;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(pools)))
        .routes(needs(Role::Read, routes!(pool)))
        .routes(needs(Role::Admin, routes!(set_pool)))
        .routes(needs(Role::Admin, routes!(remove_pool)))
        .routes(needs(Role::Read, routes!(tenants)))
        .routes(needs(Role::Admin, routes!(set_tenant)))
        .routes(needs(Role::Admin, routes!(assign)))
        .routes(needs(Role::Run, routes!(pause)))
        .routes(needs(Role::Run, routes!(unpause)))
}

/// A pool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pool)]
struct PoolView {
    /// Its name, as tasks use it.
    name: String,
    /// How many slots there are; with 0 nothing of it starts.
    slots: u32,
    /// What it is for.
    description: String,
    /// When its slots last changed.
    #[schema(format = DateTime)]
    updated_at: String,
    /// How many slots running tasks hold.
    held: u32,
    /// How many ready tasks wait for one.
    waiting: u32,
}

impl From<PoolRecord> for PoolView {
    fn from(pool: PoolRecord) -> Self {
        let PoolRecord { name, slots, description, updated_at, held, waiting } = pool;
        Self { name, slots, description, updated_at: updated_at.to_string(), held, waiting }
    }
}

/// A running task that holds slots.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SlotHolder)]
struct HolderView {
    /// The run.
    #[schema(value_type = String)]
    run: RunId,
    /// The pipeline.
    pipeline: String,
    /// The task's name.
    task: String,
    /// The attempt that holds them.
    attempt: u32,
    /// The worker.
    owner: String,
    /// How many slots.
    slots: u32,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
}

impl From<SlotHolder> for HolderView {
    fn from(holder: SlotHolder) -> Self {
        Self {
            run: holder.run,
            pipeline: holder.pipeline,
            task: holder.task,
            attempt: holder.attempt.0,
            owner: holder.owner.to_string(),
            slots: holder.slots,
            since: holder.since.to_string(),
        }
    }
}

/// Every pool.
#[derive(Debug, Serialize, ToSchema)]
struct PoolList {
    /// The pools, by name.
    pools: Vec<PoolView>,
}

/// Every pool with what is held of it and who waits.
#[utoipa::path(
    get, path = "/api/v1/pools", operation_id = "list_pools", tag = "limits",
    responses((status = 200, description = "The pools", body = PoolList))
)]
async fn pools(State(api): State<Api>) -> Result<Json<PoolList>, Problem> {
    Ok(Json(PoolList { pools: api.store.pools().await?.into_iter().map(PoolView::from).collect() }))
}

/// A pool with those who hold its slots.
#[derive(Debug, Serialize, ToSchema)]
struct PoolDetail {
    /// The pool.
    pool: PoolView,
    /// Who holds its slots, longest first; at most 100.
    holders: Vec<HolderView>,
}

/// A pool with those who hold its slots.
#[utoipa::path(
    get, path = "/api/v1/pools/{pool}", operation_id = "show_pool", tag = "limits",
    params(("pool" = String, Path, description = "The pool")),
    responses(
        (status = 200, description = "The pool", body = PoolDetail),
        (status = 404, description = "There is no such pool"),
    )
)]
async fn pool(State(api): State<Api>, At(name): At<String>) -> Result<Json<PoolDetail>, Problem> {
    let pool = api.store.pool(&name).await?.into();
    let gate = api.store.gate(&Gate::Pool(name)).await?;
    Ok(Json(PoolDetail { pool, holders: gate.holders.into_iter().map(HolderView::from).collect() }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PoolBody {
    /// How many slots there are; with 0 nothing of it starts.
    #[serde(deserialize_with = "count")]
    slots: u32,
    /// What it is for; what was said before if left out.
    #[serde(default)]
    description: Option<String>,
}

/// Makes a pool or changes it. What waits for it may start at once; what holds a slot keeps it.
#[utoipa::path(
    put, path = "/api/v1/pools/{pool}", operation_id = "set_pool", tag = "limits",
    params(("pool" = String, Path, description = "A name of lower-case letters, digits, `_` and `-`")),
    request_body = PoolBody,
    responses(
        (status = 200, description = "The pool as it is now", body = PoolView),
        (status = 422, description = "A pool cannot have this name"),
    )
)]
async fn set_pool(
    State(api): State<Api>,
    At(name): At<String>,
    Body(body): Body<PoolBody>,
) -> Result<Json<PoolView>, Problem> {
    let pool = NewPool { name, slots: body.slots, description: body.description };
    Ok(Json(api.store.set_pool(&pool).await?.into()))
}

/// Removes a pool. Tasks that name it wait until there is one of that name again.
#[utoipa::path(
    delete, path = "/api/v1/pools/{pool}", operation_id = "remove_pool", tag = "limits",
    params(("pool" = String, Path, description = "The pool")),
    responses((status = 204, description = "It is gone"), (status = 404, description = "There is no such pool"))
)]
async fn remove_pool(State(api): State<Api>, At(name): At<String>) -> Result<StatusCode, Problem> {
    api.store.remove_pool(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A tenant: whose pipelines share a limit, and a fair part of every pool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
struct TenantView {
    /// Its name.
    name: String,
    /// How many of its tasks may run at once; no limit if null.
    max_tasks: Option<u32>,
    /// How many pipelines belong to it.
    pipelines: u32,
    /// How many of its tasks run.
    running: u32,
    /// How many of its ready tasks wait for its limit.
    waiting: u32,
}

impl From<TenantRecord> for TenantView {
    fn from(tenant: TenantRecord) -> Self {
        let TenantRecord { name, max_tasks, pipelines, running, waiting } = tenant;
        Self { name, max_tasks, pipelines, running, waiting }
    }
}

/// Every tenant.
#[derive(Debug, Serialize, ToSchema)]
struct TenantList {
    /// The tenants, by name.
    tenants: Vec<TenantView>,
}

/// Every tenant that has a limit or a pipeline.
#[utoipa::path(
    get, path = "/api/v1/tenants", operation_id = "list_tenants", tag = "limits",
    responses((status = 200, description = "The tenants", body = TenantList))
)]
async fn tenants(State(api): State<Api>) -> Result<Json<TenantList>, Problem> {
    Ok(Json(TenantList { tenants: api.store.tenants().await?.into_iter().map(TenantView::from).collect() }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantBody {
    /// How many of its tasks may run at once; null takes the limit away.
    #[serde(deserialize_with = "some_count")]
    #[schema(required = true)]
    max_tasks: Option<u32>,
}

/// Says how many tasks of a tenant may run at once.
#[utoipa::path(
    put, path = "/api/v1/tenants/{tenant}", operation_id = "set_tenant", tag = "limits",
    params(("tenant" = String, Path, description = "A name of lower-case letters, digits, `_` and `-`")),
    request_body = TenantBody,
    responses(
        (status = 200, description = "The tenant as it is now", body = TenantView),
        (status = 422, description = "A tenant cannot have this name"),
    )
)]
async fn set_tenant(
    State(api): State<Api>,
    At(name): At<String>,
    Body(body): Body<TenantBody>,
) -> Result<Json<TenantView>, Problem> {
    api.store.set_tenant(&name, body.max_tasks).await?;
    let found = api.store.tenants().await?.into_iter().find(|tenant| tenant.name == name);
    found.map(|tenant| Json(tenant.into())).ok_or_else(|| Problem::not_found(format!("tenant `{name}` was removed")))
}

/// A pipeline as it stands.
async fn pipeline(api: &Api, name: &str) -> Result<Json<PipelineView>, Problem> {
    let found = api.store.pipelines().await?.into_iter().find(|pipeline| pipeline.name == name);
    Ok(Json(found.ok_or_else(|| StoreError::NoPipeline(name.to_owned()))?.into()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AssignBody {
    /// Whose it is from now on; runs that are there already stay with the tenant they began with.
    tenant: String,
}

/// Gives a pipeline to a tenant.
#[utoipa::path(
    put, path = "/api/v1/pipelines/{name}/tenant", operation_id = "assign_tenant", tag = "limits",
    params(("name" = String, Path, description = "The pipeline")),
    request_body = AssignBody,
    responses(
        (status = 200, description = "The pipeline as it is now", body = PipelineView),
        (status = 404, description = "There is no such pipeline"),
        (status = 422, description = "A tenant cannot have this name"),
    )
)]
async fn assign(
    State(api): State<Api>,
    At(name): At<String>,
    Body(body): Body<AssignBody>,
) -> Result<Json<PipelineView>, Problem> {
    api.store.assign_tenant(&name, &body.tenant).await?;
    pipeline(&api, &name).await
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    /// Why, for whoever asks what its runs wait for.
    #[serde(default)]
    reason: Option<String>,
}

/// Lets no new run of a pipeline start. Runs that come meanwhile wait; those that run go on.
#[utoipa::path(
    post, path = "/api/v1/pipelines/{name}/pause", operation_id = "pause_pipeline", tag = "limits",
    params(("name" = String, Path, description = "The pipeline")),
    request_body = PauseBody,
    responses(
        (status = 200, description = "The pipeline as it is now", body = PipelineView),
        (status = 404, description = "There is no such pipeline"),
    )
)]
async fn pause(
    State(api): State<Api>,
    At(name): At<String>,
    Body(body): Body<PauseBody>,
) -> Result<Json<PipelineView>, Problem> {
    api.store.pause_pipeline(&name, body.reason.as_deref()).await?;
    pipeline(&api, &name).await
}

/// Lets runs of a pipeline start again, those that waited first.
#[utoipa::path(
    post, path = "/api/v1/pipelines/{name}/unpause", operation_id = "unpause_pipeline", tag = "limits",
    params(("name" = String, Path, description = "The pipeline")),
    responses(
        (status = 200, description = "The pipeline as it is now", body = PipelineView),
        (status = 404, description = "There is no such pipeline"),
    )
)]
async fn unpause(State(api): State<Api>, At(name): At<String>) -> Result<Json<PipelineView>, Problem> {
    api.store.unpause_pipeline(&name).await?;
    api.bell.notify_one();
    pipeline(&api, &name).await
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    use crate::testing::Example;
    vec![
        Example::get("list_pools", "/api/v1/pools"),
        Example::get("show_pool", "/api/v1/pools/gpu").wrong("GET", "/api/v1/pools/none", 404, "TM1260"),
        Example::put("set_pool", "/api/v1/pools/gpu", r#"{"slots": 3, "description": "cards"}"#)
            .malformed(r#"{"slots": -1}"#, 400, "TM0917")
            .malformed(r#"{"slots": 5000000000}"#, 400, "TM0917")
            .malformed(r#"{"description": "x"}"#, 400, "TM0917")
            .malformed(r#"{"slots": 1, "size": 2}"#, 400, "TM0917")
            .conflict_at("/api/v1/pools/No%20Name", r#"{"slots": 1}"#, 422, "TM1261"),
        Example::delete("remove_pool", "/api/v1/pools/gpu").again(404).wrong(
            "DELETE",
            "/api/v1/pools/none",
            404,
            "TM1260",
        ),
        Example::get("list_tenants", "/api/v1/tenants"),
        Example::put("set_tenant", "/api/v1/tenants/finance", r#"{"max_tasks": 4}"#)
            .malformed(r#"{"max_tasks": "many"}"#, 400, "TM0917")
            .malformed("{}", 400, "TM0917")
            .conflict_at("/api/v1/tenants/No%20Name", r#"{"max_tasks": 4}"#, 422, "TM1261"),
        Example::put("assign_tenant", "/api/v1/pipelines/sums/tenant", r#"{"tenant": "finance"}"#)
            .malformed(r#"{"tenant": 1}"#, 400, "TM0917")
            .malformed(r#"{"tenant": "No Name"}"#, 422, "TM1261")
            .conflict_at("/api/v1/pipelines/nobody/tenant", r#"{"tenant": "finance"}"#, 404, "TM0809"),
        Example::post("pause_pipeline", "/api/v1/pipelines/sums/pause", r#"{"reason": "month end"}"#)
            .malformed(r#"{"reason": 1}"#, 400, "TM0917")
            .conflict_at("/api/v1/pipelines/nobody/pause", "{}", 404, "TM0809"),
        Example::post("unpause_pipeline", "/api/v1/pipelines/sums/unpause", "").conflict_at(
            "/api/v1/pipelines/nobody/unpause",
            "",
            404,
            "TM0809",
        ),
    ]
}

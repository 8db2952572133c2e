//! Runs: made, listed, stopped, taken up again.

mod cancel;
mod create;
mod create_of;
mod events;
mod explain;
mod list;
mod logs;
mod logs_live;
mod rerun;
mod resume;
mod show;

use tidemill_dag::id::{Ordinal, RunId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::problem::Problem;

pub(super) use create::{KeyHeader, idempotency_key};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list::list)))
        .routes(needs(Role::Run, routes!(create::create)))
        .routes(needs(Role::Run, routes!(create_of::create_of)))
        .routes(needs(Role::Read, routes!(show::show)))
        .routes(needs(Role::Read, routes!(events::events)))
        .routes(needs(Role::Read, routes!(logs::logs)))
        .routes(needs(Role::Read, routes!(logs_live::logs_live)))
        .routes(needs(Role::Read, routes!(explain::explain)))
        .routes(needs(Role::Run, routes!(cancel::cancel)))
        .routes(needs(Role::Run, routes!(resume::resume)))
        .routes(needs(Role::Run, routes!(rerun::rerun)))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    vec![
        list::example(),
        create::example(),
        create_of::example(),
        show::example(),
        events::example(),
        logs::example(),
        logs_live::example(),
        explain::example(),
        cancel::example(),
        resume::example(),
        rerun::example(),
    ]
}

/// The id of a run, as it stands in an address.
pub(super) fn run_id(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|_| Problem::not_found(format!("`{text}` is not the id of a run")))
}

/// The task of a run by its name.
async fn ordinal(api: &Api, run: RunId, name: &str) -> Result<Ordinal, Problem> {
    let tasks = api.store.tasks(run).await?;
    let task = tasks.iter().find(|task| task.name == name);
    task.map(|task| task.ordinal).ok_or_else(|| Problem::not_found(format!("run {run} has no task `{name}`")))
}

//! The tasks of a run.

mod attempts;
mod explain;
mod list;
mod show;

use tidemill_store::TaskRecord;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use super::runs::run_id;
use crate::Api;
use crate::auth::Role;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list::list)))
        .routes(needs(Role::Read, routes!(show::show)))
        .routes(needs(Role::Read, routes!(attempts::list)))
        .routes(needs(Role::Read, routes!(explain::explain)))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    vec![list::example(), show::example(), attempts::example(), explain::example()]
}

/// A task by its name, among all tasks of its run.
pub(super) async fn find(api: &Api, run: &str, name: &str) -> Result<(TaskRecord, Vec<TaskRecord>), Problem> {
    let run = api.store.run(run_id(run)?).await?;
    let tasks = api.store.tasks(run.id).await?;
    let found = tasks.iter().find(|task| task.name == name).cloned();
    let task = found.ok_or_else(|| Problem::not_found(format!("run {} has no task `{name}`", run.id)))?;
    Ok((task, tasks))
}

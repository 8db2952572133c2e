//! Data sets that tasks wrote: listed, looked into, downloaded.

mod download;
mod files;
mod link;
mod list;
mod preview;

use axum::http::StatusCode;
use tidemill_dag::codes::tm13;
use tidemill_engine::{DatasetFile, Manifest};
use tidemill_store::TaskRecord;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list::list)))
        .routes(needs(Role::Read, routes!(preview::preview)))
        .routes(needs(Role::Read, routes!(download::download)))
        .routes(needs(Role::Read, routes!(link::link)))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    vec![list::example(), preview::example(), download::example(), link::example()]
}

/// The manifest of the data set that a task wrote.
fn manifest(task: &TaskRecord) -> Option<Manifest> {
    serde_json::from_value(task.output.as_ref()?.get("manifest")?.clone()).ok()
}

/// The data set of a task of a run.
async fn data_set(api: &Api, run: &str, name: &str) -> Result<Manifest, Problem> {
    let (task, _) = super::tasks::find(api, run, name).await?;
    manifest(&task).ok_or_else(|| {
        let detail = format!("task `{name}` of {} has no data set", task.run);
        Problem::new(StatusCode::NOT_FOUND, tm13::NO_ROWS, detail)
    })
}

/// A file of the data set of a task.
async fn file(api: &Api, run: &str, task: &str, number: &str) -> Result<DatasetFile, Problem> {
    let manifest = data_set(api, run, task).await?;
    let place = number.parse::<usize>().ok();
    place.and_then(|place| manifest.files.into_iter().nth(place)).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, tm13::NO_ROWS, format!("the data set of `{task}` has no file {number}"))
    })
}

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tidemill_engine::Manifest;
use utoipa::ToSchema;

use super::manifest;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::routes::runs::run_id;

/// A column of a data set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ColumnView {
    /// Its name.
    name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    kind: String,
    /// Whether NULL is allowed.
    nullable: bool,
}

/// A file of a data set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileView {
    /// Its place in the data set, from 0; its address ends with it.
    number: usize,
    /// Its rows.
    rows: u64,
    /// Its bytes.
    bytes: u64,
}

/// A data set that a task wrote.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Artifact {
    /// The task.
    task: String,
    /// Rows in all files.
    rows: u64,
    /// Bytes of all files.
    bytes: u64,
    /// What the rows say, whatever their order and files: equal rows have equal hashes.
    hash: String,
    /// Its columns.
    columns: Vec<ColumnView>,
    /// Its files, in Parquet.
    files: Vec<FileView>,
}

/// The data sets of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArtifactList {
    /// The data sets, in the order of the plan.
    artifacts: Vec<Artifact>,
}

/// The columns of a data set.
pub(super) fn columns(manifest: &Manifest) -> Vec<ColumnView> {
    let column = |column: &tidemill_engine::DatasetColumn| ColumnView {
        name: column.name.clone(),
        kind: column.data_type.clone(),
        nullable: column.nullable,
    };
    manifest.columns.iter().map(column).collect()
}

/// Every data set that a task of this run wrote.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/artifacts", operation_id = "list_artifacts", tag = "artifacts",
    params(("run" = String, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The data sets", body = ArtifactList),
        (status = 404, description = "There is no such run"),
    )
)]
pub(super) async fn list(State(api): State<Api>, At(run): At<String>) -> Result<Json<ArtifactList>, Problem> {
    let run = api.store.run(run_id(&run)?).await?;
    let tasks = api.store.tasks(run.id).await?;
    let artifact = |(task, manifest): (String, Manifest)| {
        let file = |(number, file): (usize, &tidemill_engine::DatasetFile)| FileView {
            number,
            rows: file.rows,
            bytes: file.bytes,
        };
        Artifact {
            task,
            rows: manifest.rows,
            bytes: manifest.bytes,
            columns: columns(&manifest),
            files: manifest.files.iter().enumerate().map(file).collect(),
            hash: manifest.hash,
        }
    };
    let found = tasks.iter().filter_map(|task| Some((task.name.clone(), manifest(task)?)));
    Ok(Json(ArtifactList { artifacts: found.map(artifact).collect() }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_artifacts", "/api/v1/runs/{done}/artifacts").wrong(
        "GET",
        "/api/v1/runs/run_1/artifacts",
        404,
        "TM0918",
    )
}

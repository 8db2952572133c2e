//! What a run gave: the first rows, and where the files lie.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tidemill_api::Workbench;
use tidemill_connectors::Scan;
use tidemill_dag::plan::Plan;
use tidemill_dag::spec::TaskKind;
use tidemill_dag::state::TaskState;
use tidemill_engine::Manifest;
use tidemill_store::TaskRecord;
use tidemill_worker::BlobFiles;

use crate::clock;
use crate::error::CliError;
use crate::node;
use crate::out::Out;
use crate::preview;
use crate::project::{Project, shown};
use crate::words;

/// How many rows a preview has.
pub const ROWS: usize = 20;

/// Something a run gave that has rows.
pub struct Given {
    /// Who gave it.
    pub title: String,
    /// How many rows.
    pub rows: Option<u64>,
    /// Files, where it was loaded somewhere.
    pub places: Vec<String>,
    /// The first rows.
    pub head: Vec<RecordBatch>,
}

/// What is shown at the end of a run: every table that was loaded, or else the last data set.
pub async fn of_run(
    project: &Project,
    workbench: &Workbench,
    plan: &Plan,
    tasks: &[TaskRecord],
) -> Result<Vec<Given>, CliError> {
    let mut given = Vec::new();
    for task in tasks.iter().filter(|task| task.state == TaskState::Succeeded) {
        let Some(TaskKind::Load(load)) = plan.get(task.ordinal).map(|p| &p.task.kind) else { continue };
        let receipt = task.output.as_ref().and_then(|o| o.get("receipt")).cloned().unwrap_or_default();
        let head = match workbench.connections.get(&load.connection) {
            Some(connection) => loaded(&**connection, &load.table, ROWS).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let places = receipt.get("places").and_then(Value::as_array).into_iter().flatten();
        given.push(Given {
            title: format!("{}.{}", load.connection, load.table),
            rows: receipt.get("rows").and_then(Value::as_u64),
            places: places.filter_map(Value::as_str).map(|p| shown(std::path::Path::new(p))).collect(),
            head,
        });
    }
    if given.is_empty() {
        let with_rows = tasks.iter().rev().find(|t| t.state == TaskState::Succeeded && manifest(t).is_some());
        if let Some((task, manifest)) = with_rows.and_then(|t| Some((t, manifest(t)?))) {
            let head = data_set(project, workbench, &manifest, ROWS).await?;
            given.push(Given { title: task.name.clone(), rows: Some(manifest.rows), places: Vec::new(), head });
        }
    }
    Ok(given)
}

/// The manifest of the data set that a task wrote.
pub fn manifest(task: &TaskRecord) -> Option<Manifest> {
    serde_json::from_value(task.output.as_ref()?.get("manifest")?.clone()).ok()
}

/// The first rows of a table that was loaded.
async fn loaded(
    connection: &dyn tidemill_connectors::Connection,
    table: &str,
    rows: usize,
) -> Result<Vec<RecordBatch>, CliError> {
    let streams = connection.scan(Scan::table(table)).await?;
    let mut head = Vec::new();
    let mut left = rows;
    for mut stream in streams {
        while left > 0 {
            let Some(batch) = stream.next().await else { break };
            let batch = batch?;
            let batch = batch.slice(0, batch.num_rows().min(left));
            left -= batch.num_rows();
            head.push(batch);
        }
    }
    Ok(head)
}

/// The first rows of a data set between tasks.
pub async fn data_set(
    project: &Project,
    workbench: &Workbench,
    manifest: &Manifest,
    rows: usize,
) -> Result<Vec<RecordBatch>, CliError> {
    let mut session = workbench.engine.session(clock::clock().now());
    session.add_dataset("rows", manifest, Arc::new(BlobFiles(node::blobs(project).await?)))?;
    let stream = session.stream(&format!("SELECT * FROM rows LIMIT {rows}")).await?;
    Ok(stream.collect().await?)
}

impl Given {
    /// For people.
    pub fn print(&self, out: Out) -> Result<(), CliError> {
        let rows = self.rows.map(|n| format!(": {}", words::rows(n))).unwrap_or_default();
        out.line(format!("\n{}{rows}", out.paint.bold(&self.title)))?;
        let table = preview::table(&self.head)?;
        out.text(&table.render(out.width, out.paint))?;
        let shown = table.rows.len();
        if let Some(more) =
            self.rows.and_then(|n| n.checked_sub(u64::try_from(shown).unwrap_or(u64::MAX))).filter(|n| *n > 0)
        {
            out.line(out.paint.dim(&format!("… and {} more", words::rows(more))))?;
        }
        for place in &self.places {
            out.line(format!("written to {place}"))?;
        }
        Ok(())
    }

    /// For programs.
    pub fn json(&self) -> Result<Value, CliError> {
        Ok(json!({
            "table": self.title, "rows": self.rows, "places": self.places, "head": preview::json(&self.head)?,
        }))
    }
}

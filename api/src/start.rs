//! Starting a run of a version.

use serde_json::{Map, Value};
use tidemill_dag::compile::{self, Compiled, Known};
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_dag::id::RunId;
use tidemill_dag::spec::Pipeline;
use tidemill_dag::time::{Chance, Clock};
use tidemill_store::{Created, NewRun, NewTask, Store, StoreError, TriggerKind};

/// Why no run was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The parameters do not fit, or the stored definition no longer fits the project.
    #[error("the run cannot be started")]
    Findings(Vec<Diagnostic>),
    /// The pipeline is there, but no version of it is active.
    #[error("no version of pipeline `{0}` is active")]
    NotActive(String),
    /// The same key was used for another run.
    #[error("the key `{key}` belongs to run {run}, which was started with other values")]
    KeyTaken {
        /// The key.
        key: String,
        /// The run.
        run: RunId,
    },
    /// A stored definition has another shape than this program reads.
    #[error("the stored definition of pipeline `{pipeline}` cannot be read")]
    Stored {
        /// The pipeline.
        pipeline: String,
        /// What happened.
        source: serde_json::Error,
    },
}

/// Who starts a run, and with what.
#[derive(Debug, Clone)]
pub struct Order {
    /// What makes it.
    pub trigger: TriggerKind,
    /// Names the cause, so that one cause makes one run.
    pub key: Option<String>,
    /// What the cause said, for templates.
    pub data: Value,
    /// Its parameters, as given.
    pub params: Map<String, Value>,
}

/// Starts a run.
///
/// # Errors
/// See [`StartError`]. A key that was used before with the same values gives that run.
pub async fn start(
    store: &Store,
    compiled: &Compiled,
    order: Order,
    (clock, chance): (&dyn Clock, &dyn Chance),
) -> Result<Created, StartError> {
    let params = tidemill_dag::params::bind(&compiled.pipeline, &order.params).map_err(StartError::Findings)?;
    let new = NewRun {
        id: RunId::from_parts(clock.now(), chance.bits()),
        pipeline: compiled.pipeline.pipeline.clone(),
        version: compiled.version.clone(),
        trigger: order.trigger,
        trigger_key: order.key.clone(),
        trigger_data: order.data,
        params: params.into(),
        interval: None,
        concurrency: compiled.pipeline.concurrency.clone(),
        tasks: compiled.plan.tasks.iter().map(NewTask::from).collect(),
    };
    let params = new.params.clone();
    let created = store.create_run(new).await?;
    if let (true, Some(key)) = (created.existed, order.key) {
        let before = store.run(created.run).await?;
        if before.params != params || before.version != compiled.version {
            return Err(StartError::KeyTaken { key, run: created.run });
        }
    }
    Ok(created)
}

/// The active version of a pipeline, planned.
///
/// # Errors
/// There is no such pipeline, none of its versions is active, or the stored definition no longer fits the project.
pub async fn active(store: &Store, pipeline: &str, known: &Known) -> Result<Compiled, StartError> {
    let Some(version) = store.active(pipeline).await? else {
        let there = store.pipelines().await?.iter().any(|p| p.name == pipeline);
        let missing = || StoreError::NoPipeline(pipeline.to_owned());
        return Err(if there { StartError::NotActive(pipeline.to_owned()) } else { missing().into() });
    };
    let definition: Pipeline = serde_json::from_value(version.definition)
        .map_err(|source| StartError::Stored { pipeline: pipeline.to_owned(), source })?;
    let compiled = compile::from_pipeline(definition, known).map_err(StartError::Findings)?;
    Ok(Compiled { version: version.id, ..compiled })
}

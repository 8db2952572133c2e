//! Starting a run of a version.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tidemill_dag::codes::{tm08, tm09};
use tidemill_dag::compile::{self, Compiled, Known};
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_dag::id::RunId;
use tidemill_dag::spec::Pipeline;
use tidemill_dag::time::{Chance, Clock};
use tidemill_store::{Bounds, Created, Named, NewRun, NewTask, Store, StoreError, TriggerKind};

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

impl StartError {
    /// The public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Findings(found) => found.first().map_or(tm09::BAD_PARAMETER, |finding| finding.code),
            Self::NotActive(_) => tm08::NO_PIPELINE,
            Self::KeyTaken { .. } => tm09::KEY_TAKEN,
            Self::Stored { .. } => tm09::MACHINE,
        }
    }
}

/// How long an idempotency key finds its run.
pub const KEY_LASTS: Duration = Duration::from_secs(7 * 86_400);

/// Who starts a run, and with what.
#[derive(Debug, Clone)]
pub struct Order {
    /// What makes it.
    pub trigger: TriggerKind,
    /// Names the cause, so that one cause makes one run.
    pub key: Option<String>,
    /// What the cause said, for templates.
    pub data: Value,
    /// Who asks for it: a name, until identities come.
    pub by: Option<String>,
    /// Its parameters, as given.
    pub params: Map<String, Value>,
}

/// Starts a run.
///
/// # Errors
/// See [`StartError`]. A key that was used before for the same request gives that run.
pub async fn start(
    store: &Store,
    compiled: &Compiled,
    order: Order,
    (clock, chance): (&dyn Clock, &dyn Chance),
) -> Result<Created, StartError> {
    let params = tidemill_dag::params::bind(&compiled.pipeline, &order.params).map_err(StartError::Findings)?;
    let request = request(&order, compiled);
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
        started_by: order.by,
        priority: Default::default(),
        tasks: compiled.plan.tasks.iter().map(NewTask::from).collect(),
        bounds: Bounds::of(&compiled.pipeline),
    };
    let Some(key) = order.key else { return Ok(store.create_run(new).await?) };
    let named = Named { key: key.clone(), request: Some(request), lasts: KEY_LASTS };
    match store.create_run_once(new, named).await {
        Err(StoreError::KeyTaken { run, .. }) => Err(StartError::KeyTaken { key, run }),
        created => Ok(created?),
    }
}

/// What is asked for. A caller of the API asks for the active version, whichever that is; who runs a file asks
/// for what stands in it.
fn request(order: &Order, compiled: &Compiled) -> String {
    let version = (order.trigger != TriggerKind::Api).then_some(&compiled.version);
    compile::digest(&json!({ "params": order.params, "version": version }))
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

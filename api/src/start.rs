//! Starting a run of a version.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tidemill_dag::codes::{tm08, tm09, tm12};
use tidemill_dag::compile::{self, Compiled, Known};
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_dag::id::{RunId, VersionId};
use tidemill_dag::plan::PlannedTask;
use tidemill_dag::rerun::{self, RerunError, Wanted};
use tidemill_dag::spec::Pipeline;
use tidemill_dag::state::Taken;
use tidemill_dag::time::{Chance, Clock};
use tidemill_store::{Created, Named, NewRun, NewTask, Store, StoreError, TaskRecord, TriggerKind, VersionRecord};

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
    /// Parts of a run cannot be done again like that.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rerun(Vec<RerunError>),
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
            Self::Rerun(wrong) => match wrong.first() {
                Some(RerunError::NoTask { .. }) => tm09::UNKNOWN_TASK,
                Some(RerunError::NothingToTake { .. }) | None => tm12::NOTHING_TO_TAKE,
            },
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
        trigger_key: order.key.clone(),
        trigger_data: order.data,
        params: params.into(),
        started_by: order.by,
        ..NewRun::of(RunId::from_parts(clock.now(), chance.bits()), compiled, order.trigger)
    };
    create(store, new, order.key, request).await
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
    planned(version, known)
}

fn planned(version: VersionRecord, known: &Known) -> Result<Compiled, StartError> {
    let stored = |source| StartError::Stored { pipeline: version.pipeline.clone(), source };
    let definition: Pipeline = serde_json::from_value(version.definition.clone()).map_err(stored)?;
    let compiled = compile::from_pipeline(definition, known).map_err(StartError::Findings)?;
    Ok(Compiled { version: version.id, ..compiled })
}

/// Which version does a run again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Which {
    /// The one that the run had.
    #[default]
    Same,
    /// The one that is active now.
    Active,
    /// This one.
    Version(VersionId),
}

impl Which {
    /// `same`, `active`, or the id of a version.
    pub fn parse(text: &str) -> Self {
        match text {
            "same" => Self::Same,
            "active" => Self::Active,
            id => Self::Version(VersionId(id.to_owned())),
        }
    }
}

/// What of a run is done again, and by whom it is asked for.
#[derive(Debug, Clone)]
pub struct Again {
    /// The run.
    pub run: RunId,
    /// Which of its tasks; the others end as they did, with what they gave.
    pub wanted: Wanted,
    /// By which version.
    pub version: Which,
    /// What makes the new run.
    pub trigger: TriggerKind,
    /// Names the cause, so that one cause makes one run.
    pub key: Option<String>,
    /// Who asks for it: a name, until identities come.
    pub by: Option<String>,
}

/// Does a run again, all or in part, as a new run with the same parameters, interval and cause. Its loads have ids of their own:
/// each is visible once per run.
///
/// # Errors
/// See [`StartError`]; [`StoreError::NotOver`] where the run has not ended, [`StoreError::Removed`] where its results are gone.
pub async fn rerun(
    store: &Store,
    known: &Known,
    again: Again,
    (clock, chance): (&dyn Clock, &dyn Chance),
) -> Result<Created, StartError> {
    let earlier = store.run(again.run).await?;
    let compiled = match &again.version {
        Which::Same => planned(store.version(&earlier.version).await?, known)?,
        Which::Active => active(store, &earlier.pipeline, known).await?,
        Which::Version(id) => planned(store.version(id).await?, known)?,
    };
    if compiled.pipeline.pipeline != earlier.pipeline {
        return Err(StoreError::NoVersion(compiled.version).into());
    }
    // Another version may have other parameters.
    let given = earlier.params.as_object().cloned().unwrap_or_default();
    let params = tidemill_dag::params::bind(&compiled.pipeline, &given).map_err(StartError::Findings)?;
    let tasks = tasks_again(store, &compiled, &again).await?;
    let request = compile::digest(&json!({
        "run": again.run, "tasks": again.wanted.tasks, "downstream": again.wanted.downstream,
        "version": (again.version != Which::Active).then_some(&compiled.version),
    }));
    let new = NewRun {
        trigger_key: again.key.clone(),
        trigger_data: earlier.trigger_data,
        params: params.into(),
        interval: earlier.interval,
        started_by: again.by,
        priority: earlier.priority,
        rerun_of: Some(earlier.id),
        tasks,
        ..NewRun::of(RunId::from_parts(clock.now(), chance.bits()), &compiled, again.trigger)
    };
    create(store, new, again.key, request).await
}

async fn tasks_again(store: &Store, compiled: &Compiled, again: &Again) -> Result<Vec<NewTask>, StartError> {
    let before = store.tasks(again.run).await?;
    let before: HashMap<String, TaskRecord> =
        before.into_iter().filter(|task| task.parent.is_none()).map(|task| (task.name.clone(), task)).collect();
    let states = before.iter().map(|(name, task)| (name.clone(), task.state)).collect();
    let taken = rerun::plan(&compiled.plan, &states, &again.wanted).map_err(StartError::Rerun)?;
    let task = |(planned, taken): (&PlannedTask, Option<Taken>)| {
        let gave = before.get(&planned.name).filter(|_| taken == Some(Taken::Succeeded));
        NewTask { taken, output: gave.and_then(|task| task.output.clone()), ..NewTask::from(planned) }
    };
    Ok(compiled.plan.tasks.iter().zip(taken).map(task).collect())
}

async fn create(store: &Store, new: NewRun, key: Option<String>, request: String) -> Result<Created, StartError> {
    let Some(key) = key else { return Ok(store.create_run(new).await?) };
    let named = Named { key: key.clone(), request: Some(request), lasts: KEY_LASTS };
    match store.create_run_once(new, named).await {
        Err(StoreError::KeyTaken { run, .. }) => Err(StartError::KeyTaken { key, run }),
        created => Ok(created?),
    }
}

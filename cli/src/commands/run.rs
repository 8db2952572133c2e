use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidemill_api::start::{self, Order, StartError};
use tidemill_api::view::{RunView, TaskView};
use tidemill_api::{Workbench, definitions};
use tidemill_dag::compile::Compiled;
use tidemill_dag::id::RunId;
use tidemill_store::{Store, TriggerKind};

use crate::args::RunArgs;
use crate::definition::{self, Meant};
use crate::drive::{self, Ended};
use crate::error::{CliError, Exit};
use crate::node::{Node, Role};
use crate::out::Out;
use crate::project::{Project, shown};
use crate::{clock, result, words};

/// Runs a definition.
pub async fn run(project: &Project, args: RunArgs, out: Out) -> Result<Exit, CliError> {
    let params = params(&args.params)?;
    let workbench = project.workbench()?;
    let order = Order {
        trigger: TriggerKind::Manual,
        key: args.key.map(|key| format!("cli/{key}")),
        data: Value::Null,
        by: crate::who::me(),
        params,
    };
    let prepared = prepare(project, &workbench, &args.what).await?;
    if args.detach {
        let (store, _) = project.open().await?;
        let run = prepared.start(&store, order).await?;
        return detached(&store, run, out).await;
    }
    let node = Node::start(project, &workbench, Role::Drive).await?;
    let run = prepared.start(&node.store, order).await?;
    out.note(format!("{} {run}", out.paint_err.dim("run")));
    let ended = drive::to_the_end(&node, run, 0, out).await;
    node.stop().await;
    tell(project, &workbench, &prepared.compiled, ended?, out).await
}

/// A definition that may be started.
pub struct Prepared {
    /// The definition and its plan.
    pub compiled: Arc<Compiled>,
    /// To be saved first, where it came from a file.
    checked: Option<(definitions::Checked, Value)>,
}

/// Reads and proves what is meant; a version that was applied is proved already.
pub async fn prepare(project: &Project, workbench: &Workbench, what: &str) -> Result<Prepared, CliError> {
    match definition::meant(project, what) {
        Meant::File(path) => {
            let checked = definition::check(workbench, &path).await?;
            Ok(Prepared::checked(checked, json!({"from": "file", "file": shown(&path)})))
        }
        Meant::Stored(name) => {
            let store = project.look().await?;
            match start::active(&store, &name, &workbench.names()).await {
                Ok(compiled) => Ok(Prepared { compiled: Arc::new(compiled), checked: None }),
                Err(StartError::Store(tidemill_store::StoreError::NoPipeline(_))) => {
                    Err(CliError::UnknownPipeline { known: known(project, &store).await?, name })
                }
                Err(error) => Err(from_start(error)),
            }
        }
    }
}

impl Prepared {
    /// One that was proved and is not saved yet.
    pub fn checked(checked: definitions::Checked, origin: Value) -> Self {
        Self { compiled: Arc::clone(&checked.compiled), checked: Some((checked, origin)) }
    }

    /// Saves the version, if need be, and starts a run of it.
    pub async fn start(&self, store: &Store, order: Order) -> Result<RunId, CliError> {
        if let Some((checked, origin)) = &self.checked {
            definitions::save(store, checked, origin.clone()).await?;
        }
        let (clock, chance) = (clock::clock(), clock::chance());
        let created = start::start(store, &self.compiled, order, (&*clock, &*chance)).await.map_err(from_start)?;
        Ok(created.run)
    }
}

/// Pipelines that could have been meant: files of the project, and what was applied.
async fn known(project: &Project, store: &Store) -> Result<Vec<String>, CliError> {
    let files = definition::in_folder(&project.pipelines()).unwrap_or_default();
    let stem = |path: &std::path::PathBuf| path.file_stem().map(|s| s.to_string_lossy().into_owned());
    let mut known: Vec<String> = files.iter().filter_map(stem).collect();
    known.extend(store.pipelines().await?.into_iter().map(|p| p.name));
    known.sort();
    known.dedup();
    Ok(known)
}

pub fn from_start(error: StartError) -> CliError {
    match error {
        StartError::Store(error) => CliError::Store(error),
        StartError::Findings(list) => CliError::Params(list),
        StartError::NotActive(_) | StartError::KeyTaken { .. } | StartError::Rerun(_) | StartError::Stored { .. } => {
            CliError::Start(error)
        }
    }
}

/// `name=value` as text; the definition says what type it is.
pub fn params(given: &[String]) -> Result<Map<String, Value>, CliError> {
    let one = |text: &String| {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty())?;
        Some((name.to_owned(), Value::String(value.to_owned())))
    };
    given.iter().map(|text| one(text).ok_or_else(|| CliError::ParamSyntax { text: text.clone() })).collect()
}

async fn detached(store: &Store, run: RunId, out: Out) -> Result<Exit, CliError> {
    let record = store.run(run).await?;
    if out.json {
        out.value(&RunView::from(record))?;
        return Ok(Exit::Ok);
    }
    out.line(run.to_string())?;
    if !somebody_works(store).await? {
        out.note(format!("no worker is alive: start `tidemill dev`, or `tidemill resume {run}`"));
    }
    Ok(Exit::Ok)
}

/// Whether a worker was heard of lately.
pub async fn somebody_works(store: &Store) -> Result<bool, CliError> {
    let now = store.clock().now();
    Ok(store.workers().await?.iter().any(|worker| worker.is_alive(now)))
}

/// What came of a run, for programs.
pub fn as_json(given: &[result::Given], ended: Ended) -> Result<Value, CliError> {
    let results = given.iter().map(result::Given::json).collect::<Result<Vec<_>, _>>()?;
    let tasks: Vec<TaskView> = ended.tasks.into_iter().map(TaskView::from).collect();
    Ok(json!({"run": RunView::from(ended.run), "tasks": tasks, "results": results}))
}

/// What came of a run: for people, or as JSON.
pub async fn tell(
    project: &Project,
    workbench: &Workbench,
    compiled: &Compiled,
    ended: Ended,
    out: Out,
) -> Result<Exit, CliError> {
    let exit = ended.exit();
    let given = result::of_run(project, workbench, &compiled.plan, &ended.tasks).await?;
    if out.json {
        out.value(&as_json(&given, ended)?)?;
        return Ok(exit);
    }
    let run = &ended.run;
    let took = run.started_at.zip(run.finished_at).map(|(s, e)| format!(" in {}", words::duration(e.since(s))));
    out.line(format!("{} {}{}", run.id, words::run_state(run.state, out.paint), took.unwrap_or_default()))?;
    for task in &ended.tasks {
        if let Some(error) = task.error.as_ref().filter(|_| task.state == tidemill_dag::state::TaskState::Failed) {
            out.note(format!(
                "{} {}: {}",
                out.paint_err.red(&format!("error[{}]", error.code)),
                task.name,
                error.message
            ));
            if let Some(help) = &error.help {
                out.note(format!("  {} {help}", out.paint_err.cyan("help:")));
            }
        }
    }
    for one in &given {
        one.print(out)?;
    }
    if exit == Exit::Failed {
        out.note(format!("`tidemill logs {0}` shows what was printed; `tidemill resume {0}` goes on", run.id));
    }
    Ok(exit)
}

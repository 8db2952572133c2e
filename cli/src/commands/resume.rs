use tidemill_api::start;
use tidemill_api::view::RunView;
use tidemill_dag::id::RunId;
use tidemill_dag::spec::Pipeline;
use tidemill_dag::state::RunState;
use tidemill_store::{RunRecord, Store};

use crate::args::Resume;
use crate::drive;
use crate::error::{CliError, Exit};
use crate::node::{Node, Role};
use crate::out::Out;
use crate::project::Project;
use crate::resolve;

/// Goes on with a run and, unless told otherwise, drives it to its end.
pub async fn run(project: &Project, args: Resume, out: Out) -> Result<Exit, CliError> {
    let (store, _) = project.open().await?;
    let run = resolve::run(&store, &args.run).await?;
    let run = match run.state {
        RunState::Succeeded => {
            if out.json {
                out.value(&RunView::from(run))?;
            } else {
                out.line(format!("{} has succeeded already", run.id))?;
            }
            return Ok(Exit::Ok);
        }
        RunState::Failed | RunState::Cancelled => store.resume_run(run.id).await?,
        // Not ended: it only needs somebody who works on it.
        RunState::Queued | RunState::Running => run,
    };
    follow(project, &store, run, args.detach, out).await
}

/// Drives a run to its end, unless others are to.
pub async fn follow(
    project: &Project,
    store: &Store,
    run: RunRecord,
    detach: bool,
    out: Out,
) -> Result<Exit, CliError> {
    if detach {
        if out.json {
            out.value(&RunView::from(run))?;
        } else {
            out.line(run.id.to_string())?;
        }
        return Ok(Exit::Ok);
    }
    let workbench = project.workbench()?;
    let version = store.version(&run.version).await?;
    let stored = |source| start::StartError::Stored { pipeline: run.pipeline.clone(), source };
    let definition: Pipeline = serde_json::from_value(version.definition).map_err(|e| CliError::Start(stored(e)))?;
    let compiled = tidemill_dag::compile::from_pipeline(definition, &workbench.names()).map_err(CliError::Params)?;
    let told = last_event(store, run.id).await?;
    let node = Node::start(project, &workbench, Role::Drive).await?;
    out.note(format!("{} {}", out.paint_err.dim("run"), run.id));
    let ended = drive::to_the_end(&node, run.id, told, out).await;
    node.stop().await;
    super::run::tell(project, &workbench, &compiled, ended?, out).await
}

/// What happened until now has been told already.
async fn last_event(store: &Store, run: RunId) -> Result<i64, CliError> {
    let mut last = 0;
    loop {
        match store.events(run, last, 1_000).await?.last() {
            Some(event) => last = event.id,
            None => return Ok(last),
        }
    }
}

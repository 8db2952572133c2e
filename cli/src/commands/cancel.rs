use tidemill_api::view::RunView;

use crate::args::RunRef;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::resolve;
use crate::words;

/// Cancels a run.
pub async fn run(project: &Project, args: RunRef, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let run = resolve::run(&store, &args.run).await?;
    if words::ended(run.state) {
        if out.json {
            out.value(&RunView::from(run))?;
        } else {
            out.line(format!("{} has ended already: {}", run.id, words::run_state(run.state, out.paint)))?;
        }
        return Ok(Exit::Ok);
    }
    let run = store.cancel_run(run.id, "cancelled from the command line").await?;
    if out.json {
        out.value(&RunView::from(run))?;
    } else {
        out.line(format!("{} is {}", run.id, words::run_state(run.state, out.paint)))?;
    }
    Ok(Exit::Ok)
}

use serde_json::json;

use crate::args::{Pause, Unpause};
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;

/// No new run of a pipeline starts from now on.
pub async fn pause(project: &Project, args: Pause, out: Out) -> Result<Exit, CliError> {
    let (store, _) = project.open().await?;
    store.pause_pipeline(&args.pipeline, args.reason.as_deref()).await?;
    if out.json {
        out.value(&json!({ "pipeline": args.pipeline, "paused": true }))?;
    } else {
        out.line(format!("{} is paused: runs that come wait, those that run go on", args.pipeline))?;
    }
    Ok(Exit::Ok)
}

/// Runs of a pipeline start again.
pub async fn unpause(project: &Project, args: Unpause, out: Out) -> Result<Exit, CliError> {
    let (store, _) = project.open().await?;
    let started = store.unpause_pipeline(&args.pipeline).await?;
    if out.json {
        out.value(&json!({ "pipeline": args.pipeline, "paused": false, "started": started }))?;
    } else {
        out.line(format!("{} starts runs again; {started} that waited have started", args.pipeline))?;
    }
    Ok(Exit::Ok)
}

//! Schedules, a worker and the JSON API in one process.

mod watch;

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tidemill_api::Access;
use tokio_util::sync::CancellationToken;

use crate::args::Dev;
use crate::drive::Signals;
use crate::error::{CliError, Exit};
use crate::node::{Node, Role};
use crate::out::Out;
use crate::project::{Project, shown};
use crate::serve::{self, Serving};
use crate::words;

/// Serves until it is interrupted.
pub async fn run(project: Project, args: Dev, out: Out) -> Result<Exit, CliError> {
    let start = Instant::now();
    let mut signals = Signals::new()?;
    serve::local(args.listen)?;
    let listener = serve::listen(args.listen).await?;
    let workbench = Arc::new(project.workbench()?);
    let node = Node::start(&project, &workbench, Role::Serve).await?;
    let api = Serving::start(&project, (&node, &workbench), listener, Access::Local).await?;
    let bound = api.bound;
    let shutdown = CancellationToken::new();
    greet(&project, &format!("http://{bound}"), start, out)?;
    let watcher = watch::Watcher::new(project.pipelines(), workbench, node.store.clone(), node.bell.clone(), out);
    let watcher = tokio::spawn(watcher.run(shutdown.clone()));
    let failed = node.until_told(&mut signals).await;
    out.note("stopping; what runs is given back");
    shutdown.cancel();
    let _ = watcher.await;
    api.stop().await;
    node.drain(&mut signals).await;
    failed.map_or(Ok(Exit::Ok), Err)
}

fn greet(project: &Project, url: &str, start: Instant, out: Out) -> Result<(), CliError> {
    let pipelines = project.pipelines();
    if out.json {
        return out.value_line(&json!({"event": "listening", "url": url, "pid": std::process::id()}));
    }
    out.line(format!("Tidemill serves {} ({})", out.paint.bold(url), words::duration(start.elapsed())))?;
    out.line(format!("  project    {}", project.root.display()))?;
    out.line(format!("  state      {}", shown(&project.state.dir)))?;
    let watched = if pipelines.is_dir() { shown(&pipelines) } else { format!("{} (not there yet)", shown(&pipelines)) };
    out.line(format!("  pipelines  {watched}, applied now and whenever they change"))?;
    out.line(format!("  worker     {} slots; schedules fire here", project.config.worker.effective_slots()))
}

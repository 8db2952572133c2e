//! Schedules, a worker and the JSON API in one process.

mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tidemill_api::Api;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::Dev;
use crate::clock;
use crate::drive::Signals;
use crate::error::{CliError, Exit};
use crate::node::{Node, Role};
use crate::out::Out;
use crate::project::{Project, shown};
use crate::words;

/// Serves until it is interrupted.
pub async fn run(project: Project, args: Dev, out: Out) -> Result<Exit, CliError> {
    let start = Instant::now();
    let mut signals = Signals::new()?;
    let (listener, bound) = listen(args.listen).await?;
    let workbench = Arc::new(project.workbench()?);
    let node = Node::start(&project, &workbench, Role::Serve).await?;
    let api = Api {
        store: node.store.clone(),
        workbench: workbench.clone(),
        clock: node.store.clock(),
        chance: clock::chance(),
        bell: node.bell.clone(),
    };
    let shutdown = CancellationToken::new();
    let stopped = shutdown.clone();
    let server = axum::serve(listener, tidemill_api::router(api).merge(node.metrics()))
        .with_graceful_shutdown(async move { stopped.cancelled().await });
    let server = tokio::spawn(async move { server.await });
    greet(&project, &format!("http://{bound}"), start, out)?;
    let watcher = watch::Watcher::new(project.pipelines(), workbench, node.store.clone(), node.bell.clone(), out);
    let watcher = tokio::spawn(watcher.run(shutdown.clone()));
    let failed = node.until_told(&mut signals).await;
    out.note("stopping; what runs is given back");
    shutdown.cancel();
    let _ = watcher.await;
    let _ = server.await;
    node.drain(&mut signals).await;
    failed.map_or(Ok(Exit::Ok), Err)
}

/// Listens on an address of this machine alone, and says which one it became.
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), CliError> {
    let text = address.to_string();
    if !address.ip().is_loopback() {
        return Err(CliError::NotLoopback { address: text });
    }
    let failed = |source| CliError::Listen { address: text.clone(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
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

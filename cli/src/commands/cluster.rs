//! The parts of a cluster: any number of each, on any machine, over one PostgreSQL and one Redis.

use std::sync::Arc;

use serde_json::json;
use tidemill_api::Api;
use tokio_util::sync::CancellationToken;

use crate::args::{ServerArgs, WorkerArgs};
use crate::clock;
use crate::drive::Signals;
use crate::error::{CliError, Exit};
use crate::node::{Node, Role};
use crate::out::Out;
use crate::project::Project;

/// Runs tasks until it is told to stop.
pub async fn worker(mut project: Project, args: WorkerArgs, out: Out) -> Result<Exit, CliError> {
    shares(&project, "worker")?;
    let section = &mut project.config.worker;
    section.slots = args.slots().or(section.slots);
    if !args.queues.is_empty() {
        section.queues = args.queues;
    }
    let about = json!({"slots": section.effective_slots(), "queues": section.queues});
    serve(&project, Role::Worker, about, out).await
}

/// Fires schedules and sweeps until it is told to stop.
pub async fn scheduler(project: Project, out: Out) -> Result<Exit, CliError> {
    shares(&project, "scheduler")?;
    serve(&project, Role::Scheduler, json!({}), out).await
}

/// Answers requests until it is told to stop.
pub async fn server(project: Project, args: ServerArgs, out: Out) -> Result<Exit, CliError> {
    shares(&project, "server")?;
    let mut signals = Signals::new()?;
    let (listener, bound) = super::dev::listen(args.listen).await?;
    let workbench = Arc::new(project.workbench()?);
    let node = Node::start(&project, &workbench, Role::Server).await?;
    let api = Api {
        store: node.store.clone(),
        workbench,
        clock: node.store.clock(),
        chance: clock::chance(),
        bell: node.bell.clone(),
    };
    let shutdown = CancellationToken::new();
    let stopped = shutdown.clone();
    let server = axum::serve(listener, tidemill_api::router(api).merge(node.metrics()))
        .with_graceful_shutdown(async move { stopped.cancelled().await });
    let server = tokio::spawn(async move { server.await });
    ready(Role::Server, json!({"url": format!("http://{bound}")}), out)?;
    let failed = node.until_told(&mut signals).await;
    shutdown.cancel();
    let _ = server.await;
    node.drain(&mut signals).await;
    failed.map_or(Ok(Exit::Ok), Err)
}

/// Without a shared state, the other parts would never hear of this one.
fn shares(project: &Project, command: &'static str) -> Result<(), CliError> {
    project.cluster()?.map_err(|why| CliError::NoCluster { command, why })
}

async fn serve(project: &Project, role: Role, mut about: serde_json::Value, out: Out) -> Result<Exit, CliError> {
    let mut signals = Signals::new()?;
    let workbench = project.workbench()?;
    let node = Node::start(project, &workbench, role).await?;
    about["id"] = json!(node.id);
    ready(role, about, out)?;
    let failed = node.until_told(&mut signals).await;
    out.note("stopping; tasks may end, another signal gives them back at once");
    node.drain(&mut signals).await;
    failed.map_or(Ok(Exit::Ok), Err)
}

/// Says that it is there: for people, and for programs that wait for it.
fn ready(role: Role, mut about: serde_json::Value, out: Out) -> Result<(), CliError> {
    let part = match role {
        Role::Worker => "worker",
        Role::Scheduler => "scheduler",
        Role::Server | Role::Serve | Role::Drive => "server",
    };
    about["part"] = part.into();
    about["pid"] = std::process::id().into();
    if out.json {
        about["event"] = "ready".into();
        return out.value_line(&about);
    }
    let fields = about.as_object().into_iter().flatten();
    let fields: Vec<String> = fields.filter(|(name, _)| *name != "part").map(|(k, v)| format!("{k} {v}")).collect();
    out.line(format!("Tidemill {part}: {}", fields.join(", ")))
}

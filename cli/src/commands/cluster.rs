//! The parts of a cluster: any number of each, on any machine, over one PostgreSQL and one Redis.

use std::sync::Arc;

use serde_json::json;
use tidemill_api::Access;

use crate::args::{ServerArgs, WorkerArgs};
use crate::drive::Signals;
use crate::error::{CliError, Exit};
use crate::node::{Node, Role};
use crate::out::Out;
use crate::project::Project;
use crate::serve::{self, Serving};

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
    let workbench = Arc::new(project.workbench()?);
    let node = Node::start(&project, &workbench, Role::Server).await?;
    serve::protected(args.listen, &node.store).await?;
    let listener = serve::listen(args.listen).await?;
    let api = Serving::start(&project, (&node, &workbench), listener, Access::Tokens).await?;
    let bound = api.bound;
    ready(Role::Server, json!({"url": format!("http://{bound}")}), out)?;
    let failed = node.until_told(&mut signals).await;
    api.stop().await;
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

//! One file per command, named by the verb.

mod apply;
mod approvals;
mod ask;
mod backfill;
mod cancel;
mod cluster;
mod config;
mod connections;
mod dev;
mod doctor;
mod errors;
mod events;
mod explain;
mod gateway;
mod gc;
mod hooks;
mod init;
mod logs;
mod pause;
mod plan;
mod pools;
mod rerun;
mod resume;
mod run;
mod runs;
mod schedules;
mod schema;
mod show;
mod stats;
mod tenants;
mod tokens;
mod validate;
mod versions;
mod workers;

use crate::args::{Cli, Command};
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;

/// Runs the command that was given.
pub async fn run(cli: Cli, out: Out) -> Result<Exit, CliError> {
    let project = || Project::find(cli.project.as_deref());
    match cli.command {
        Command::Ask(args) => ask::run(&project()?, args, out).await,
        Command::Validate(args) => validate::run(&project()?, args, out).await,
        Command::Plan(args) => plan::run(&project()?, args, out).await,
        Command::Apply(args) => apply::run(&project()?, args, out).await,
        Command::Versions(args) => versions::list(&project()?, args, out).await,
        Command::Diff(args) => versions::diff(&project()?, args, out).await,
        Command::Rollback(args) => versions::rollback(&project()?, args, out).await,
        Command::Tokens(command) => tokens::run(&project()?, command, out).await,
        Command::Run(args) => run::run(&project()?, args, out).await,
        Command::Runs(args) => runs::run(&project()?, args, out).await,
        Command::Explain(args) => explain::run(&project()?, args, out).await,
        Command::Logs(args) => logs::run(&project()?, args, out).await,
        Command::Approvals(args) => approvals::list(&project()?, args, out).await,
        Command::Approve(args) => approvals::approve(&project()?, args, out).await,
        Command::Reject(args) => approvals::reject(&project()?, args, out).await,
        Command::Backfill(command) => backfill::run(&project()?, command, out).await,
        Command::Pools { command } => pools::run(&project()?, command, out).await,
        Command::Tenants { command } => tenants::run(&project()?, command, out).await,
        Command::Pause(args) => pause::pause(&project()?, args, out).await,
        Command::Unpause(args) => pause::unpause(&project()?, args, out).await,
        Command::Cancel(args) => cancel::run(&project()?, args, out).await,
        Command::Resume(args) => resume::run(&project()?, args, out).await,
        Command::Rerun(args) => rerun::run(&project()?, args, out).await,
        Command::Schema(args) if args.json_schema => schema::language(out),
        Command::Schema(args) => schema::run(&project()?, args, out).await,
        Command::Connections => connections::run(&project()?, out).await,
        Command::Config(args) => config::run(project, args, out),
        Command::Init(args) => init::run(args, cli.project.as_deref(), out),
        Command::Dev(args) => dev::run(project()?, args, out).await,
        Command::Worker(args) => cluster::worker(project()?, args, out).await,
        Command::Scheduler => cluster::scheduler(project()?, out).await,
        Command::Server(args) => cluster::server(project()?, args, out).await,
        Command::Workers => workers::run(&project()?, out).await,
        Command::Schedules(args) => schedules::run(&project()?, args, out).await,
        Command::Hooks(args) => hooks::run(&project()?, args, out).await,
        Command::Gateway(args) => gateway::run(project, args, out).await,
        Command::Doctor => doctor::run(&project()?, out).await,
        Command::Stats(args) => stats::run(&project()?, args, out).await,
        Command::Events(args) => events::run(&project()?, args, out).await,
        Command::Gc(args) => gc::run(&project()?, args, out).await,
        Command::Show(args) => show::run(&project()?, args, out).await,
        Command::Errors(args) => errors::run(args, out),
    }
}

use tidemill_api::start::{self, Again, Which};
use tidemill_dag::rerun::Wanted;
use tidemill_store::TriggerKind;

use crate::args::Rerun;
use crate::clock;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::resolve;

/// Does a run again, all or in part, as a new run; and, unless told otherwise, drives that to its end.
pub async fn run(project: &Project, args: Rerun, out: Out) -> Result<Exit, CliError> {
    let (store, _) = project.open().await?;
    let earlier = resolve::run(&store, &args.run).await?;
    let again = Again {
        run: earlier.id,
        wanted: Wanted { tasks: args.tasks, downstream: args.downstream },
        version: Which::parse(&args.by),
        trigger: TriggerKind::Manual,
        key: None,
        by: crate::who::me(),
    };
    let (clock, chance) = (clock::clock(), clock::chance());
    let created = start::rerun(&store, &project.workbench()?.names(), again, (&*clock, &*chance)).await;
    let run = store.run(created.map_err(super::run::from_start)?.run).await?;
    super::resume::follow(project, &store, run, args.detach, out).await
}

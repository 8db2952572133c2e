use serde_json::json;
use tidemill_dag::limits::Gate;
use tidemill_store::NewPool;

use crate::args::PoolCommand;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;

/// Lists pools, shows who is in one, or changes them.
pub async fn run(project: &Project, command: Option<PoolCommand>, out: Out) -> Result<Exit, CliError> {
    match command {
        None => list(project, out).await,
        Some(PoolCommand::Show { name }) => show(project, &name, out).await,
        Some(PoolCommand::Set { name, slots, description }) => {
            let (store, _) = project.open().await?;
            let pool = store.set_pool(&NewPool { name, slots, description }).await?;
            if out.json {
                out.value(&pool)?;
            } else {
                out.line(format!("pool {} has {} slots", pool.name, pool.slots))?;
            }
            Ok(Exit::Ok)
        }
        Some(PoolCommand::Remove { name }) => {
            let (store, _) = project.open().await?;
            store.remove_pool(&name).await?;
            if out.json {
                out.value(&json!({ "removed": name }))?;
            } else {
                out.line(format!("pool {name} is gone; tasks that name it wait until there is one again"))?;
            }
            Ok(Exit::Ok)
        }
    }
}

async fn list(project: &Project, out: Out) -> Result<Exit, CliError> {
    let pools = project.look().await?.pools().await?;
    if out.json {
        out.value(&pools)?;
        return Ok(Exit::Ok);
    }
    if pools.is_empty() {
        out.line("there are no pools; `tidemill pools set NAME --slots N` makes one")?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["pool", "slots", "held", "waiting", "description"]);
    table.right = vec![false, true, true, true, false];
    for pool in pools {
        let numbers = [pool.slots, pool.held, pool.waiting].map(|n| n.to_string());
        table.row([vec![pool.name], numbers.to_vec(), vec![pool.description]].concat());
    }
    out.text(&table.render(out.width, out.paint))?;
    Ok(Exit::Ok)
}

async fn show(project: &Project, name: &str, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    store.pool(name).await?;
    let gate = store.gate(&Gate::Pool(name.to_owned())).await?;
    if out.json {
        out.value(&gate)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["task", "pipeline", "slots", "worker", "since", "run"]);
    for holder in &gate.holders {
        let (slots, since) = (holder.slots.to_string(), holder.since.to_string());
        let who = [holder.task.clone(), holder.pipeline.clone(), slots, holder.owner.to_string(), since];
        table.row([who.to_vec(), vec![holder.run.to_string()]].concat());
    }
    let held: u32 = gate.holders.iter().map(|holder| holder.slots).sum();
    out.line(format!("{held} of {} slots are held; {} tasks wait", gate.size.unwrap_or(0), gate.waiting))?;
    if !gate.holders.is_empty() {
        out.text(&table.render(out.width.max(120), out.paint))?;
    }
    Ok(Exit::Ok)
}

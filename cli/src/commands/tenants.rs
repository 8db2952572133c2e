use serde_json::json;

use crate::args::TenantCommand;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;

/// Lists tenants, limits one, or gives it a pipeline.
pub async fn run(project: &Project, command: Option<TenantCommand>, out: Out) -> Result<Exit, CliError> {
    let done = match command {
        None => return list(project, out).await,
        Some(TenantCommand::Set { name, max_tasks }) => {
            let (store, _) = project.open().await?;
            store.set_tenant(&name, max_tasks).await?;
            match max_tasks {
                Some(most) => format!("tenant {name} runs at most {most} tasks at once"),
                None => format!("tenant {name} has no limit"),
            }
        }
        Some(TenantCommand::Assign { pipeline, tenant }) => {
            let (store, _) = project.open().await?;
            store.assign_tenant(&pipeline, &tenant).await?;
            format!("new runs of {pipeline} belong to tenant {tenant}")
        }
    };
    if out.json {
        out.value(&json!({ "done": done }))?
    } else {
        out.line(done)?
    }
    Ok(Exit::Ok)
}

async fn list(project: &Project, out: Out) -> Result<Exit, CliError> {
    let tenants = project.look().await?.tenants().await?;
    if out.json {
        out.value(&tenants)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["tenant", "max tasks", "pipelines", "running", "waiting"]);
    table.right = vec![false, true, true, true, true];
    for tenant in tenants {
        let most = tenant.max_tasks.map_or_else(|| "–".to_owned(), |most| most.to_string());
        let numbers = [tenant.pipelines, tenant.running, tenant.waiting].map(|n| n.to_string());
        table.row([vec![tenant.name, most], numbers.to_vec()].concat());
    }
    out.text(&table.render(out.width, out.paint))?;
    Ok(Exit::Ok)
}

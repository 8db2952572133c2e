use serde_json::json;

use crate::args::Events;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::words;

/// Shows where events go: how far each sink is, and what was given up.
pub async fn run(project: &Project, args: Events, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    if args.lost {
        let lost = store.lost_deliveries(args.before, args.limit).await?;
        if out.json {
            out.value(&lost)?;
            return Ok(Exit::Ok);
        }
        let mut table = Table::new(&["id", "sink", "event", "at", "tries", "why"]);
        for it in lost {
            let (event, tries) = (format!("evt_{}", it.event), it.attempts.to_string());
            table.row(vec![it.id.to_string(), it.sink, event, it.at.to_string(), tries, it.problem]);
        }
        out.text(&table.render(out.width, out.paint))?;
        return Ok(Exit::Ok);
    }
    let sinks = store.sinks().await?;
    if out.json {
        out.value(&json!(sinks))?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["sink", "behind", "last served", "failures", "tried again"]);
    for it in sinks {
        let again = it.retry_at.map(|at| at.to_string()).unwrap_or_default();
        let (behind, failures) = (words::count(u64::from(it.behind)), it.failures.to_string());
        table.row(vec![it.name, behind, it.seen_at.to_string(), failures, again]);
    }
    out.text(&table.render(out.width, out.paint))?;
    Ok(Exit::Ok)
}

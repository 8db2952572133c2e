//! Everything that the project depends on, and the promises over everything stored.

mod checks;

use serde_json::json;
use tidemill_dag::invariants::{self, Violation};

use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::words;
use checks::{Checked, Level};

/// Checks dependencies and promises.
pub async fn run(project: &Project, out: Out) -> Result<Exit, CliError> {
    let store = match project.look().await {
        Ok(store) => store,
        // The rest can still be looked at, and what failed is told like everything else.
        Err(error) => {
            let mut checked = vec![checks::failed("database", &error)];
            checked.extend(checks::without_database(project).await);
            return tell(&checked, None, out);
        }
    };
    let mut checked = checks::database(&store).await;
    checked.extend(checks::without_database(project).await);
    let world = store.snapshot(None).await?;
    let found = invariants::check(&world);
    tell(&checked, Some((world.runs.len(), world.tasks.len(), found)), out)
}

fn tell(checked: &[Checked], promises: Option<(usize, usize, Vec<Violation>)>, out: Out) -> Result<Exit, CliError> {
    let well = checked.iter().all(|check| check.level != Level::Broken);
    let kept = promises.as_ref().is_some_and(|(_, _, found)| found.is_empty());
    if out.json {
        let one = |v: &Violation| json!({"invariant": format!("{:?}", v.invariant), "subject": v.subject, "message": v.message});
        let violations: Vec<_> = promises.iter().flat_map(|(_, _, found)| found).map(one).collect();
        let (runs, tasks) = promises.as_ref().map_or((0, 0), |(runs, tasks, _)| (*runs, *tasks));
        out.value(&json!({
            "ok": well && kept, "runs": runs, "tasks": tasks, "violations": violations, "dependencies": checked,
        }))?;
        return Ok(if well && kept { Exit::Ok } else { Exit::Failed });
    }
    for check in checked {
        let sign = match check.level {
            Level::Fine => out.paint.green("✓"),
            Level::Doubtful => out.paint.yellow("!"),
            Level::Broken => out.paint.red("✗"),
        };
        out.line(format!("{sign} {:<10} {}", check.name, check.detail))?;
    }
    match promises {
        None => out.line(format!("{} the promises cannot be checked without the database", out.paint.red("✗")))?,
        Some((runs, tasks, found)) if found.is_empty() => {
            let (runs, tasks) = (count(runs), count(tasks));
            out.line(format!("{} all seven promises hold over {runs} runs and {tasks} tasks", out.paint.green("✓")))?;
        }
        Some((_, _, found)) => {
            for violation in &found {
                out.line(format!("{} {violation}", out.paint.red("✗")))?;
            }
        }
    }
    Ok(if well && kept { Exit::Ok } else { Exit::Failed })
}

fn count(n: usize) -> String {
    words::count(u64::try_from(n).unwrap_or(u64::MAX))
}

use serde_json::json;
use tidemill_dag::invariants::{self, Violation};

use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::words;

/// Checks the promises over everything stored.
pub async fn run(project: &Project, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let world = store.snapshot(None).await?;
    let found = invariants::check(&world);
    let (runs, tasks) = (world.runs.len(), world.tasks.len());
    if out.json {
        let one = |v: &Violation| json!({"invariant": format!("{:?}", v.invariant), "subject": v.subject, "message": v.message});
        let all: Vec<_> = found.iter().map(one).collect();
        out.value(&json!({"ok": found.is_empty(), "runs": runs, "tasks": tasks, "violations": all}))?;
    } else if found.is_empty() {
        let (runs, tasks) = (count(runs), count(tasks));
        out.line(format!("{} all seven promises hold over {runs} runs and {tasks} tasks", out.paint.green("✓")))?;
    } else {
        for violation in &found {
            out.line(format!("{} {violation}", out.paint.red("✗")))?;
        }
    }
    Ok(if found.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn count(n: usize) -> String {
    words::count(u64::try_from(n).unwrap_or(u64::MAX))
}

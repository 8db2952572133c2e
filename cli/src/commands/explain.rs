use tidemill_api::explain::{self, Explained};

use crate::args::Explain;
use crate::clock;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::resolve;

/// Says what a run or a task waits for.
pub async fn run(project: &Project, args: Explain, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let (run, task) = resolve::split(&args.what);
    let run = resolve::run(&store, &run).await?;
    let tasks = store.tasks(run.id).await?;
    let around = explain::around(&store, &run, &tasks).await?;
    let now = clock::clock().now();
    let told = match task {
        None => explain::run(&run, &tasks, &around, now),
        Some(task) => {
            let task = resolve::task_or_item(&store, &run, &tasks, &task).await?;
            explain::task(&task, &tasks, &around, now)
        }
    };
    if out.json {
        out.value(&told)?;
    } else {
        out.text(&in_words(&told, out, 0))?;
    }
    Ok(Exit::Ok)
}

fn in_words(told: &Explained, out: Out, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let mut text = format!("{indent}{} {}\n", out.paint.bold(&told.subject), out.paint.dim(&told.state));
    for sentence in &told.sentences {
        text.push_str(&format!("{indent}  {sentence}\n"));
    }
    if let Some(unblock) = &told.unblock {
        text.push_str(&format!("{indent}  {} {unblock}\n", out.paint.cyan("→")));
    }
    for inner in &told.waits_for {
        text.push_str(&in_words(inner, out, depth + 1));
    }
    text
}

use serde_json::json;
use tidemill_dag::state::TaskState;

use crate::args::Show;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::{preview, resolve, result, words};

/// Shows the first rows of a task's data set.
pub async fn run(project: &Project, args: Show, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let (run, task) = resolve::split(&args.what);
    let run = resolve::run(&store, &run).await?;
    let tasks = store.tasks(run.id).await?;
    let Some(task) = task else {
        let known = tasks.into_iter().map(|t| t.name).collect();
        return Err(CliError::UnknownTask { run: run.id.to_string(), text: String::new(), known });
    };
    let task = resolve::task(&run, &tasks, &task)?;
    let Some(manifest) = result::manifest(task) else {
        let why = match task.state {
            TaskState::Succeeded => "it gives a value, not rows".to_owned(),
            other => format!("it is {}", words::state(other)),
        };
        return Err(CliError::NothingToShow { task: format!("{}.{}", run.id, task.name), why });
    };
    let workbench = project.workbench()?;
    let head = result::data_set(project, &workbench, &manifest, args.rows.max(1)).await?;
    if out.json {
        out.value(&json!({"task": task.name, "rows": manifest.rows, "head": preview::json(&head)?}))?;
    } else {
        result::Given { title: task.name.clone(), rows: Some(manifest.rows), places: Vec::new(), head }.print(out)?;
    }
    Ok(Exit::Ok)
}

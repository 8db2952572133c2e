use serde_json::json;
use tidemill_api::view::TaskView;
use tidemill_dag::state::TaskState;
use tidemill_engine::Manifest;
use tidemill_store::{Store, StoreError, TaskRecord};

use crate::args::Show;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::{node, preview, resolve, result, words};

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
    let task = &resolve::task_or_item(&store, &run, &tasks, &task).await?;
    if task.items.is_some() {
        items(&store, task, args.rows.max(1), out).await?;
        if out.json {
            return Ok(Exit::Ok);
        }
    }
    let Some(manifest) = result::manifest(task) else {
        if task.items.is_some() {
            return Ok(Exit::Ok);
        }
        let why = match task.state {
            TaskState::Succeeded => "it gives a value, not rows".to_owned(),
            other => format!("it is {}", words::state(other)),
        };
        return Err(CliError::NothingToShow { task: format!("{}.{}", run.id, task.name), why });
    };
    if args.links {
        return links(project, &manifest, out).await;
    }
    let workbench = project.workbench()?;
    let head = result::data_set(project, &workbench, &manifest, args.rows.max(1)).await?;
    if out.json {
        out.value(&json!({"task": task.name, "rows": manifest.rows, "head": preview::json(&head)?}))?;
    } else {
        result::Given { title: task.name.clone(), rows: Some(manifest.rows), places: Vec::new(), head }.print(out)?;
    }
    Ok(Exit::Ok)
}

/// The states of items, those first that somebody will look for.
const FIRST: [TaskState; 3] = [TaskState::Failed, TaskState::Running, TaskState::Waiting];

/// The items of a task with `for_each`: how many stand where, and some of them.
async fn items(store: &Store, task: &TaskRecord, rows: usize, out: Out) -> Result<(), CliError> {
    let limit = u32::try_from(rows).unwrap_or(u32::MAX);
    let mut shown = store.items(task.key(), 0, limit, &FIRST).await?;
    if shown.len() < rows {
        let all = store.items(task.key(), 0, limit, &[]).await?;
        let known: Vec<_> = shown.iter().map(|item| item.ordinal).collect();
        shown.extend(all.into_iter().filter(|item| !known.contains(&item.ordinal)));
        shown.truncate(rows);
    }
    if out.json {
        let list: Vec<TaskView> = shown.into_iter().map(TaskView::from).collect();
        return out.value(&json!({"task": task.name, "items": task.items, "list": list}));
    }
    let mut table = Table::new(&["item", "state", "facts"]);
    for item in &shown {
        table.row(vec![item.name.clone(), words::state(item.state), words::task_facts(item)]);
    }
    let counts = task.items.as_ref().map(words::items).unwrap_or_default();
    out.line(format!("{}: {counts}", out.paint.bold(&task.name)))?;
    out.text(&table.render(out.width, out.paint))
}

/// An hour.
const VALID: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Where the files of a data set are: links where the place gives them, else paths.
async fn links(project: &Project, manifest: &Manifest, out: Out) -> Result<Exit, CliError> {
    let blobs = node::blobs(project).await?;
    let mut files = Vec::new();
    for file in &manifest.files {
        let link = blobs.presigned(&file.path, VALID).await.map_err(StoreError::from)?;
        let path = blobs.local_path(&file.path).map(|path| path.display().to_string());
        files.push(json!({"link": link, "path": path, "rows": file.rows, "bytes": file.bytes}));
    }
    if out.json {
        out.value(&json!({"files": files, "valid_seconds": VALID.as_secs()}))?;
        return Ok(Exit::Ok);
    }
    for file in &files {
        out.line(file["link"].as_str().or(file["path"].as_str()).unwrap_or_default())?;
    }
    Ok(Exit::Ok)
}

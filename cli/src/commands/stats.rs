use std::time::Duration;

use serde_json::json;
use tidemill_dag::time::Timestamp;

use crate::args::Stats;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::{clock, outside, words};

/// What pipelines took: how long runs, tasks and waits were, and how many failed.
pub async fn run(project: &Project, args: Stats, out: Out) -> Result<Exit, CliError> {
    let (store, _) = project.open().await?;
    // What happened since a server last looked, or all of it where none runs.
    let recorder = outside::recorder(project, &store, clock::process_name(), &outside::metrics()?).await?;
    recorder.drain().await?;
    let records = outside::records(project).await?;
    records.prepare().await?;
    let now = store.clock().now();
    let length = i64::try_from(args.since.0.as_micros()).unwrap_or(i64::MAX);
    let stats = records.stats(Timestamp(now.0.saturating_sub(length))).await?;
    if out.json {
        out.value(&json!({"since": args.since, "pipelines": stats}))?;
        return Ok(Exit::Ok);
    }
    if stats.is_empty() {
        out.line(format!("nothing ended in the last {}", args.since))?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&[
        "pipeline", "runs", "failed", "run p50", "p90", "tasks", "failed", "task p50", "p90", "wait p50", "p90",
    ]);
    let time = |millis: u64| words::duration(Duration::from_millis(millis));
    for it in stats {
        table.row(vec![
            it.pipeline.clone(),
            words::count(it.runs),
            words::count(it.runs_failed),
            time(it.run_p50),
            time(it.run_p90),
            words::count(it.tasks),
            words::count(it.tasks_failed),
            time(it.task_p50),
            time(it.task_p90),
            time(it.wait_p50),
            time(it.wait_p90),
        ]);
    }
    out.text(&table.render(out.width, out.paint))?;
    Ok(Exit::Ok)
}

use std::time::Duration;

use serde_json::json;
use tidemill_dag::time::Timestamp;
use tidemill_llm_gateway::config::Money;

use crate::args::Stats;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::{clock, outside, words};

/// What calls of models took, per tenant and model.
async fn models(project: &Project, args: &Stats, out: Out) -> Result<Exit, CliError> {
    project.make_state_folder()?;
    let records = outside::records(project).await?;
    records.prepare().await?;
    let uses = records.uses(since(clock::clock().now(), args)).await?;
    if out.json {
        out.value(&json!({"since": args.since, "models": uses}))?;
        return Ok(Exit::Ok);
    }
    if uses.is_empty() {
        out.line(format!("no model was called through the gateway in the last {}", args.since))?;
        return Ok(Exit::Ok);
    }
    let mut table =
        Table::new(&["tenant", "model", "calls", "failed", "from cache", "tokens in", "tokens out", "cost"]);
    for it in uses {
        let [calls, failed, cached, input, output] =
            [it.calls, it.failed, it.from_cache, it.input, it.output].map(words::count);
        table.row(vec![it.tenant, it.model, calls, failed, cached, input, output, Money(it.micros).to_string()]);
    }
    out.text(&table.render(out.width, out.paint))?;
    Ok(Exit::Ok)
}

/// The moment from which on is counted.
fn since(now: Timestamp, args: &Stats) -> Timestamp {
    let length = i64::try_from(args.since.0.as_micros()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(length))
}

/// What pipelines took: how long runs, tasks and waits were, and how many failed.
pub async fn run(project: &Project, args: Stats, out: Out) -> Result<Exit, CliError> {
    if args.models {
        return models(project, &args, out).await;
    }
    let (store, _) = project.open().await?;
    // What happened since a server last looked, or all of it where none runs.
    let recorder = outside::recorder(project, &store, clock::process_name(), &outside::metrics()?).await?;
    recorder.drain().await?;
    let records = outside::records(project).await?;
    records.prepare().await?;
    let stats = records.stats(since(store.clock().now(), &args)).await?;
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

use serde_json::json;
use tidemill_store::KnownWorker;

use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::words;

/// Lists workers.
pub async fn run(project: &Project, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let workers = store.workers().await?;
    let now = store.clock().now();
    let state = |record: &KnownWorker| match (record.is_alive(now), record.worker.draining) {
        (false, _) => "silent",
        (true, true) => "draining",
        (true, false) => "working",
    };
    if out.json {
        let one = |r: &KnownWorker| {
            json!({"id": r.worker.id, "host": r.worker.host, "version": r.worker.version, "queues": r.worker.queues,
                   "labels": r.worker.labels, "slots": r.worker.slots, "running": r.running, "state": state(r),
                   "started_at": r.started_at.to_string(), "seen_at": r.seen_at.to_string()})
        };
        out.value(&workers.iter().map(one).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    if workers.is_empty() {
        out.line("there are no workers; `tidemill worker` or `tidemill dev` starts one")?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["worker", "host", "state", "tasks", "queues", "labels", "version", "started", "seen"]);
    for record in &workers {
        let worker = &record.worker;
        let labels: Vec<String> = worker.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        table.row(vec![
            worker.id.to_string(),
            worker.host.clone(),
            state(record).to_owned(),
            format!("{}/{}", record.running, worker.slots),
            worker.queues.join(" "),
            labels.join(" "),
            worker.version.clone(),
            format!("{} ago", words::duration(now.since(record.started_at))),
            format!("{} ago", words::duration(now.since(record.seen_at))),
        ]);
    }
    out.text(&table.render(out.width.max(120), out.paint))?;
    Ok(Exit::Ok)
}

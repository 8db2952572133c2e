use serde_json::{Value, json};
use tidemill_api::backfill::{self, BackfillError, BackfillOrder};
use tidemill_dag::backfill::{BackfillEvent, PartitionState};
use tidemill_dag::id::RunId;
use tidemill_store::{BackfillRecord, Interval, NewBackfill, PartitionRecord, Store};

use crate::args::{BackfillCommand, BackfillCreate};
use crate::clock;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;

/// So many partitions are shown, unless more are asked for.
const SHOWN: u32 = 200;

/// Makes, lists, shows or moves backfills.
pub async fn run(project: &Project, command: BackfillCommand, out: Out) -> Result<Exit, CliError> {
    match command {
        BackfillCommand::Create(args) => create(project, *args, out).await,
        BackfillCommand::List { pipeline } => list(project, pipeline.as_deref(), out).await,
        BackfillCommand::Show { id, limit } => {
            let store = project.look().await?;
            let backfill = store.backfill(&id).await?;
            show(&store, backfill, limit.unwrap_or(SHOWN), out).await
        }
        BackfillCommand::Pause { id } => moved(project, &id, BackfillEvent::Pause, out).await,
        BackfillCommand::Resume { id } => moved(project, &id, BackfillEvent::Resume, out).await,
        BackfillCommand::Cancel { id } => moved(project, &id, BackfillEvent::Cancel, out).await,
    }
}

async fn create(project: &Project, args: BackfillCreate, out: Out) -> Result<Exit, CliError> {
    let (store, _) = project.open().await?;
    let order = BackfillOrder {
        pipeline: args.pipeline,
        from: args.from,
        to: args.to,
        every: args.every,
        newest_first: args.newest_first,
        parallel: args.parallel,
        reprocess: args.reprocess,
        params: super::run::params(&args.params)?,
    };
    let id = RunId::from_parts(clock::clock().now(), clock::chance().bits()).to_string();
    let id = id.replacen(RunId::PREFIX, "bf_", 1);
    let planned = backfill::plan(&store, &project.workbench()?.names(), order, (id, crate::who::me())).await;
    let new = planned.map_err(from_plan)?;
    if args.preview {
        let wanted = store.preview_backfill(&new.pipeline, &new.intervals, new.reprocess).await?;
        return preview(new, wanted, out);
    }
    let made = store.create_backfill(&new).await?;
    if out.json {
        out.value(&made)?;
        return Ok(Exit::Ok);
    }
    out.line(&made.id)?;
    let progress = made.progress;
    out.note(format!(
        "{} runs to be made, {} at once; {} were run before. A `tidemill dev` or `tidemill scheduler` makes them; `tidemill backfill show {}`",
        progress.pending, made.parallel, progress.skipped, made.id
    ));
    Ok(Exit::Ok)
}

fn from_plan(error: BackfillError) -> CliError {
    match error {
        BackfillError::Start(error) => super::run::from_start(error),
        other => CliError::Backfill(other),
    }
}

/// What would be run, in the order in which it would be.
fn preview(new: NewBackfill, wanted: Vec<bool>, out: Out) -> Result<Exit, CliError> {
    let runs = wanted.iter().filter(|wanted| **wanted).count();
    let mut all: Vec<(Interval, bool)> = new.intervals.into_iter().zip(wanted).collect();
    if new.newest_first {
        all.reverse();
    }
    if out.json {
        let all: Vec<Value> = all
            .iter()
            .map(|(it, run)| json!({ "start": it.start.to_string(), "end": it.end.to_string(), "runs": run }))
            .collect();
        out.value(&json!({ "intervals": all, "runs": runs }))?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["from", "to", ""]);
    for (interval, wanted) in all.iter().take(SHOWN as usize) {
        let what = if *wanted { "" } else { "was run before" };
        table.row(vec![interval.start.to_string(), interval.end.to_string(), what.to_owned()]);
    }
    out.text(&table.render(out.width, out.paint))?;
    out.line(format!("{runs} of {} intervals would be run; nothing was made", all.len()))?;
    Ok(Exit::Ok)
}

async fn list(project: &Project, pipeline: Option<&str>, out: Out) -> Result<Exit, CliError> {
    let found = project.look().await?.backfills(pipeline, None, 100).await?;
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Ok);
    }
    if found.is_empty() {
        out.line("there are no backfills; `tidemill backfill create PIPELINE --from DATE --to DATE` makes one")?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["backfill", "pipeline", "state", "done", "failed", "from", "to"]);
    for backfill in found {
        let progress = backfill.progress;
        table.row(vec![
            backfill.id,
            backfill.pipeline,
            backfill.state.to_string(),
            format!("{}/{}", progress.ended() + progress.skipped, progress.total()),
            progress.failed.to_string(),
            backfill.range.start.to_string(),
            backfill.range.end.to_string(),
        ]);
    }
    out.text(&table.render(out.width.max(140), out.paint))?;
    Ok(Exit::Ok)
}

async fn show(store: &Store, backfill: BackfillRecord, limit: u32, out: Out) -> Result<Exit, CliError> {
    let partitions = store.partitions(&backfill.id, 0, limit.clamp(1, 100_000)).await?;
    if out.json {
        let view = |it: &PartitionRecord| {
            json!({ "place": it.place, "start": it.interval.start.to_string(), "end": it.interval.end.to_string(),
                    "state": it.state, "run": it.run })
        };
        let mut told = json!(backfill);
        if let Some(map) = told.as_object_mut() {
            map.insert("partitions".to_owned(), partitions.iter().map(view).collect());
        }
        out.value(&told)?;
        return Ok(Exit::Ok);
    }
    let progress = backfill.progress;
    out.line(format!("{} {}", out.paint.bold(&backfill.id), out.paint.dim(backfill.state.name())))?;
    out.line(format!(
        "  {} by {}: {} of {} ended ({} succeeded, {} failed, {} cancelled), {} under way, {} pending, {} skipped",
        backfill.pipeline,
        backfill.cut,
        progress.ended(),
        progress.total(),
        progress.succeeded,
        progress.failed,
        progress.cancelled,
        progress.under_way(),
        progress.pending,
        progress.skipped
    ))?;
    let mut table = Table::new(&["from", "to", "state", "run"]);
    for it in &partitions {
        let state = match it.state {
            PartitionState::Succeeded => out.paint.green(it.state.name()),
            PartitionState::Failed => out.paint.red(it.state.name()),
            other => other.name().to_owned(),
        };
        let run = it.run.map(|run| run.to_string()).unwrap_or_default();
        table.row(vec![it.interval.start.to_string(), it.interval.end.to_string(), state, run]);
    }
    out.text(&table.render(out.width.max(140), out.paint))?;
    Ok(Exit::Ok)
}

async fn moved(project: &Project, id: &str, event: BackfillEvent, out: Out) -> Result<Exit, CliError> {
    let (store, _) = project.open().await?;
    let backfill = store.move_backfill(id, event).await?;
    if out.json {
        out.value(&backfill)?;
    } else {
        out.line(format!("{id} is {}; {} runs are under way", backfill.state, backfill.progress.under_way()))?;
    }
    Ok(Exit::Ok)
}

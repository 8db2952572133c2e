use tidemill_api::view::RunView;
use tidemill_store::{Page, RunFilter};

use crate::args::Runs;
use crate::clock;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::words;

/// Lists runs.
pub async fn run(project: &Project, args: Runs, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let filter = RunFilter { pipeline: args.pipeline, states: args.state.into_iter().collect() };
    let runs = store.runs(&filter, Page { before: None, limit: args.limit.clamp(1, 10_000) }).await?;
    if out.json {
        out.value(&runs.into_iter().map(RunView::from).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    if runs.is_empty() {
        out.line("there are no runs yet; `tidemill run FILE` makes one")?;
        return Ok(Exit::Ok);
    }
    let now = clock::clock().now();
    let mut table = Table::new(&["run", "pipeline", "state", "tasks", "took", "created", "by"]);
    for run in runs {
        let took = run.started_at.map(|start| words::duration(run.finished_at.unwrap_or(now).since(start)));
        table.row(vec![
            run.id.to_string(),
            run.pipeline,
            words::state(run.state),
            format!("{}/{}", run.tasks_total - run.tasks_left, run.tasks_total),
            took.unwrap_or_default(),
            format!("{} ago", words::duration(now.since(run.created_at))),
            words::state(run.trigger),
        ]);
    }
    // The id is what people copy: the table may be wider than the terminal rather than cut it.
    out.text(&table.render(out.width.max(120), out.paint))?;
    Ok(Exit::Ok)
}

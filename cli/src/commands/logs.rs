use std::time::Duration;

use tidemill_api::view::LogView;
use tidemill_store::{LogQuery, LogStream, StoredLine};

use crate::args::Logs;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::resolve::{self, Names};
use crate::words;

const PAGE: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(200);

/// Prints what tasks printed; with `-f` until the run ends.
pub async fn run(project: &Project, args: Logs, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let run = resolve::run(&store, &args.run).await?;
    let tasks = store.tasks(run.id).await?;
    let mut names = Names::of(&store, &tasks).await?;
    let ordinal = match &args.task {
        Some(text) => Some(resolve::task_or_item(&store, &run, &tasks, text).await?.ordinal),
        None => None,
    };
    let mut after = 0;
    loop {
        // Asked before the lines: what is printed before the end is not missed.
        let ended = words::ended(store.run(run.id).await?.state);
        let lines = store.logs(LogQuery { run: run.id, ordinal, after, limit: PAGE }).await?;
        let full = u32::try_from(lines.len()).unwrap_or(u32::MAX) >= PAGE;
        for line in lines {
            after = line.cursor;
            if names.get(line.line.task.ordinal).is_none() {
                // A list that became known since the last look.
                names = Names::of(&store, &store.tasks(run.id).await?).await?;
            }
            print(line, &names, args.task.is_some(), out)?;
        }
        if full {
            continue;
        }
        if !args.follow || ended {
            return Ok(Exit::Ok);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn print(stored: StoredLine, names: &Names, one: bool, out: Out) -> Result<(), CliError> {
    if out.json {
        return out.value_line(&LogView::from(stored));
    }
    let line = stored.line;
    let text = match line.stream {
        LogStream::Stdout => line.text,
        LogStream::Stderr => out.paint.yellow(&line.text),
        LogStream::System => out.paint.dim(&line.text),
    };
    let who = names.get(line.task.ordinal).unwrap_or_else(|| "?".to_owned());
    let who = if one { String::new() } else { format!("{} ", out.paint.cyan(&who)) };
    let clock = line.at.to_utc().format("%H:%M:%S%.3f").to_string();
    out.line(format!("{} {who}{text}", out.paint.dim(&clock)))
}

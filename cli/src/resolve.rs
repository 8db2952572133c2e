//! From what people write to the run or task they mean.

use tidemill_dag::id::RunId;
use tidemill_store::{Page, RunFilter, RunRecord, Store, TaskRecord};

use crate::error::CliError;

/// Shortened ids are looked for among so many of the newest runs.
const LOOKED_AT: u32 = 1_000;

/// The run that is meant: `last`, an id, or the last letters of one.
pub async fn run(store: &Store, text: &str) -> Result<RunRecord, CliError> {
    if let Ok(id) = text.parse::<RunId>() {
        return match store.run(id).await {
            Err(tidemill_store::StoreError::NoRun(_)) => Err(unknown(text)),
            other => Ok(other?),
        };
    }
    let limit = if text == "last" { 1 } else { LOOKED_AT };
    let runs = store.runs(&RunFilter::default(), Page { before: None, limit }).await?;
    if text == "last" {
        return runs.into_iter().next().ok_or_else(|| unknown(text));
    }
    let letters = text.trim_start_matches(RunId::PREFIX);
    let fits = |run: &RunRecord| letters.len() >= 4 && run.id.to_string().ends_with(letters);
    let mut found: Vec<RunRecord> = runs.into_iter().filter(fits).collect();
    match (found.pop(), found.len()) {
        (Some(run), 0) => Ok(run),
        (Some(_), others) => Err(CliError::AmbiguousRun { text: text.to_owned(), count: others + 1 }),
        (None, _) => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> CliError {
    CliError::UnknownRun { text: text.to_owned() }
}

/// `RUN.TASK` in its two parts; a task's id stands for both.
pub fn split(text: &str) -> (String, Option<String>) {
    if let Some(key) = tidemill_api::explain::key(text) {
        return (key.run.to_string(), Some(key.ordinal.0.to_string()));
    }
    match text.split_once('.') {
        Some((run, task)) => (run.to_owned(), Some(task.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// The task of a run that is meant, by its name or its place.
pub fn task<'t>(run: &RunRecord, tasks: &'t [TaskRecord], text: &str) -> Result<&'t TaskRecord, CliError> {
    let by_name = tasks.iter().find(|task| task.name == text);
    let by_place = || tasks.iter().find(|task| task.ordinal.0.to_string() == text);
    by_name.or_else(by_place).ok_or_else(|| CliError::UnknownTask {
        run: run.id.to_string(),
        text: text.to_owned(),
        known: tasks.iter().map(|task| task.name.clone()).collect(),
    })
}

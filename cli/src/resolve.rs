//! From what people write to the run or task they mean.

use std::collections::HashMap;

use tidemill_dag::id::{Ordinal, RunId};
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

/// The task or the item that is meant: an item as `task[3]`.
pub async fn task_or_item(
    store: &Store,
    run: &RunRecord,
    tasks: &[TaskRecord],
    text: &str,
) -> Result<TaskRecord, CliError> {
    let item = text.strip_suffix(']').and_then(|text| text.rsplit_once('['));
    if let Some((name, Ok(index))) = item.map(|(name, index)| (name, index.parse::<u32>())) {
        let parent = task(run, tasks, name)?;
        let found = store.items(parent.key(), index, 1, &[]).await?.pop().filter(|item| item.index == Some(index));
        return found.ok_or_else(|| CliError::UnknownTask {
            run: run.id.to_string(),
            text: text.to_owned(),
            known: parent.items.iter().map(|items| format!("{name}[0..{}]", items.total)).collect(),
        });
    }
    task(run, tasks, text).cloned()
}

/// Names of the tasks and items of a run, by their places.
pub struct Names {
    tasks: HashMap<Ordinal, String>,
    /// The place of the first item, how many there are, and the name of their task.
    lists: Vec<(u32, u32, String)>,
}

impl Names {
    /// Looks up where items stand.
    pub async fn of(store: &Store, tasks: &[TaskRecord]) -> Result<Self, CliError> {
        let mut lists = Vec::new();
        for task in tasks {
            let first = match &task.items {
                Some(_) => store.items(task.key(), 0, 1, &[]).await?.pop(),
                None => None,
            };
            if let (Some(counts), Some(first)) = (&task.items, first) {
                lists.push((first.ordinal.0, counts.total, task.name.clone()));
            }
        }
        Ok(Self { tasks: tasks.iter().map(|task| (task.ordinal, task.name.clone())).collect(), lists })
    }

    /// Whose place it is.
    pub fn get(&self, ordinal: Ordinal) -> Option<String> {
        let item = || {
            let (first, _, name) =
                self.lists.iter().find(|(first, total, _)| (*first..first + total).contains(&ordinal.0))?;
            Some(format!("{name}[{}]", ordinal.0 - first))
        };
        self.tasks.get(&ordinal).cloned().or_else(item)
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

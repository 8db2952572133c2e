//! Runs that fresh data starts: which loads a trigger watches, when it has waited long enough, and which pipelines would
//! wake each other for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    id::RunId,
    spec::{DatasetTrigger, Pipeline, TaskKind, Trigger, Watched},
    time::Timestamp,
};

/// A run that was woken by a run that was woken …: at most so many in a row.
pub const MAX_CHAIN: u32 = 16;

/// At most so many updates make one run; the rest makes the next.
pub const MAX_UPDATES: usize = 1_000;

/// `max_wait` is this many times `debounce` where it is not given.
const PATIENCE: u32 = 10;

/// A load that succeeded, on its way to one trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Names the load.
    pub id: i64,
    /// `connection.table`.
    pub dataset: String,
    /// The run that loaded.
    pub run: RunId,
    /// The task that loaded.
    pub task: String,
    /// Rows that it wrote.
    pub rows: Option<i64>,
    /// How many runs before that one were woken by each other.
    pub chain: u32,
    /// When.
    pub at: Timestamp,
}

/// What a trigger does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Something that it waits for has not been loaded.
    Incomplete,
    /// More may come; look again then.
    Wait(Timestamp),
    /// The first so many updates make a run.
    Fire(usize),
}

/// Whether a pattern, in which `*` stands for any text, fits a data set.
pub fn fits(pattern: &str, dataset: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = dataset.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether a trigger waits for loads into a data set.
pub fn watches(trigger: &DatasetTrigger, dataset: &str) -> bool {
    trigger.dataset.patterns().iter().any(|pattern| fits(pattern, dataset))
}

/// What a trigger does about the updates that wait for it, oldest first.
pub fn decide(trigger: &DatasetTrigger, updates: &[Update], now: Timestamp) -> Decision {
    let first = |pattern: &String| updates.iter().filter(|it| fits(pattern, &it.dataset)).map(|it| it.at).min();
    let complete = match &trigger.dataset {
        Watched::One(_) | Watched::Any(_) => updates.iter().map(|it| it.at).min(),
        Watched::All(all) => all.all.iter().map(first).collect::<Option<Vec<_>>>().and_then(|it| it.into_iter().max()),
    };
    let (Some(complete), Some(last)) = (complete, updates.iter().map(|it| it.at).max()) else {
        return Decision::Incomplete;
    };
    let debounce = trigger.debounce.map_or(Duration::ZERO, |span| span.0);
    let most = trigger.max_wait.map_or(debounce.saturating_mul(PATIENCE), |span| span.0);
    let due = last.after(debounce).min(complete.after(most));
    if due > now { Decision::Wait(due) } else { Decision::Fire(updates.len().min(MAX_UPDATES)) }
}

/// How many runs in a row were woken by each other, once these updates have made theirs.
pub fn chain(updates: &[Update]) -> u32 {
    updates.iter().map(|it| it.chain).max().unwrap_or(0).saturating_add(1)
}

/// The length of the chain that a run is the end of, as its trigger data has it.
pub fn chain_of(trigger_data: &Value) -> u32 {
    let chain = trigger_data.get("dataset").and_then(|_| trigger_data.get("chain")).and_then(Value::as_u64);
    chain.and_then(|chain| u32::try_from(chain).ok()).unwrap_or(0)
}

/// What templates of the run see as `trigger`.
pub fn trigger_data(trigger: &str, updates: &[Update]) -> Value {
    let update = |it: &Update| {
        json!({
            "dataset": it.dataset, "run": it.run, "task": it.task, "rows": it.rows, "at": it.at.to_string(),
        })
    };
    json!({
        "dataset": trigger,
        "chain": chain(updates),
        "updates": updates.iter().map(update).collect::<Vec<_>>(),
    })
}

/// What a pipeline writes, and what wakes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sleeper {
    /// Its name.
    pub name: String,
    /// The data sets it loads.
    pub loads: BTreeSet<String>,
    /// The patterns its triggers watch.
    pub watched: BTreeSet<String>,
}

impl From<&Pipeline> for Sleeper {
    fn from(pipeline: &Pipeline) -> Self {
        let loads = pipeline.tasks.values().filter_map(|task| match &task.kind {
            TaskKind::Load(load) => Some(dataset(&load.connection, &load.table)),
            _ => None,
        });
        let watched = pipeline.triggers.iter().filter_map(|trigger| match trigger {
            Trigger::Dataset(dataset) => Some(dataset.dataset.patterns()),
            Trigger::Cron(_) | Trigger::Webhook(_) => None,
        });
        Self { name: pipeline.pipeline.clone(), loads: loads.collect(), watched: watched.flatten().cloned().collect() }
    }
}

/// How a table is called where data sets are named.
pub fn dataset(connection: &str, table: &str) -> String {
    format!("{connection}.{table}")
}

/// Pipelines that wake each other in a circle: each circle once, beginning with its first name, in the order in which
/// they wake each other. Of several circles through the same pipelines the shortest is given.
pub fn circles(sleepers: &[Sleeper]) -> Vec<Vec<String>> {
    let wakes = |from: &Sleeper, to: &Sleeper| {
        from.loads.iter().any(|dataset| to.watched.iter().any(|pattern| fits(pattern, dataset)))
    };
    let next: Vec<Vec<usize>> =
        sleepers.iter().map(|from| (0..sleepers.len()).filter(|to| wakes(from, &sleepers[*to])).collect()).collect();
    let mut found = BTreeSet::new();
    for start in 0..sleepers.len() {
        if let Some(way) = way_back(start, &next) {
            let mut names: Vec<String> = way.into_iter().map(|place| sleepers[place].name.clone()).collect();
            let first = (0..names.len()).min_by_key(|place| names[*place].clone()).unwrap_or(0);
            names.rotate_left(first);
            found.insert(names);
        }
    }
    found.into_iter().collect()
}

/// The shortest way from a pipeline back to itself.
fn way_back(start: usize, next: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut wave = vec![start];
    while !wave.is_empty() {
        let mut after = Vec::new();
        for place in wave {
            for to in &next[place] {
                if *to == start {
                    let mut way = vec![place];
                    while let Some(before) = from.get(way.last()?) {
                        way.push(*before);
                    }
                    way.reverse();
                    return Some(way);
                }
                if !from.contains_key(to) {
                    from.insert(*to, place);
                    after.push(*to);
                }
            }
        }
        wave = after;
    }
    None
}

#[cfg(test)]
mod tests;

//! What is different between two versions of a definition: graph, texts, columns, schedule, settings. Pure.

mod fields;
pub mod lines;
mod schedule;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{graph::Edge, spec::Pipeline, time::Timestamp};

pub use fields::FieldChange;
pub use schedule::{FIRES, ScheduleChange};
pub use shape::{ColumnChange, Shape, ShapeColumn};

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is there before and after, and differs.
    Changed,
}

/// One task that is not the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskChange {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub what: What,
    /// Its kind: the new one, or the old one of a task that is gone.
    pub kind: String,
    /// What it says otherwise than before; of a new task or one that is gone, all it says.
    pub fields: Vec<FieldChange>,
}

/// An edge that came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EdgeChange {
    /// Whether it came or went.
    pub what: What,
    /// The edge.
    #[serde(flatten)]
    pub edge: Edge,
}

/// Everything that is different.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// Tasks, in the order of the definition; those that are gone come last.
    pub tasks: Vec<TaskChange>,
    /// Edges.
    pub edges: Vec<EdgeChange>,
    /// Columns of tasks that are there before and after, where both sides are known.
    pub columns: Vec<ColumnChange>,
    /// When it fires.
    pub schedule: ScheduleChange,
    /// What the definition says outside of its tasks.
    pub settings: Vec<FieldChange>,
    /// What could not be compared, in words.
    pub unknown: Vec<String>,
}

impl Diff {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
            && self.edges.is_empty()
            && self.columns.is_empty()
            && self.settings.is_empty()
            && !self.schedule.changed
    }
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The definition.
    pub pipeline: &'a Pipeline,
    /// Its edges; unknown where it no longer fits the project.
    pub edges: Option<&'a [Edge]>,
    /// Its columns; unknown where it was never proved.
    pub shape: Option<&'a Shape>,
}

/// Compares; without a side before, everything is new. `now` is where the next fire times are counted from.
pub fn diff(before: Option<Side<'_>>, after: Side<'_>, now: Timestamp) -> Diff {
    let mut unknown = Vec::new();
    let edges = match (before, after.edges) {
        (Some(Side { edges: None, .. }), _) | (_, None) => {
            unknown.push("edges: a definition no longer fits the connections of this project".to_owned());
            Vec::new()
        }
        (before, Some(new)) => edges(before.and_then(|side| side.edges).unwrap_or_default(), new),
    };
    let columns = match (before, after.shape) {
        (None, _) => Vec::new(),
        (Some(Side { shape: Some(old), .. }), Some(new)) => shape::compare(old, new),
        (Some(_), _) => {
            unknown.push("columns: one of the versions was saved without being proved".to_owned());
            Vec::new()
        }
    };
    let old = before.map(|side| side.pipeline);
    Diff {
        tasks: tasks(old, after.pipeline),
        edges,
        columns,
        schedule: schedule::compare(old, after.pipeline, now),
        settings: settings(old, after.pipeline),
        unknown,
    }
}

fn tasks(before: Option<&Pipeline>, after: &Pipeline) -> Vec<TaskChange> {
    let old = |name: &str| before.and_then(|p| p.tasks.get(name));
    let mut changes = Vec::new();
    for (name, task) in &after.tasks {
        let fields = fields::compare(old(name), Some(task));
        if fields.is_empty() {
            continue;
        }
        let what = if old(name).is_some() { What::Changed } else { What::Added };
        changes.push(TaskChange { name: name.clone(), what, kind: task.kind.name().to_owned(), fields });
    }
    for (name, task) in before.into_iter().flat_map(|p| &p.tasks).filter(|(name, _)| !after.tasks.contains_key(*name)) {
        let fields = fields::compare(Some(task), None);
        let kind = task.kind.name().to_owned();
        changes.push(TaskChange { name: name.clone(), what: What::Removed, kind, fields });
    }
    changes
}

/// Everything but the tasks, compared as if it were one.
fn settings(before: Option<&Pipeline>, after: &Pipeline) -> Vec<FieldChange> {
    let without_tasks = |pipeline: &Pipeline| {
        let mut value = serde_json::to_value(pipeline).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.shift_remove("tasks");
        }
        value
    };
    let Some(before) = before else { return Vec::new() };
    fields::compare(Some(&without_tasks(before)), Some(&without_tasks(after)))
}

fn edges(before: &[Edge], after: &[Edge]) -> Vec<EdgeChange> {
    let (old, new): (BTreeSet<&Edge>, BTreeSet<&Edge>) = (before.iter().collect(), after.iter().collect());
    let change = |what| move |edge: &&Edge| EdgeChange { what, edge: (*edge).clone() };
    let added = new.difference(&old).map(change(What::Added));
    added.chain(old.difference(&new).map(change(What::Removed))).collect()
}

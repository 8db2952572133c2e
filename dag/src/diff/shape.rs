//! The columns of a version's tasks and where they come from, kept with the version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::What;

/// What is known of a version's rows: the columns of each task, by the task's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Tasks whose columns are known.
    pub tasks: BTreeMap<String, Vec<ShapeColumn>>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeColumn {
    /// Its name.
    pub name: String,
    /// Its type, as people read it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// The columns whose values are in it, as `relation.column`, sorted.
    #[serde(default)]
    pub sources: Vec<String>,
    /// The columns that decide about it without being in it, sorted.
    #[serde(default)]
    pub decided_by: Vec<String>,
}

/// A column that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnChange {
    /// The task.
    pub task: String,
    /// The column.
    pub column: String,
    /// Gained, lost, or there with another type or from other sources.
    pub what: What,
    /// What it was.
    pub before: Option<ShapeColumn>,
    /// What it is.
    pub after: Option<ShapeColumn>,
}

/// Compares the columns of tasks that both sides know.
pub(super) fn compare(before: &Shape, after: &Shape) -> Vec<ColumnChange> {
    let mut changes = Vec::new();
    for (task, new) in &after.tasks {
        let Some(old) = before.tasks.get(task) else { continue };
        let find = |side: &[ShapeColumn], name: &str| side.iter().find(|column| column.name == name).cloned();
        let mut change = |column: &str, what, before, after| {
            changes.push(ColumnChange { task: task.clone(), column: column.to_owned(), what, before, after });
        };
        for column in new {
            match find(old, &column.name) {
                None => change(&column.name, What::Added, None, Some(column.clone())),
                Some(was) if was != *column => change(&column.name, What::Changed, Some(was), Some(column.clone())),
                Some(_) => {}
            }
        }
        for column in old.iter().filter(|column| find(new, &column.name).is_none()) {
            change(&column.name, What::Removed, Some(column.clone()), None);
        }
    }
    changes
}

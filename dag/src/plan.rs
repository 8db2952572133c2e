//! What runs: the tasks of one version in order, with views folded into their readers.

mod build;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::Ordinal,
    spec::{Task, TaskKind},
};

pub(crate) use build::build;

/// Everything that gets a row in a run. A task's place in `tasks` is its [`Ordinal`]; a task always
/// stands behind all it needs. Views have no place of their own: they are part of their reader.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The tasks, by ordinal.
    pub tasks: Vec<PlannedTask>,
}

/// One task as it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// Its name in the definition.
    pub name: String,
    /// Its settings, with the pipeline's `defaults` already merged in.
    pub task: Task,
    /// The tasks it waits for, ascending, each once. Needs of its inlined views are among them.
    pub needs: Vec<Ordinal>,
    /// Every relation that its SQL or inputs mention, and those that its views mention, each once.
    pub reads: Vec<Relation>,
    /// The views folded into it; each stands behind those it reads.
    pub views: Vec<View>,
    /// Whether it only tells people how the run ended: one of `on_success` or `on_failure`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hook: bool,
}

/// A task that is not run by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Its name in the definition, which is also its name in its reader's SQL.
    pub name: String,
    /// What it does: `extract` or `sql`.
    pub kind: TaskKind,
}

/// Something rows can be read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The data set of another task.
    Task {
        /// The name under which the reader mentions it.
        name: String,
        /// The task whose data set it is: for a `check` that lets its input through, the input's.
        ordinal: Ordinal,
    },
    /// One of the reader's own views.
    View {
        /// The name under which the reader mentions it.
        name: String,
    },
    /// A table of a connection.
    Table {
        /// The connection's name.
        connection: String,
        /// The table, as the connection names it.
        table: String,
        /// The whole name as SQL finds it, as in `shop.public.orders`.
        written: String,
    },
}

impl Plan {
    /// The task at a place.
    pub fn get(&self, ordinal: Ordinal) -> Option<&PlannedTask> {
        self.tasks.get(usize::try_from(ordinal.0).ok()?)
    }

    /// Tasks with their ordinals.
    pub fn iter(&self) -> impl Iterator<Item = (Ordinal, &PlannedTask)> {
        (0..).map(Ordinal).zip(&self.tasks)
    }

    /// For each task, the tasks that wait for it, ascending.
    pub fn readers(&self) -> Vec<Vec<Ordinal>> {
        let mut readers = vec![Vec::new(); self.tasks.len()];
        for (ordinal, task) in self.iter() {
            for need in &task.needs {
                if let Some(list) = usize::try_from(need.0).ok().and_then(|index| readers.get_mut(index)) {
                    list.push(ordinal);
                }
            }
        }
        readers
    }

    /// Where each named task stands. Views are found under their reader.
    pub fn ordinals(&self) -> HashMap<&str, Ordinal> {
        self.iter()
            .flat_map(|(ordinal, task)| {
                let views = task.views.iter().map(|view| view.name.as_str());
                views.chain([task.name.as_str()]).map(move |name| (name, ordinal))
            })
            .collect()
    }
}

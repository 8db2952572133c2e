//! The tables that a definition reads: each looked up once, whoever reads it, before anything is typed.

use std::collections::HashMap;

use tidemill_connectors::{Connections, TableInfo};
use tidemill_dag::{
    plan::{PlannedTask, Relation},
    spec::TaskKind,
};

use super::task::sql_path;
use crate::EngineError;

/// What is known of the tables; of those that could not be looked up, nothing.
#[derive(Clone, Default)]
pub(super) struct Tables {
    described: HashMap<(String, String), Option<TableInfo>>,
}

/// A table that could not be looked up, and the path of the first task that mentions it.
pub(super) struct Trouble {
    pub path: String,
    pub error: EngineError,
}

impl Tables {
    pub(super) fn get(&self, connection: &str, table: &str) -> Option<&TableInfo> {
        self.described.get(&(connection.to_owned(), table.to_owned())).and_then(Option::as_ref)
    }

    /// Looks up what a task reads and no task before it read.
    pub(super) async fn learn(&mut self, connections: &Connections, planned: &PlannedTask) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let own = (planned.name.as_str(), &planned.task.kind);
        for (name, kind) in planned.views.iter().map(|view| (view.name.as_str(), &view.kind)).chain([own]) {
            if let TaskKind::Extract(extract) = kind {
                // First, so that what is wrong is told at the place that says it.
                let path = || format!("tasks.{name}.extract.table");
                troubles.extend(self.describe(connections, &extract.connection, &extract.table, path).await);
            }
        }
        for relation in &planned.reads {
            if let Relation::Table { connection, table, .. } = relation {
                troubles.extend(self.describe(connections, connection, table, || mentioned(planned)).await);
            }
        }
        troubles
    }

    async fn describe(
        &mut self,
        connections: &Connections,
        connection: &str,
        table: &str,
        path: impl FnOnce() -> String,
    ) -> Option<Trouble> {
        // A name that is not there was reported when the definition was read.
        let found = connections.get(connection)?;
        let key = (connection.to_owned(), table.to_owned());
        if self.described.contains_key(&key) {
            return None;
        }
        let (info, trouble) = match found.describe(table).await {
            Ok(info) => (Some(info), None),
            Err(error) => (None, Some(Trouble { path: path(), error: EngineError::from(error) })),
        };
        self.described.insert(key, info);
        trouble
    }
}

/// Where a task mentions a table in its text.
pub(super) fn mentioned(planned: &PlannedTask) -> String {
    match &planned.task.kind {
        TaskKind::Sql(sql) => sql_path(&planned.name, sql).0,
        other => format!("tasks.{}.{}", planned.name, other.name()),
    }
}

//! The relations a task reads, in an engine session: data sets of earlier tasks, tables of
//! connections, and its views folded in.

use std::sync::Arc;

use tidemill_connectors::Connection;
use tidemill_dag::{plan::Relation, spec::TaskKind};
use tidemill_engine::{Manifest, Rows, Session};

use crate::{attempt::Attempt, datasets, error::TaskError};

/// What a task reads.
pub(crate) struct Tables(pub Session);

impl Tables {
    /// Opens everything that the task mentions. No rows are read yet.
    pub async fn open(attempt: &Attempt<'_>) -> Result<Self, TaskError> {
        // Retries see the same `now()` as the first attempt.
        let mut session = attempt.site.wiring.engine.session(attempt.claimed.run.started_at);
        for relation in &attempt.planned.reads {
            match relation {
                Relation::Task { name, ordinal } => {
                    let output = attempt.output_of(*ordinal).await?;
                    let manifest = output.as_ref().and_then(|output| output.get("manifest"));
                    let manifest = manifest.ok_or_else(|| TaskError::NoInput(name.clone()))?;
                    let manifest: Manifest = serde_json::from_value(manifest.clone())
                        .map_err(|error| TaskError::Internal(format!("the manifest of `{name}`: {error}")))?;
                    session.add_dataset(name, &manifest, datasets::files(attempt))?;
                }
                Relation::Table { connection, table, written } => {
                    session.add_table(written, connect(attempt, connection)?, table, &[]).await?;
                }
                Relation::View { .. } => {}
            }
        }
        for view in &attempt.planned.views {
            match &view.kind {
                TaskKind::Extract(body) => {
                    let connection = connect(attempt, &body.connection)?;
                    session.add_table(&view.name, connection, &body.table, &body.columns).await?;
                }
                TaskKind::Sql(body) => {
                    let sql = attempt.sql(&format!("tasks.{}.sql", view.name), body.query())?;
                    session.add_view(&view.name, &sql).await?;
                }
                other => {
                    let problem = format!("`{}` is a view of kind {}", view.name, other.name());
                    return Err(TaskError::Internal(problem));
                }
            }
        }
        Ok(Self(session))
    }

    /// All rows of a relation.
    pub async fn rows(&self, name: &str) -> Result<Rows, TaskError> {
        Ok(self.0.stream_table(name).await?)
    }
}

/// A connection by its name.
pub(crate) fn connect(attempt: &Attempt<'_>, name: &str) -> Result<Arc<dyn Connection>, TaskError> {
    let found = attempt.site.wiring.connections.get(name);
    found.map(Arc::clone).ok_or_else(|| TaskError::NoConnection(name.to_owned()))
}

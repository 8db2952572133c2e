//! The dry run of a whole definition: types and names of every task, without rows.

mod load;
mod place;
mod tables;
mod task;

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::SchemaRef;
use futures::future::join_all;
use tidemill_connectors::Connections;
use tidemill_dag::{compile::Compiled, diagnostic::Diagnostic, id::Ordinal, plan::Relation, template::Context};

use tables::Tables;
use task::{Found, Shared};

use crate::{ColumnLineage, Engine, EngineError, ScanFacts};

/// A level of the plan is cut into so many parts for each thread: a thread that got the quick ones takes another.
const PARTS_PER_THREAD: usize = 4;

/// What the dry run found out.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// Every task that gives rows, views too, by name.
    pub tasks: BTreeMap<String, ProvedTask>,
    /// What is worth a look.
    pub warnings: Vec<Diagnostic>,
}

/// What is known of one task before it runs.
#[derive(Debug, Clone, Default)]
pub struct ProvedTask {
    /// The columns of its rows; unknown for Python that returns rows, and for whatever reads those.
    pub schema: Option<SchemaRef>,
    /// Where each column comes from: tasks and tables that it reads, through its views.
    pub lineage: Vec<ColumnLineage>,
    /// What is asked of each source.
    pub pushdown: Vec<ScanFacts>,
}

/// Proves a definition: every name, type and clause of every task, in order, without reading rows.
///
/// Templates are rendered with `sample`, whose `run.started` is also what `now()` means. A template that needs
/// what an earlier task returned cannot be rendered here: that task, and whatever reads it, is not proved, and a
/// warning says so. The same holds for Python that returns rows.
///
/// # Errors
/// Everything that is wrong, in the order of the plan.
pub async fn prove(
    engine: &Engine,
    compiled: &Arc<Compiled>,
    connections: &Connections,
    sample: &Context,
) -> Result<Proof, Vec<Diagnostic>> {
    let mut errors: Vec<Vec<Diagnostic>> = Vec::new();
    let mut tables = Tables::default();
    for (_, planned) in compiled.plan.iter() {
        let troubles = tables.learn(connections, planned).await;
        errors.push(troubles.into_iter().map(|it| task::told(compiled, &it.path, &it.error)).collect());
    }
    let mut shared = Arc::new(Shared {
        engine: engine.clone(),
        compiled: Arc::clone(compiled),
        connections: connections.clone(),
        sample: sample.clone(),
        tables,
        columns: BTreeMap::new(),
    });
    let mut proof = Proof::default();
    for level in levels(compiled) {
        let found = side_by_side(&shared, &level).await.map_err(|error| vec![task::told(compiled, "tasks", &error)])?;
        // Nobody else holds it: every part of the level has ended.
        let known = Arc::make_mut(&mut shared);
        for (ordinal, found) in level.iter().zip(found) {
            known.columns.extend(found.columns);
            proof.tasks.extend(found.tasks);
            proof.warnings.extend(found.warnings);
            errors[at(*ordinal)].extend(found.errors);
        }
    }
    let errors: Vec<Diagnostic> = errors.into_iter().flatten().collect();
    if errors.is_empty() { Ok(proof) } else { Err(errors) }
}

/// Proves the tasks of one level on the engine's threads; what was found stands in the order of the level.
async fn side_by_side(shared: &Arc<Shared>, level: &[Ordinal]) -> Result<Vec<Found>, EngineError> {
    let part = level.len().div_ceil(shared.engine.threads() * PARTS_PER_THREAD).max(1);
    let parts = level.chunks(part).map(|part| {
        let (shared, part) = (Arc::clone(shared), part.to_vec());
        let engine = shared.engine.clone();
        async move { engine.run(prove_part(shared, part)).await }
    });
    let found: Result<Vec<Vec<Found>>, EngineError> = join_all(parts).await.into_iter().collect();
    found.map(|parts| parts.into_iter().flatten().collect())
}

async fn prove_part(shared: Arc<Shared>, part: Vec<Ordinal>) -> Result<Vec<Found>, EngineError> {
    // One session for all of them: making one costs as much as typing a query.
    let mut session = shared.engine.session(shared.sample.run.started);
    let mut found = Vec::with_capacity(part.len());
    for ordinal in part {
        found.push(match shared.compiled.plan.get(ordinal) {
            Some(planned) => task::prove(&shared, &mut session, planned).await,
            None => Found::default(),
        });
    }
    Ok(found)
}

/// Tasks that read nothing of each other, level by level.
fn levels(compiled: &Compiled) -> Vec<Vec<Ordinal>> {
    let mut level_of: Vec<usize> = Vec::new();
    let mut levels: Vec<Vec<Ordinal>> = Vec::new();
    for (ordinal, planned) in compiled.plan.iter() {
        let upstream = planned.reads.iter().filter_map(|relation| match relation {
            Relation::Task { ordinal, .. } => level_of.get(at(*ordinal)),
            Relation::View { .. } | Relation::Table { .. } => None,
        });
        let level = upstream.max().map_or(0, |level| level + 1);
        level_of.push(level);
        levels.resize_with(levels.len().max(level + 1), Vec::new);
        levels[level].push(ordinal);
    }
    levels
}

fn at(ordinal: Ordinal) -> usize {
    usize::try_from(ordinal.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;

//! The dry run of a whole definition: types and names of every task, without rows.

mod load;
mod place;
mod task;

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use tidemill_connectors::Connections;
use tidemill_dag::{compile::Compiled, diagnostic::Diagnostic, template::Context};

use crate::{ColumnLineage, Engine, ScanFacts};

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
    compiled: &Compiled,
    connections: &Connections,
    sample: &Context,
) -> Result<Proof, Vec<Diagnostic>> {
    let mut prover = task::Prover::new(engine, compiled, connections, sample);
    for (_, planned) in compiled.plan.iter() {
        prover.task(planned).await;
    }
    prover.finish()
}

#[cfg(test)]
mod tests;

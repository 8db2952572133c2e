//! What applying a definition changes.

use tidemill_connectors::column_type;
use tidemill_dag::compile;
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_dag::diff::{Diff, Shape, ShapeColumn, Side, diff};
use tidemill_dag::graph::Edge;
use tidemill_dag::id::VersionId;
use tidemill_dag::spec::Pipeline;
use tidemill_dag::time::Timestamp;
use tidemill_engine::{ColumnLineage, Proof, Use};
use tidemill_store::{Store, VersionRecord};

use super::{Checked, Workbench};
use crate::start::StartError;

/// What applying a definition changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The pipeline.
    pub pipeline: String,
    /// The version that the definition is.
    pub version: VersionId,
    /// The version that is active now.
    pub before: Option<VersionId>,
    /// What is different.
    pub diff: Diff,
    /// What is worth a look.
    pub warnings: Vec<Diagnostic>,
}

impl Change {
    /// Whether anything changes at all.
    pub fn changed(&self) -> bool {
        self.before.as_ref() != Some(&self.version)
    }
}

/// Compares a definition with the active version of its pipeline.
///
/// # Errors
/// The state failed, or what it holds cannot be read.
pub async fn plan(
    store: &Store,
    workbench: &Workbench,
    checked: &Checked,
    now: Timestamp,
) -> Result<Change, StartError> {
    let compiled = &checked.compiled;
    let active = store.active(&compiled.pipeline.pipeline).await?;
    let before = match &active {
        Some(version) => Some(Stored::read(store, workbench, version).await?),
        None => None,
    };
    let (edges, shape) = (compiled.graph.edges(), shape(&checked.proof));
    let after = Side { pipeline: &compiled.pipeline, edges: Some(&edges), shape: Some(&shape) };
    Ok(Change {
        pipeline: compiled.pipeline.pipeline.clone(),
        version: compiled.version.clone(),
        before: active.as_ref().map(|version| version.id.clone()),
        diff: diff(before.as_ref().map(Stored::side), after, now),
        warnings: checked.warnings(),
    })
}

/// Compares two stored versions.
///
/// # Errors
/// The state failed, or what it holds cannot be read.
pub async fn compare(
    store: &Store,
    workbench: &Workbench,
    (from, to): (&VersionRecord, &VersionRecord),
    now: Timestamp,
) -> Result<Diff, StartError> {
    let from = Stored::read(store, workbench, from).await?;
    let to = Stored::read(store, workbench, to).await?;
    Ok(diff(Some(from.side()), to.side(), now))
}

/// Compares a stored version with a definition that is not stored.
///
/// # Errors
/// The state failed, or what it holds cannot be read.
pub async fn compare_with(
    store: &Store,
    workbench: &Workbench,
    (from, to): (&VersionRecord, &Checked),
    now: Timestamp,
) -> Result<Diff, StartError> {
    let from = Stored::read(store, workbench, from).await?;
    let (edges, shape) = (to.compiled.graph.edges(), shape(&to.proof));
    let to = Side { pipeline: &to.compiled.pipeline, edges: Some(&edges), shape: Some(&shape) };
    Ok(diff(Some(from.side()), to, now))
}

/// A stored version, read.
struct Stored {
    pipeline: Pipeline,
    edges: Option<Vec<Edge>>,
    shape: Option<Shape>,
}

impl Stored {
    async fn read(store: &Store, workbench: &Workbench, version: &VersionRecord) -> Result<Self, StartError> {
        let pipeline: Pipeline = serde_json::from_value(version.definition.clone())
            .map_err(|source| StartError::Stored { pipeline: version.pipeline.clone(), source })?;
        // What no longer fits the connections of today still has texts and settings to compare.
        let compiled = compile::from_pipeline(pipeline.clone(), &workbench.names());
        let edges = compiled.ok().map(|compiled| compiled.graph.edges());
        Ok(Self { pipeline, edges, shape: store.version_shape(&version.id).await? })
    }

    fn side(&self) -> Side<'_> {
        Side { pipeline: &self.pipeline, edges: self.edges.as_deref(), shape: self.shape.as_ref() }
    }
}

/// What is kept of a proof with its version: columns, types, and where they come from.
pub fn shape(proof: &Proof) -> Shape {
    let mut shape = Shape::default();
    for (name, task) in &proof.tasks {
        let Some(schema) = &task.schema else { continue };
        let columns = schema.fields().iter().map(|field| {
            let (sources, decided_by) = sources(task.lineage.iter().find(|l| l.column == *field.name()));
            let kind = column_type::to_text(field.data_type());
            ShapeColumn { name: field.name().clone(), kind, nullable: field.is_nullable(), sources, decided_by }
        });
        shape.tasks.insert(name.clone(), columns.collect());
    }
    shape
}

fn sources(lineage: Option<&ColumnLineage>) -> (Vec<String>, Vec<String>) {
    let (mut direct, mut others) = (Vec::new(), Vec::new());
    for influence in lineage.into_iter().flat_map(|lineage| &lineage.sources) {
        let name = format!("{}.{}", influence.source.relation, influence.source.column);
        match influence.how {
            Use::Direct(_) => direct.push(name),
            Use::Indirect(_) => others.push(name),
        }
    }
    for list in [&mut direct, &mut others] {
        list.sort_unstable();
        list.dedup();
    }
    (direct, others)
}

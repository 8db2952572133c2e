//! From text to something that can run: read, check, derive the edges, plan.

use std::collections::BTreeMap;

use crate::{
    diagnostic::Diagnostic, graph::Graph, id::VersionId, places::Places, plan::Plan, spec::Pipeline,
};

/// A definition longer than this is refused before it is looked at.
pub const MAX_BYTES: usize = 5_000_000;

/// What the project has: the names a definition may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The connections, by name.
    pub connections: BTreeMap<String, KnownConnection>,
}

/// What is known about a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownConnection {
    /// Its kind, as in `files`.
    pub kind: String,
    /// Its tables; `None` where nobody looked.
    pub tables: Option<Vec<String>>,
}

/// A definition that was read and proved as far as this is possible without its data.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The definition itself.
    pub pipeline: Pipeline,
    /// What runs.
    pub plan: Plan,
    /// Every task and why it waits for which other.
    pub graph: Graph,
    /// The content hash: the same for definitions that differ only in layout and comments.
    pub version: VersionId,
    /// Where everything stands in the text; empty for a definition that came as a value.
    pub places: Places,
    /// What is worth a look.
    pub warnings: Vec<Diagnostic>,
}

/// Reads YAML or JSON text.
///
/// # Errors
/// Everything that is wrong, in the order of the text.
pub fn read(text: &str, known: &Known) -> Result<Compiled, Vec<Diagnostic>> {
    let _ = (text, known);
    unimplemented!()
}

/// Reads the bytes of a file.
///
/// # Errors
/// As [`read`]; bytes that are not UTF-8 are reported with their place.
pub fn read_bytes(bytes: &[u8], known: &Known) -> Result<Compiled, Vec<Diagnostic>> {
    let _ = (bytes, known);
    unimplemented!()
}

/// Checks and plans a definition that is a value already, as a stored version is.
///
/// # Errors
/// Everything that is wrong, without places.
pub fn from_pipeline(pipeline: Pipeline, known: &Known) -> Result<Compiled, Vec<Diagnostic>> {
    let _ = (pipeline, known);
    unimplemented!()
}

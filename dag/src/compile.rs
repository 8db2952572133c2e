//! From text to something that can run: read, check, derive the edges, plan.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    check,
    diagnostic::Diagnostic,
    graph::{self, Graph},
    id::VersionId,
    links::Linker,
    places::Places,
    plan::{self, Plan},
    read,
    report::Report,
    spec::Pipeline,
    template::probe,
};

/// A definition longer than this is refused before it is looked at.
pub const MAX_BYTES: usize = 5_000_000;

/// What the project has: the names a definition may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The connections, by name.
    pub connections: BTreeMap<String, KnownConnection>,
    /// The days of its calendars, by name.
    pub calendars: BTreeMap<String, Vec<String>>,
    /// The pools and how many slots each has; `None` where nobody listed them.
    pub pools: Option<BTreeMap<String, u32>>,
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
    let mut problems = Vec::new();
    let Some(root) = read::parse(text, &mut problems) else { return Err(problems) };
    let draft = read::definition(&root);
    problems.extend(draft.problems);
    let places = Places::new(text, root);
    let report = Report { places, findings: problems };
    match draft.pipeline {
        Some(pipeline) => prove(pipeline, &draft.broken, known, report),
        None => Err(report.sorted().0),
    }
}

/// Reads the bytes of a file.
///
/// # Errors
/// As [`read`]; bytes that are not UTF-8 are reported with their place.
pub fn read_bytes(bytes: &[u8], known: &Known) -> Result<Compiled, Vec<Diagnostic>> {
    if let Some(problem) = read::too_large(bytes.len()) {
        return Err(vec![problem]);
    }
    read(read::utf8(bytes).map_err(|problem| vec![problem])?, known)
}

/// Checks and plans a definition that is a value already, as a stored version is.
///
/// # Errors
/// Everything that is wrong, without places.
pub fn from_pipeline(pipeline: Pipeline, known: &Known) -> Result<Compiled, Vec<Diagnostic>> {
    let report = Report { places: Places::default(), findings: Vec::new() };
    prove(pipeline, &BTreeSet::new(), known, report)
}

fn prove(
    pipeline: Pipeline,
    broken: &BTreeSet<String>,
    known: &Known,
    mut report: Report,
) -> Result<Compiled, Vec<Diagnostic>> {
    let pipeline = check::with_calendars(pipeline, known, &mut report);
    check::pipeline(&pipeline, known, &mut report);
    let stand_ins = probe::stand_ins(&pipeline);
    let mut linker = Linker { pipeline: &pipeline, broken, known, report: &mut report, stand_ins, items: false };
    let links = linker.all();
    let told = linker.told();
    let graph = graph::build(&pipeline, &links);
    let circular = graph::report_cycles(&graph, &mut report);
    let plan = if circular { Plan::default() } else { plan::build(&pipeline, &links, &told, &mut report) };
    let places = report.places.clone();
    let (findings, failed) = report.sorted();
    if failed {
        return Err(findings);
    }
    let version = version(&pipeline);
    Ok(Compiled { pipeline, plan, graph, version, places, warnings: findings })
}

/// The hash of everything a definition says: its canonical JSON, with sorted keys, and the order of its
/// tasks, because their ordinals follow it.
pub fn version(pipeline: &Pipeline) -> VersionId {
    let order: Vec<&str> = pipeline.tasks.keys().map(String::as_str).collect();
    let definition = serde_json::to_value(pipeline).unwrap_or_default();
    VersionId(digest(&json!({ "definition": definition, "order": order })))
}

/// The hash of a JSON value: the same for values that differ only in the order of keys.
pub fn digest(value: &Value) -> String {
    let mut canonical = String::new();
    write_canonical(value, &mut canonical);
    blake3::hash(canonical.as_bytes()).to_hex().to_string()
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// A definition that uses every key that is built.
#[cfg(test)]
pub(crate) const EVERYTHING: &str = include_str!("compile/everything.yaml");

#[cfg(test)]
mod tests;

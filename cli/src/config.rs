//! `tidemill.yaml`: one struct and file per section, one default each. The doc comments are the reference
//! that `tidemill config reference` prints.

mod blobs;
mod database;
mod engine;
mod events;
mod pools;
mod queue;
mod read;
mod retention;
mod server;
mod state;
mod telemetry;
mod worker;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::spec::Defaults;

pub use blobs::{BlobsKind, BlobsSection};
pub use database::DatabaseSection;
pub use engine::EngineSection;
pub use events::EventsSection;
pub use pools::PoolSection;
pub use queue::QueueSection;
pub use read::{ReadConfig, read};
pub use retention::RetentionSection;
pub use server::ServerSection;
pub use state::{StateFolders, StateSection};
pub use telemetry::TelemetrySection;
pub use worker::WorkerSection;

/// The file's name.
pub const FILE: &str = "tidemill.yaml";

/// The settings of a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Systems that hold data, by name, as in `shop: {kind: files, path: data}`.
    pub connections: BTreeMap<String, Value>,
    /// The database that holds the state.
    pub database: DatabaseSection,
    /// The Redis through which processes on several machines hand each other tasks.
    pub queue: QueueSection,
    /// Where Tidemill keeps files that it must remember.
    pub state: StateSection,
    /// Where data sets between tasks are kept.
    pub blobs: BlobsSection,
    /// How long things are kept.
    pub retention: RetentionSection,
    /// Where events are told.
    pub events: EventsSection,
    /// How runs and tasks are recorded.
    pub telemetry: TelemetrySection,
    /// The API of `tidemill dev` and `tidemill server`.
    pub server: ServerSection,
    /// The worker of this process.
    pub worker: WorkerSection,
    /// The engine that runs SQL.
    pub engine: EngineSection,
    /// The LLM gateway.
    pub gateway: tidemill_llm_gateway::GatewayConfig,
    /// Pools by name, as in `warehouse: {slots: 4}`. Where there are any, definitions can use no others.
    pub pools: BTreeMap<String, PoolSection>,
    /// Settings for tasks of every pipeline that does not say otherwise.
    pub defaults: Defaults,
}

/// What a project without a file has: `data/` (or the folder itself) to read, `out/` to write.
pub fn without_file(has_data: bool) -> Config {
    let (name, path) = if has_data { ("data", "data") } else { ("here", ".") };
    let files = |path: &str| serde_json::json!({"kind": "files", "path": path});
    let connections = BTreeMap::from([(name.to_owned(), files(path)), ("out".to_owned(), files("out"))]);
    Config { connections, ..Config::default() }
}

/// The reference: every key with its default and what it means, as YAML with comments.
pub fn reference() -> String {
    let schema = schemars::schema_for!(Config).to_value();
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut out = format!("# {FILE}: every setting, with its default.\n");
    section(&schema, &schema, &defaults, &mut out, 0);
    out
}

fn section(root: &Value, schema: &Value, defaults: &Value, out: &mut String, depth: usize) {
    let indent = "  ".repeat(depth);
    let Some(keys) = read::resolve(root, schema).get("properties").and_then(Value::as_object) else { return };
    for (key, inner) in keys {
        let inner_schema = read::resolve(root, inner);
        let about = inner.get("description").or_else(|| inner_schema.get("description"));
        for line in about.and_then(Value::as_str).unwrap_or_default().lines() {
            out.push_str(&format!("{indent}# {line}\n"));
        }
        let value = defaults.get(key).unwrap_or(&Value::Null);
        let nested = inner_schema.get("properties").is_some_and(|p| p.as_object().is_some_and(|p| !p.is_empty()));
        if nested {
            out.push_str(&format!("{indent}{key}:\n"));
            section(root, inner, value, out, depth + 1);
        } else {
            out.push_str(&format!("{indent}{key}: {value}\n"));
        }
    }
}

#[cfg(test)]
mod tests;

//! Which room may use which: the table of ARCHITECTURE.md, read off the manifests.

use std::path::Path;

const ROOMS: &[(&str, &[&str])] = &[
    ("dag", &[]),
    ("store", &["dag"]),
    ("connectors", &["dag"]),
    ("engine", &["dag", "connectors"]),
    ("llm-gateway", &["dag"]),
    ("generator", &["dag", "engine", "connectors", "llm-gateway"]),
    ("scheduler", &["dag", "store"]),
    ("worker", &["dag", "store", "connectors", "engine", "llm-gateway"]),
    ("telemetry", &["dag"]),
    ("api", &["dag", "store", "engine", "generator", "connectors"]),
];

/// What the pure room may never depend on.
const NOT_IN_DAG: &[&str] = &["tokio", "reqwest", "sqlx", "tracing", "async-trait", "futures", "rand"];

/// Dependencies between rooms that the table does not allow. Tests of a room may use `testkit`.
pub fn arrows(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (room, may) in ROOMS {
        let Ok(text) = std::fs::read_to_string(root.join(room).join("Cargo.toml")) else { continue };
        let manifest: toml::Table = text.parse().unwrap_or_else(|error| panic!("{room}/Cargo.toml: {error}"));
        for (section, extra) in [("dependencies", None), ("dev-dependencies", Some("testkit"))] {
            let Some(table) = manifest.get(section).and_then(|t| t.as_table()) else { continue };
            for used in table.keys() {
                let forbidden = match used.strip_prefix("tidemill-") {
                    Some(other) => !may.contains(&other) && extra != Some(other),
                    None => *room == "dag" && section == "dependencies" && NOT_IN_DAG.contains(&used.as_str()),
                };
                if forbidden {
                    found.push(format!("{room} → {used} ({section})"));
                }
            }
        }
    }
    found
}

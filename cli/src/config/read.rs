//! From text to settings: every error at once, each with its place.

use serde_json::{Value, json};
use tidemill_connectors::ConnectionConfig;
use tidemill_dag::codes::{tm01, tm09};
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_dag::places::Places;

use super::Config;

/// What reading gave: the settings, and the connections among them as their own types.
#[derive(Debug, Clone)]
pub struct ReadConfig {
    /// The settings.
    pub config: Config,
    /// The connections.
    pub connections: std::collections::BTreeMap<String, ConnectionConfig>,
}

/// Reads the text of a project file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn read(text: &str) -> Result<ReadConfig, Vec<Diagnostic>> {
    let (mut value, places) = match tidemill_dag::read::document(text) {
        // A file of comments alone is all defaults.
        Err(found) if found.iter().all(|d| d.code == tm01::EMPTY) => (json!({}), Places::default()),
        other => other?,
    };
    let mut found = Vec::new();
    let schema = schemars::schema_for!(Config).to_value();
    unknown_keys(&schema, &schema, &mut value, &places, "", &mut found);
    let config = settle(&mut value, &places, &mut found);
    let connections = connections(&config, &places, &mut found);
    limits(&config, &places, &mut found);
    if found.is_empty() {
        return Ok(ReadConfig { config, connections });
    }
    found.sort_by_key(|d| d.place);
    Err(found)
}

/// Follows a `$ref` within a schema.
pub(super) fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// Takes keys out that nobody knows, with a suggestion for each.
fn unknown_keys(
    root: &Value,
    schema: &Value,
    value: &mut Value,
    places: &Places,
    path: &str,
    found: &mut Vec<Diagnostic>,
) {
    let schema = resolve(root, schema);
    let (Some(known), Some(given)) = (schema.get("properties").and_then(Value::as_object), value.as_object_mut())
    else {
        return;
    };
    let unknown: Vec<String> = given.keys().filter(|key| !known.contains_key(*key)).cloned().collect();
    for key in unknown {
        given.remove(&key);
        let at = join(path, &key);
        let near = crate::near::nearest(&key, known.keys().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys here are {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        let wrong =
            Diagnostic::error(tm09::UNKNOWN_SETTING, places.key(&at), at, format!("there is no setting `{key}`"));
        found.push(wrong.help(help));
    }
    for (key, inner) in given.iter_mut() {
        if let Some(schema) = known.get(key) {
            unknown_keys(root, schema, inner, places, &join(path, key), found);
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Decodes; a value that does not fit is reported and left out, and the rest is looked at again.
fn settle(value: &mut Value, places: &Places, found: &mut Vec<Diagnostic>) -> Config {
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(&*value) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        let path = if path == "." { String::new() } else { path };
        found.push(
            Diagnostic::error(tm09::BAD_SETTING, places.of(&path), path.clone(), reason)
                .help("`tidemill config reference` prints every setting with its type and default"),
        );
        if !remove(value, &path) {
            return Config::default();
        }
    }
}

/// Takes the value at a dotted path out; false if there is none.
fn remove(value: &mut Value, path: &str) -> bool {
    let mut here = value;
    let mut keys: Vec<&str> = path.split('.').filter(|k| !k.is_empty()).collect();
    let Some(last) = keys.pop() else { return false };
    for key in keys {
        let Some(inner) = here.get_mut(key) else { return false };
        here = inner;
    }
    here.as_object_mut().is_some_and(|map| map.remove(last).is_some())
}

fn connections(
    config: &Config,
    places: &Places,
    found: &mut Vec<Diagnostic>,
) -> std::collections::BTreeMap<String, ConnectionConfig> {
    let mut ready = std::collections::BTreeMap::new();
    for (name, value) in &config.connections {
        let path = join("connections", name);
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !fits {
            let wrong = format!("`{name}` cannot name a connection");
            found.push(
                Diagnostic::error(tm09::BAD_SETTING, places.key(&path), path.clone(), wrong)
                    .help("use lower-case letters, digits and `_`, starting with a letter: SQL writes it unquoted"),
            );
        }
        match serde_path_to_error::deserialize::<_, ConnectionConfig>(value) {
            Ok(connection) => drop(ready.insert(name.clone(), connection)),
            Err(error) => {
                let inner = error.path().to_string();
                let path = if inner == "." { path } else { join(&path, &inner) };
                let reason = error.into_inner().to_string();
                found.push(
                    Diagnostic::error(tm09::BAD_SETTING, places.of(&path), path.clone(), reason)
                        .help("a connection looks like `{kind: files, path: data}`"),
                );
            }
        }
    }
    ready
}

fn problems(config: &Config) -> Vec<(&'static str, &'static str)> {
    let sections =
        [config.blobs.problems(), config.retention.problems(), config.events.problems(), config.telemetry.problems()];
    sections.concat()
}

fn limits(config: &Config, places: &Places, found: &mut Vec<Diagnostic>) {
    let mut low = |path: &str, message: &str| {
        found.push(Diagnostic::error(tm09::BAD_SETTING, places.of(path), path, message));
    };
    for (path, message) in problems(config) {
        low(path, message);
    }
    if config.worker.slots == Some(0) {
        low("worker.slots", "at least one slot is needed");
    }
    if config.worker.lease.0 < std::time::Duration::from_secs(1) {
        low("worker.lease", "a lease shorter than a second would end while its worker is well");
    }
    if config.worker.queues.is_empty() {
        low("worker.queues", "at least one queue is needed");
    }
    for (path, url) in [("database.url", &config.database.url), ("queue.url", &config.queue.url)] {
        if url.as_deref().is_some_and(crate::secret::shows_a_password) {
            low(path, "it holds a password; write the place where the address is, as in \"${env:NAME}\"");
        }
    }
    if config.server.requests_per_minute == 0 {
        low("server.requests_per_minute", "nobody could ask for anything");
    }
    if config.server.timeout.0 < std::time::Duration::from_secs(1) {
        low("server.timeout", "a second is the least: checking a definition takes its time");
    }
    if config.engine.memory_mb < 16 {
        low("engine.memory_mb", "at least 16 MiB are needed");
    }
    if config.engine.partitions == Some(0) {
        low("engine.partitions", "at least one partition is needed");
    }
}

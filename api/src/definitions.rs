//! From a definition's text to an active version: read, prove, save, activate.

mod change;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill_connectors::Connections;
use tidemill_dag::codes::{tm09, tm13};
use tidemill_dag::compile::{self, Compiled, Known, KnownConnection};
use tidemill_dag::diagnostic::{Diagnostic, Place};
use tidemill_dag::spec::{Defaults, Param, ParamType, Pipeline};
use tidemill_dag::state::{Expected, VersionState};
use tidemill_dag::template::{Context, Interval, RunFacts};
use tidemill_dag::time::Timestamp;
use tidemill_engine::{Engine, Proof};
use tidemill_store::{Adopt, Adopted, NewVersion, Store, StoreError, VersionRecord};

pub use change::{Change, compare, compare_with, plan, shape};

/// Checks definitions against what a project has.
#[derive(Debug)]
pub struct Workbench {
    /// The project's connections.
    pub connections: Connections,
    /// The days of the project's calendars, by name.
    pub calendars: BTreeMap<String, Vec<String>>,
    /// The project's settings for tasks that do not say otherwise.
    pub defaults: Defaults,
    /// The project's pools and their slots, where it lists them.
    pub pools: Option<BTreeMap<String, u32>>,
    /// Proves SQL.
    pub engine: Engine,
}

/// A definition that was read and proved.
#[derive(Debug)]
pub struct Checked {
    /// The definition and its plan.
    pub compiled: Arc<Compiled>,
    /// Its types, lineage and pushdown.
    pub proof: Proof,
    /// The text as it was written.
    pub source: String,
}

impl Workbench {
    /// The names of the connections, without a look at their tables.
    pub fn names(&self) -> Known {
        let kind = |(name, c): (&String, &Arc<dyn tidemill_connectors::Connection>)| {
            (name.clone(), KnownConnection { kind: c.kind().to_owned(), tables: None })
        };
        Known {
            connections: self.connections.0.iter().map(kind).collect(),
            calendars: self.calendars.clone(),
            pools: self.pools.clone(),
        }
    }

    /// The connections with their tables. One that does not answer keeps its tables to itself, and the proof tells why.
    pub async fn known(&self) -> Known {
        let mut known = self.names();
        for (name, connection) in &self.connections.0 {
            let tables = connection.tables().await.ok();
            if let Some(entry) = known.connections.get_mut(name) {
                entry.tables = tables;
            }
        }
        known
    }

    /// Reads a definition without proving its types.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(&self, bytes: &[u8], known: &Known) -> Result<Compiled, Vec<Diagnostic>> {
        let compiled = compile::read_bytes(bytes, known)?;
        match self.with_defaults(&compiled.pipeline) {
            None => Ok(compiled),
            Some(pipeline) => {
                let again = compile::from_pipeline(pipeline, known)?;
                Ok(Compiled { places: compiled.places, warnings: compiled.warnings, ..again })
            }
        }
    }

    /// Reads and proves a definition. No rows are moved.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub async fn check(&self, bytes: &[u8]) -> Result<Checked, Vec<Diagnostic>> {
        let known = self.known().await;
        let compiled = Arc::new(self.read(bytes, &known)?);
        let proof = self.prove(&compiled).await?;
        Ok(Checked { compiled, proof, source: String::from_utf8_lossy(bytes).into_owned() })
    }

    /// Proves a definition that was read.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub async fn prove(&self, compiled: &Arc<Compiled>) -> Result<Proof, Vec<Diagnostic>> {
        let sample = sample(&compiled.pipeline);
        tidemill_engine::prove(&self.engine, compiled, &self.connections, &sample).await
    }

    /// The definition with the project's defaults, if that makes a difference.
    fn with_defaults(&self, pipeline: &Pipeline) -> Option<Pipeline> {
        let mut merged = pipeline.clone();
        let (theirs, ours) = (&mut merged.defaults, &self.defaults);
        theirs.retries = theirs.retries.or(ours.retries);
        theirs.backoff = theirs.backoff.or(ours.backoff);
        theirs.timeout = theirs.timeout.or(ours.timeout);
        (merged != *pipeline).then_some(merged)
    }
}

/// What templates are rendered with where there is no run: defaults, or else a plain value of the type.
pub fn sample(pipeline: &Pipeline) -> Context {
    let value = |param: &Param| match (&param.default, param.kind) {
        (Some(default), _) => default.clone(),
        (None, ParamType::String) => json!("text"),
        (None, ParamType::Integer) => json!(1),
        (None, ParamType::Number) => json!(1.0),
        (None, ParamType::Boolean) => json!(true),
        (None, ParamType::Date) => json!("2000-01-01"),
        (None, ParamType::Timestamp) => json!("2000-01-01T00:00:00Z"),
    };
    let params = pipeline.params.iter().map(|(name, param)| (name.clone(), value(param))).collect();
    let facts = RunFacts { id: None, pipeline: pipeline.pipeline.clone(), started: Timestamp::default() };
    let day = Interval { start: Timestamp::default(), end: Timestamp::default().after(Duration::from_secs(86_400)) };
    Context { interval: Some(day), ..Context::new(pipeline, params, facts) }
}

impl Checked {
    /// What is worth a look, of text and proof together.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        [self.compiled.warnings.as_slice(), &self.proof.warnings].concat()
    }

    /// The version to be saved and moved where it is wanted.
    pub fn adopt(&self, origin: Value, wanted: VersionState, expected: Expected) -> Adopt {
        let new = NewVersion {
            pipeline: self.compiled.pipeline.pipeline.clone(),
            id: self.compiled.version.clone(),
            source: self.source.clone(),
            definition: serde_json::to_value(&self.compiled.pipeline).unwrap_or_default(),
            origin,
        };
        Adopt { new, shape: Some(shape(&self.proof)), wanted, expected }
    }
}

/// One definition of several that belong together.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What people call it: a file's name.
    pub name: String,
    /// Its text.
    pub bytes: Vec<u8>,
}

/// Reads and proves definitions that belong together.
///
/// # Errors
/// Everything that is wrong with every one, by its place in the list; two of one name are wrong too.
pub async fn check_all(
    workbench: &Workbench,
    entries: &[Entry],
) -> Result<Vec<Checked>, Vec<(usize, Vec<Diagnostic>)>> {
    let (mut sound, mut wrong) = (Vec::new(), Vec::new());
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let checked = match workbench.check(&entry.bytes).await {
            Ok(checked) => checked,
            Err(found) => {
                wrong.push((place, found));
                continue;
            }
        };
        let name = checked.compiled.pipeline.pipeline.clone();
        if let Some(first) = names.insert(name.clone(), &entry.name) {
            let message = format!("`{name}` is defined in {first} too");
            let found = Diagnostic::error(tm13::TWICE, checked.compiled.places.of("pipeline"), "pipeline", message);
            wrong.push((place, vec![found.help("one definition per pipeline")]));
        }
        sound.push(checked);
    }
    if wrong.is_empty() { Ok(sound) } else { Err(wrong) }
}

/// Saves a version; it is not active yet.
///
/// # Errors
/// The state failed.
pub async fn save(store: &Store, checked: &Checked, origin: Value) -> Result<VersionRecord, StoreError> {
    one(store, checked.adopt(origin, VersionState::Draft, Expected::Any)).await
}

/// Saves a version and makes it the one that schedules and bare names run.
///
/// # Errors
/// The state failed.
pub async fn apply(store: &Store, checked: &Checked, origin: Value) -> Result<VersionRecord, StoreError> {
    one(store, checked.adopt(origin, VersionState::Active, Expected::Any)).await
}

async fn one(store: &Store, adopt: Adopt) -> Result<VersionRecord, StoreError> {
    let actor = actor(&adopt.new.origin);
    let id = adopt.new.id.clone();
    let adopted = store.adopt(&[adopt], &actor).await?.pop();
    adopted.map(|Adopted { version, .. }| version).ok_or(StoreError::NoVersion(id))
}

/// Who stands behind an origin, as audit rows name them.
pub fn actor(origin: &Value) -> String {
    let text = |key: &str| origin.get(key).and_then(Value::as_str);
    match (text("from"), text("by").or_else(|| text("file"))) {
        (Some(from), Some(by)) => format!("{from}:{by}"),
        (Some(from), None) => from.to_owned(),
        (None, _) => "unknown".to_owned(),
    }
}

/// The finding that a definition stands under another name than the one it gives itself.
pub fn misnamed(compiled: &Compiled, name: &str) -> Option<Diagnostic> {
    let own = &compiled.pipeline.pipeline;
    (own != name).then(|| {
        let place = match compiled.places.of("pipeline") {
            Place { line: 0, .. } => Place::default(),
            place => place,
        };
        Diagnostic::error(
            tm09::MISNAMED,
            place,
            "pipeline",
            format!("the definition calls itself `{own}`, not `{name}`"),
        )
        .help("use the same name in both places")
    })
}

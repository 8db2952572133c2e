//! From a definition's text to an active version: read, prove, save, activate.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill_connectors::Connections;
use tidemill_dag::codes::tm09;
use tidemill_dag::compile::{self, Compiled, Known, KnownConnection};
use tidemill_dag::diagnostic::{Diagnostic, Place};
use tidemill_dag::spec::{Defaults, Param, ParamType, Pipeline};
use tidemill_dag::template::{Context, Interval, RunFacts};
use tidemill_dag::time::Timestamp;
use tidemill_engine::{Engine, Proof};
use tidemill_store::{NewVersion, Store, StoreError, VersionRecord};

/// Checks definitions against what a project has.
#[derive(Debug)]
pub struct Workbench {
    /// The project's connections.
    pub connections: Connections,
    /// The days of the project's calendars, by name.
    pub calendars: BTreeMap<String, Vec<String>>,
    /// The project's settings for tasks that do not say otherwise.
    pub defaults: Defaults,
    /// Proves SQL.
    pub engine: Engine,
}

/// A definition that was read and proved.
#[derive(Debug)]
pub struct Checked {
    /// The definition and its plan.
    pub compiled: Compiled,
    /// Its types, lineage and pushdown.
    pub proof: Proof,
    /// The text as it was written.
    pub source: String,
}

impl Workbench {
    /// The names of the connections, without a look at their tables.
    pub fn names(&self) -> Known {
        let kind = |(name, c): (&String, &std::sync::Arc<dyn tidemill_connectors::Connection>)| {
            (name.clone(), KnownConnection { kind: c.kind().to_owned(), tables: None })
        };
        Known { connections: self.connections.0.iter().map(kind).collect(), calendars: self.calendars.clone() }
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
        let compiled = self.read(bytes, &known)?;
        let proof = self.prove(&compiled).await?;
        Ok(Checked { compiled, proof, source: String::from_utf8_lossy(bytes).into_owned() })
    }

    /// Proves a definition that was read.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub async fn prove(&self, compiled: &Compiled) -> Result<Proof, Vec<Diagnostic>> {
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

/// Saves a version; it is not active yet.
///
/// # Errors
/// The state failed.
pub async fn save(store: &Store, checked: &Checked, origin: Value) -> Result<VersionRecord, StoreError> {
    let definition = serde_json::to_value(&checked.compiled.pipeline).unwrap_or_default();
    let new = NewVersion {
        pipeline: checked.compiled.pipeline.pipeline.clone(),
        id: checked.compiled.version.clone(),
        source: checked.source.clone(),
        definition,
        origin,
    };
    store.save_version(new).await
}

/// Saves a version and makes it the one that schedules and bare names run.
///
/// # Errors
/// The state failed.
pub async fn apply(store: &Store, checked: &Checked, origin: Value) -> Result<VersionRecord, StoreError> {
    let version = save(store, checked, origin).await?;
    store.activate(&version.pipeline, &version.id).await?;
    Ok(version)
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

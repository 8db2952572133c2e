//! Answers of earlier requests. Exact first: a hash over all that changes the right answer. Then near requests, which are candidates
//! only: one is served if its similarity is above the bound of its embedding *and* the guard finds no difference; otherwise it is
//! offered as an example.
//!
//! Nothing is kept without a namespace, with a temperature above 0 (unless the caller declares the request idempotent), or from an
//! answer that was cut, refused or calls tools. The cache stands after privacy and knows masked texts only.

mod agree;
pub mod bound;
mod flight;
mod key;
mod lookup;
mod memory;
mod remote;
mod semantic;
mod stats;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::codes::tm11;
use tidemill_dag::time::{Chance, Clock, Span};

pub use agree::agree;
pub use key::{Key, Keys};
pub use stats::CacheStats;

use crate::embed::{Embedding, EmbeddingSection};
use crate::error::GatewayError;
use crate::secret::Place;

/// Where answers are kept, for how long, and what near requests get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSection {
    /// Whether answers are kept at all. Requests without a namespace never are.
    pub enabled: bool,
    /// How long an answer may be served.
    pub ttl: Span,
    /// At most so many answers in the memory of this process; the least recently used go first.
    pub max_entries: usize,
    /// At most so many bytes in memory, vectors included.
    pub max_bytes: usize,
    /// The address of Redis, as `redis://127.0.0.1:6379` or `${env:REDIS_URL}`: gateways that name the same one share their
    /// answers. Unset: in memory only.
    pub redis: Option<Place>,
    /// Comes before every key in Redis.
    pub prefix: String,
    /// Raise it to forget everything that was kept before.
    pub epoch: u32,
    /// How long a request waits for the answer to an identical one that is on its way, before it goes out itself.
    pub wait: Span,
    /// What near requests get.
    pub semantic: SemanticSection,
}

/// What near requests get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SemanticSection {
    /// Whether a near request is answered from the cache, only given as an example, or not looked for.
    pub mode: SemanticMode,
    /// What turns requests into vectors.
    pub embedding: EmbeddingSection,
    /// Similarity from which an earlier request is a candidate.
    pub retrieve_above: f32,
    /// Similarity from which a candidate may be served. Unset: as measured for the embedding; an embedding without a
    /// measurement serves nothing.
    pub serve_above: Option<f32>,
    /// The name of the embedding that `serve_above` was measured with.
    pub calibrated_for: Option<String>,
    /// Share of served near requests that also go to the provider, to compare.
    pub shadow: f64,
    /// The most wrong answers among them; beyond it a namespace is no longer served near requests.
    pub max_wrong: f64,
}

/// What near requests get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SemanticMode {
    /// Nothing.
    Off,
    /// The earlier answer goes to the model as an example.
    Examples,
    /// The earlier answer, where bound and guard agree. Otherwise the request goes out as it came.
    #[default]
    Serve,
    /// The earlier answer, where bound and guard agree; otherwise it goes to the model as an example.
    Both,
}

impl SemanticMode {
    const fn serves(self) -> bool {
        matches!(self, Self::Serve | Self::Both)
    }

    const fn shows_examples(self) -> bool {
        matches!(self, Self::Examples | Self::Both)
    }
}

impl Default for CacheSection {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl: Span(Duration::from_secs(24 * 3600)),
            max_entries: 10_000,
            max_bytes: 8 << 20,
            redis: None,
            prefix: "tidemill:cache".to_owned(),
            epoch: 0,
            wait: Span(Duration::from_secs(30)),
            semantic: SemanticSection::default(),
        }
    }
}

impl Default for SemanticSection {
    fn default() -> Self {
        Self {
            mode: SemanticMode::default(),
            embedding: EmbeddingSection::default(),
            retrieve_above: 0.85,
            serve_above: None,
            calibrated_for: None,
            shadow: 0.02,
            max_wrong: 0.02,
        }
    }
}

/// The cache of one gateway.
pub struct AnswerCache {
    section: CacheSection,
    embedding: Embedding,
    /// The name of the embedding in use, for headers; `off` where near requests are not looked for.
    embedding_name: Arc<str>,
    /// From here on candidates are served; `None`: never.
    serve_above: Option<f32>,
    memory: Mutex<memory::Memory>,
    index: Mutex<semantic::Index>,
    bounds: Mutex<bound::Bounds>,
    flights: Arc<flight::Flights>,
    remote: Option<remote::Remote>,
    stats: stats::Counters,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
}

impl AnswerCache {
    /// Reads the embedding and the address of Redis; connects on first use.
    ///
    /// # Errors
    /// The embedding cannot be used, the bound belongs to another one, or a setting is out of range.
    pub fn open(section: CacheSection, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Result<Self, GatewayError> {
        check(&section)?;
        let embedding =
            if section.semantic.mode == SemanticMode::Off { Embedding::Ngrams } else { open(&section.semantic)? };
        let serve_above = serve_above(&section.semantic, &embedding)?;
        let remote = section
            .redis
            .as_ref()
            .map(|place| remote::Remote::new(place, &section.prefix, embedding.name()))
            .transpose()?;
        Ok(Self {
            memory: Mutex::new(memory::Memory::new(section.max_entries, section.max_bytes / 4 * 3)),
            index: Mutex::new(semantic::Index::new(section.max_bytes / 4)),
            bounds: Mutex::new(bound::Bounds::new(serve_above.unwrap_or(1.0), section.semantic.max_wrong)),
            flights: Arc::default(),
            stats: stats::Counters::default(),
            embedding_name: if section.semantic.mode == SemanticMode::Off { "off" } else { embedding.name() }.into(),
            embedding,
            serve_above,
            remote,
            section,
            clock,
            chance,
        })
    }

    fn counted(&self) -> CacheStats {
        let (entries, bytes, evicted) = {
            let memory = lock(&self.memory);
            (memory.len(), memory.bytes(), memory.evicted())
        };
        self.stats.snapshot(entries, bytes + lock(&self.index).bytes(), evicted, lock(&self.bounds).tightened())
    }
}

/// A lock that a failed thread left behind guards data that is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn open(section: &SemanticSection) -> Result<Embedding, GatewayError> {
    Embedding::open(&section.embedding)
        .map_err(|error| GatewayError::Cache { reason: error.to_string(), code: error.code() })
}

fn check(section: &CacheSection) -> Result<(), GatewayError> {
    let wrong = |path: &str, reason: &str| {
        Err(GatewayError::Config { path: format!("gateway.cache.{path}"), reason: reason.to_owned() })
    };
    let semantic = &section.semantic;
    if section.ttl.0.is_zero() {
        return wrong("ttl", "an answer that may not be served at all cannot be kept");
    }
    if !(0.0..=1.0).contains(&semantic.retrieve_above) {
        return wrong("semantic.retrieve_above", "a similarity lies between 0 and 1");
    }
    if semantic.serve_above.is_some_and(|bound| !(semantic.retrieve_above..=1.0).contains(&bound)) {
        return wrong("semantic.serve_above", "it lies between `retrieve_above` and 1");
    }
    if !(0.0..=1.0).contains(&semantic.shadow) {
        return wrong("semantic.shadow", "a share lies between 0 and 1");
    }
    if !(0.0..=1.0).contains(&semantic.max_wrong) {
        return wrong("semantic.max_wrong", "a share lies between 0 and 1");
    }
    Ok(())
}

/// The bound to serve from: the measured one, or the operator's if it says which embedding it was measured with.
fn serve_above(section: &SemanticSection, embedding: &Embedding) -> Result<Option<f32>, GatewayError> {
    if !section.mode.serves() {
        return Ok(None);
    }
    match (section.serve_above, section.calibrated_for.as_deref()) {
        (None, None) => Ok(embedding.calibrated()),
        (Some(bound), Some(name)) if name == embedding.name() => Ok(Some(bound)),
        (_, name) => Err(GatewayError::Cache {
            reason: format!(
                "`cache.semantic.serve_above` needs `calibrated_for: {}`, the embedding in use; it says {}",
                embedding.name(),
                name.unwrap_or("nothing")
            ),
            code: tm11::UNCALIBRATED,
        }),
    }
}

#[cfg(test)]
mod tests;

//! Compiled definitions by version, so that a task costs no compilation.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tidemill_connectors::Connections;
use tidemill_dag::{
    compile::{Compiled, Known, KnownConnection, from_pipeline},
    id::VersionId,
    spec::{Limits, Pipeline, TaskKind},
};
use tidemill_store::Store;
use tokio::sync::OnceCell;

use crate::error::TaskError;

/// Versions kept.
const KEPT: usize = 64;

/// A version, ready to run.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The definition and its plan.
    pub compiled: Compiled,
    /// The limits of its Python tasks, each once.
    python: Vec<Limits>,
    warmed: AtomicBool,
}

impl Loaded {
    /// Calls `warm` for the limits of every Python task, the first time only.
    pub fn warm(&self, warm: impl Fn(&Limits)) {
        if !self.python.is_empty() && !self.warmed.swap(true, Ordering::Relaxed) {
            self.python.iter().for_each(warm);
        }
    }
}

type Slot = Arc<OnceCell<Arc<Loaded>>>;

/// The cache.
pub(crate) struct Plans {
    known: Known,
    slots: Mutex<VecDeque<(VersionId, Slot)>>,
}

impl Plans {
    /// For definitions that use these connections.
    pub fn new(connections: &Connections) -> Self {
        let known = |connection: &Arc<dyn tidemill_connectors::Connection>| KnownConnection {
            kind: connection.kind().to_owned(),
            // The definition was checked against the tables when it was applied.
            tables: None,
        };
        let connections: BTreeMap<_, _> =
            connections.0.iter().map(|(name, connection)| (name.clone(), known(connection))).collect();
        Self { known: Known { connections, ..Known::default() }, slots: Mutex::default() }
    }

    fn slot(&self, version: &VersionId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = slots.iter().position(|(id, _)| id == version) {
            // The most recently used stands last.
            if let Some(entry) = slots.remove(at) {
                let slot = Arc::clone(&entry.1);
                slots.push_back(entry);
                return slot;
            }
        }
        if slots.len() >= KEPT {
            slots.pop_front();
        }
        let slot = Slot::default();
        slots.push_back((version.clone(), Arc::clone(&slot)));
        slot
    }

    /// The version, from the cache or from the store.
    ///
    /// # Errors
    /// When the store fails, or the definition does not fit this program.
    pub async fn get(&self, version: &VersionId, store: &Store) -> Result<Arc<Loaded>, TaskError> {
        let slot = self.slot(version);
        slot.get_or_try_init(|| self.load(version, store)).await.map(Arc::clone)
    }

    async fn load(&self, version: &VersionId, store: &Store) -> Result<Arc<Loaded>, TaskError> {
        let record = store.version(version).await?;
        let unusable = |problem: String| TaskError::Definition { version: version.to_string(), problem };
        let pipeline: Pipeline =
            serde_json::from_value(record.definition).map_err(|error| unusable(error.to_string()))?;
        let compiled = from_pipeline(pipeline, &self.known).map_err(|wrong| {
            let texts: Vec<String> = wrong.iter().map(|d| format!("{}: {}", d.path, d.message)).collect();
            unusable(texts.join("; "))
        })?;
        let mut python: Vec<Limits> = Vec::new();
        for task in &compiled.plan.tasks {
            if let TaskKind::Python(body) = &task.task.kind
                && !python.contains(&body.limits)
            {
                python.push(body.limits.clone());
            }
        }
        Ok(Arc::new(Loaded { compiled, python, warmed: AtomicBool::new(false) }))
    }
}

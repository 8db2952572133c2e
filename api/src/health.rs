//! What is well and what is not, component by component.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tidemill_dag::time::{Clock, Timestamp};
use tidemill_store::Store;
use tidemill_store::blobs::Blobs;
use utoipa::ToSchema;

use crate::explain::ago;

/// How a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It does what it should.
    Healthy,
    /// It works, but not as it should.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// What a look at a component gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// Why, where it is not healthy; what was seen, where it is.
    pub reason: Option<String>,
}

impl Finding {
    /// All is well.
    pub const fn healthy() -> Self {
        Self { level: Level::Healthy, reason: None }
    }

    /// It works, but not as it should.
    pub fn degraded(reason: impl Into<String>) -> Self {
        Self { level: Level::Degraded, reason: Some(reason.into()) }
    }

    /// It does not work.
    pub fn unhealthy(reason: impl Into<String>) -> Self {
        Self { level: Level::Unhealthy, reason: Some(reason.into()) }
    }
}

/// Looks at one component. A look takes at most [`PATIENCE`].
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// The component.
    fn name(&self) -> &'static str;
    /// How it is now.
    async fn look(&self) -> Finding;
}

/// A probe that takes longer finds the component unhealthy.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// One component as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// How it is.
    pub status: Level,
    /// Why, where it is not healthy.
    pub reason: Option<String>,
    /// Since when it was seen to be so.
    #[schema(format = DateTime)]
    pub since: String,
}

/// All components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthView {
    /// The worst of them.
    pub status: Level,
    /// Each of them.
    pub components: Vec<Component>,
}

/// The probes of a process, and since when each component is as it is.
#[derive(Default)]
pub struct Health {
    probes: Vec<Arc<dyn Probe>>,
    since: Mutex<BTreeMap<&'static str, (Level, Timestamp)>>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.probes.iter().map(|probe| probe.name())).finish()
    }
}

impl Health {
    /// What every process with an API depends on: the database, the data sets, and that somebody moves runs on.
    pub fn new(store: &Store, blobs: &Arc<dyn Blobs>, clock: &Arc<dyn Clock>) -> Self {
        Self::default()
            .with(Database { store: store.clone() })
            .with(DataSets { blobs: blobs.clone() })
            .with(Progress { store: store.clone(), clock: clock.clone() })
    }

    /// The same with one more component.
    #[must_use]
    pub fn with(mut self, probe: impl Probe) -> Self {
        self.probes.push(Arc::new(probe));
        self
    }

    /// Looks at every component at once.
    pub async fn look(&self, clock: &dyn Clock) -> HealthView {
        let looks = self.probes.iter().map(|probe| async {
            let found = tokio::time::timeout(PATIENCE, probe.look()).await;
            (probe.name(), found.unwrap_or_else(|_| Finding::unhealthy("it does not answer")))
        });
        let found = futures::future::join_all(looks).await;
        let now = clock.now();
        let mut memory = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let components: Vec<Component> = found
            .into_iter()
            .map(|(name, finding)| {
                let known = memory.entry(name).or_insert((finding.level, now));
                if known.0 != finding.level {
                    *known = (finding.level, now);
                }
                let since = known.1.to_string();
                Component { name: name.to_owned(), status: finding.level, reason: finding.reason, since }
            })
            .collect();
        let status = components.iter().map(|component| component.status).max().unwrap_or(Level::Healthy);
        HealthView { status, components }
    }
}

/// The database answers, and soon.
struct Database {
    store: Store,
}

#[async_trait]
impl Probe for Database {
    fn name(&self) -> &'static str {
        "database"
    }

    async fn look(&self) -> Finding {
        match self.store.ping().await {
            Err(error) => Finding::unhealthy(error.to_string()),
            Ok(latency) if latency > Duration::from_secs(1) => {
                Finding::degraded(format!("it takes {} ms to answer", latency.as_millis()))
            }
            Ok(_) => Finding::healthy(),
        }
    }
}

/// Data sets can be written.
struct DataSets {
    blobs: Arc<dyn Blobs>,
}

/// What a probe writes, and takes away again.
pub const PROBE: &str = "health/probe";

#[async_trait]
impl Probe for DataSets {
    fn name(&self) -> &'static str {
        "data_sets"
    }

    async fn look(&self) -> Finding {
        let wrote = async {
            self.blobs.put(PROBE, "ok".into()).await?;
            self.blobs.read_range(PROBE, 0..2).await?;
            self.blobs.delete_prefix(PROBE).await
        };
        match wrote.await {
            Ok(()) => Finding::healthy(),
            Err(error) => Finding::unhealthy(error.to_string()),
        }
    }
}

/// Somebody sweeps, and somebody takes what is ready.
struct Progress {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// What waits for longer than this for the sweep or for a worker is worth a word.
const SLOW: Duration = Duration::from_secs(30);

#[async_trait]
impl Probe for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    async fn look(&self) -> Finding {
        let pulse = match self.store.pulse().await {
            Ok(pulse) => pulse,
            Err(error) => return Finding::unhealthy(error.to_string()),
        };
        let now = self.clock.now();
        let late = |since: Option<Timestamp>| since.filter(|since| now.since(*since) > SLOW);
        if let Some(since) = late(pulse.overdue_since) {
            let ago = ago(since, now);
            return Finding::unhealthy(format!("nobody sweeps: something is overdue for {ago}; start a scheduler"));
        }
        if let Some(since) = late(pulse.ready_since) {
            let (ready, ago) = (pulse.ready, ago(since, now));
            return Finding::degraded(format!("{ready} tasks are ready, the first for {ago}; start more workers"));
        }
        Finding::healthy()
    }
}

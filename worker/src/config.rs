//! How a worker is set up.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tidemill_connectors::Connections;
use tidemill_dag::{id::WorkerId, time::Clock};
use tidemill_engine::Engine;
use tidemill_store::{DEFAULT_QUEUE, Store, Transport, blobs::Blobs};

/// Settings of one worker process.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// How it names itself in leases: unique per process start.
    pub id: WorkerId,
    /// Tasks at the same time.
    pub slots: usize,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// How long a task stays its own without a heartbeat.
    pub lease: Duration,
    /// Its own files: scratch folders of attempts.
    pub data_dir: PathBuf,
    /// Where scripts beside the definitions are, and where shell tasks start.
    pub project_dir: PathBuf,
    /// The Python interpreter: a path, or a name on `PATH`.
    pub python: PathBuf,
    /// Tickets taken beyond the free slots, so that the next task is at hand when one ends. Other workers do not see them.
    pub prefetch: usize,
    /// The machine's name, for people.
    pub host: String,
    /// What the configuration says about this worker, for people.
    pub labels: BTreeMap<String, String>,
    /// The longest list that `for_each` may give.
    pub max_items: usize,
    /// On shutdown, how long running tasks may take to end before they are stopped and given back.
    pub drain: Duration,
}

impl WorkerConfig {
    /// The defaults: four slots per core but at least eight, the default queue, a lease of six seconds.
    pub fn new(id: WorkerId, data_dir: impl Into<PathBuf>, project_dir: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            id,
            slots: (cores * 4).max(8),
            queues: vec![DEFAULT_QUEUE.to_owned()],
            lease: Duration::from_secs(6),
            data_dir: data_dir.into(),
            project_dir: project_dir.into(),
            python: "python3".into(),
            prefetch: 0,
            host: "localhost".to_owned(),
            labels: BTreeMap::new(),
            max_items: 10_000,
            drain: Duration::from_secs(10),
        }
    }
}

/// The rooms that a worker works with.
#[derive(Clone)]
pub struct Wiring {
    /// The state, and the one door.
    pub store: Store,
    /// Where tickets come from.
    pub transport: Arc<dyn Transport>,
    /// What computes.
    pub engine: Engine,
    /// Users' systems.
    pub connections: Connections,
    /// Where data sets are kept.
    pub blobs: Arc<dyn Blobs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

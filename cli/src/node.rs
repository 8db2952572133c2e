//! One process as a whole platform: state, scheduler, worker. Several of them over one state work side by side.

use std::sync::Arc;
use std::time::Duration;

use tidemill_api::Workbench;
use tidemill_scheduler::presence::Presence;
use tidemill_scheduler::{Scheduler, Settings};
use tidemill_store::Store;
use tidemill_store::blobs::{Blobs, Folder};
use tidemill_worker::{Wiring, Worker, WorkerConfig};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::error::CliError;
use crate::project::Project;

/// What a process takes upon itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// To drive one run; schedules are left alone.
    Drive,
    /// To serve: schedules fire here.
    Serve,
}

/// A running platform.
pub struct Node {
    /// The state.
    pub store: Store,
    /// Rung to have the scheduler look at once.
    pub bell: Arc<Notify>,
    shutdown: CancellationToken,
    scheduler: JoinHandle<()>,
    worker: JoinHandle<()>,
    /// Let go of last: until then, this process counts as alive.
    _presence: Arc<Presence>,
}

fn machine(doing: &str) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> CliError {
    move |source| CliError::Machine { doing: doing.to_owned(), source }
}

impl Node {
    /// Opens the state and starts scheduler and worker.
    pub async fn start(project: &Project, workbench: &Workbench, role: Role) -> Result<Self, CliError> {
        let (store, transport) = project.open().await?;
        let me = clock::process_name();
        let presence = Presence::announce(&project.state.workers, me.clone())
            .map_err(|e| machine("show that this process is alive")(e.into()))?;
        let presence = Arc::new(presence);
        let scheduler = Scheduler::new(
            store.clone(),
            Settings {
                clock: clock::clock(),
                chance: clock::chance(),
                known: workbench.names(),
                presence: Some(presence.clone()),
                crons: role == Role::Serve,
                period: Duration::from_secs(1),
            },
        );
        let section = &project.config.worker;
        let config = WorkerConfig {
            slots: section.effective_slots(),
            lease: section.lease.0,
            python: section.python.clone().into(),
            drain: match role {
                Role::Drive => Duration::from_secs(1),
                Role::Serve => Duration::from_secs(10),
            },
            ..WorkerConfig::new(me, &project.state.dir, &project.root)
        };
        let wiring = Wiring {
            store: store.clone(),
            transport,
            engine: workbench.engine.clone(),
            connections: workbench.connections.clone(),
            blobs: blobs(project).await?,
            clock: clock::clock(),
        };
        let worker = Worker::new(config, wiring).map_err(|e| machine("start the worker")(e.into()))?;
        let shutdown = CancellationToken::new();
        Ok(Self {
            bell: scheduler.bell(),
            scheduler: tokio::spawn(scheduler.run(shutdown.clone())),
            worker: tokio::spawn(worker.run(shutdown.clone())),
            store,
            shutdown,
            _presence: presence,
        })
    }

    /// The part that stopped although nobody asked it to.
    pub fn stopped(&self) -> Option<CliError> {
        let part = match (self.worker.is_finished(), self.scheduler.is_finished()) {
            (false, false) => return None,
            (true, _) => "the worker",
            (false, true) => "the scheduler",
        };
        Some(CliError::Stopped { part })
    }

    /// Stops: what runs is given back, and somebody else may start it again.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let _ = self.worker.await;
        let _ = self.scheduler.await;
    }
}

/// Where data sets between tasks are kept.
pub async fn blobs(project: &Project) -> Result<Arc<dyn Blobs>, CliError> {
    let folder =
        Folder::open(&project.state.blobs).await.map_err(|e| machine("open the folder of data sets")(e.into()))?;
    Ok(Arc::new(folder))
}

//! One process as a whole platform: state, scheduler, worker. Several of them over one state work side by side.

use std::sync::Arc;
use std::time::Duration;

use tidemill_api::Workbench;
use tidemill_dag::id::WorkerId;
use tidemill_scheduler::presence::Presence;
use tidemill_scheduler::{Collector, Scheduler, Settings};
use tidemill_store::blobs::{Blobs, Folder, S3};
use tidemill_store::{NewPool, Store, StoreError};
use tidemill_worker::{Wiring, Worker, WorkerConfig};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::BlobsKind;
use crate::drive::Signals;
use crate::error::CliError;
use crate::outside::Outside;
use crate::project::Project;

/// What a process takes upon itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// To drive one run. Schedules are left alone; in a cluster, others do the work.
    Drive,
    /// Everything.
    Serve,
    /// To run tasks.
    Worker,
    /// To fire schedules and, if no other process leads, to sweep.
    Scheduler,
    /// To answer requests.
    Server,
}

impl Role {
    const fn works(self, cluster: bool) -> bool {
        match self {
            Self::Serve | Self::Worker => true,
            Self::Drive => !cluster,
            Self::Scheduler | Self::Server => false,
        }
    }

    const fn schedules(self, cluster: bool) -> bool {
        match self {
            Self::Serve | Self::Scheduler => true,
            Self::Drive => !cluster,
            Self::Worker | Self::Server => false,
        }
    }
}

/// A running platform, or a part of one.
pub struct Node {
    /// The state.
    pub store: Store,
    /// How this process names itself in leases.
    pub id: WorkerId,
    /// Rung to have the scheduler of this process look at once.
    pub bell: Arc<Notify>,
    shutdown: CancellationToken,
    hurry: CancellationToken,
    scheduler: Option<JoinHandle<()>>,
    worker: Option<JoinHandle<()>>,
    collector: Option<JoinHandle<()>>,
    outside: Option<Outside>,
    /// Let go of last: until then, this process counts as alive.
    _presence: Arc<Presence>,
}

fn machine(doing: &str) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> CliError {
    move |source| CliError::Machine { doing: doing.to_owned(), source }
}

impl Node {
    /// Opens the state and starts what the role asks for.
    pub async fn start(project: &Project, workbench: &Workbench, role: Role) -> Result<Self, CliError> {
        let cluster = project.cluster()?.is_ok();
        let (store, transport) = project.open().await?;
        for (name, pool) in &project.config.pools {
            let (name, description) = (name.clone(), pool.description.clone());
            store.set_pool(&NewPool { name, slots: pool.slots, description }).await?;
        }
        let me = clock::process_name();
        // Locks prove a death only to processes of the same machine.
        let presence = Presence::announce(&project.state.workers.join(clock::host()), me.clone())
            .map_err(|e| machine("show that this process is alive")(e.into()))?;
        let presence = Arc::new(presence);
        let shutdown = CancellationToken::new();
        let (mut bell, mut scheduler, mut worker) = (Arc::default(), None, None);
        let blobs = blobs_to_write(project, &store).await?;
        let mut hurry = CancellationToken::new();
        if role.schedules(cluster) {
            let part = Scheduler::new(
                store.clone(),
                Settings {
                    clock: store.clock(),
                    chance: clock::chance(),
                    known: workbench.names(),
                    presence: Some(presence.clone()),
                    crons: role != Role::Drive,
                    period: Duration::from_secs(1),
                },
            );
            bell = part.bell();
            scheduler = Some(tokio::spawn(part.run(shutdown.clone())));
        }
        if role.works(cluster) {
            let wiring = Wiring {
                store: store.clone(),
                transport,
                engine: workbench.engine.clone(),
                connections: workbench.connections.clone(),
                blobs: blobs.clone(),
                clock: store.clock(),
            };
            let part = Worker::new(worker_config(project, role, me.clone()), wiring)
                .map_err(|e| machine("start the worker")(e.into()))?;
            hurry = part.hurry();
            worker = Some(tokio::spawn(part.run(shutdown.clone())));
        }
        let collector = (role.schedules(cluster) && role != Role::Drive).then(|| {
            let retention = &project.config.retention;
            let (retention, every) = (retention.lengths(), retention.every.0);
            tokio::spawn(Collector { store: store.clone(), blobs, retention, every }.run(shutdown.clone()))
        });
        let outside = match role {
            Role::Drive => None,
            Role::Serve | Role::Worker | Role::Scheduler | Role::Server => {
                Some(Outside::start(project, (&store, &me), role.schedules(cluster), &shutdown).await?)
            }
        };
        Ok(Self { id: me, bell, scheduler, worker, collector, outside, store, shutdown, hurry, _presence: presence })
    }

    /// `/metrics` of this process.
    pub fn metrics(&self) -> axum::Router {
        match &self.outside {
            Some(outside) => crate::outside::router(self.store.clone(), outside.metrics.clone()),
            None => axum::Router::new(),
        }
    }

    /// The part that stopped although nobody asked it to.
    pub fn stopped(&self) -> Option<CliError> {
        let ended = |part: &Option<JoinHandle<()>>| part.as_ref().is_some_and(JoinHandle::is_finished);
        let part = match (ended(&self.worker), ended(&self.scheduler)) {
            (false, false) => return None,
            (true, _) => "the worker",
            (false, true) => "the scheduler",
        };
        Some(CliError::Stopped { part })
    }

    /// Until a signal comes, or a part stops by itself.
    pub async fn until_told(&self, signals: &mut Signals) -> Option<CliError> {
        loop {
            tokio::select! {
                () = signals.next() => return None,
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    if let Some(error) = self.stopped() {
                        return Some(error);
                    }
                }
            }
        }
    }

    /// Stops: tasks may end within the time of grace, the rest is given back, and somebody else may start it again.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for part in [self.worker, self.scheduler, self.collector].into_iter().flatten() {
            let _ = part.await;
        }
        if let Some(outside) = self.outside {
            outside.stop().await;
        }
        self.store.resign().await;
    }

    /// The same; another signal ends the time of grace.
    pub async fn drain(self, signals: &mut Signals) {
        let hurry = self.hurry.clone();
        let mut stopped = std::pin::pin!(self.stop());
        loop {
            tokio::select! {
                () = &mut stopped => return,
                () = signals.next() => hurry.cancel(),
            }
        }
    }
}

fn worker_config(project: &Project, role: Role, me: WorkerId) -> WorkerConfig {
    let section = &project.config.worker;
    WorkerConfig {
        slots: section.effective_slots(),
        queues: section.queues.clone(),
        prefetch: section.prefetch,
        labels: section.labels.clone(),
        host: clock::host(),
        lease: section.lease.0,
        python: section.python.clone().into(),
        max_items: section.max_items,
        drain: if role == Role::Drive { Duration::from_secs(1) } else { section.grace.0 },
        ..WorkerConfig::new(me, &project.state.dir, &project.root)
    }
}

/// Where data sets between tasks are kept.
pub async fn blobs(project: &Project) -> Result<Arc<dyn Blobs>, CliError> {
    let section = &project.config.blobs;
    match section.kind {
        BlobsKind::S3 => Ok(Arc::new(S3::open(section.s3()?).await?)),
        BlobsKind::Folder => {
            let path =
                section.path.as_ref().map_or_else(|| project.state.blobs.clone(), |path| project.root.join(path));
            let folder = Folder::open(path).await.map_err(|e| machine("open the folder of data sets")(e.into()))?;
            Ok(Arc::new(folder))
        }
    }
}

/// The same, for a process that writes there: what another installation writes to would lose data.
async fn blobs_to_write(project: &Project, store: &Store) -> Result<Arc<dyn Blobs>, CliError> {
    let blobs = blobs(project).await?;
    match store.own_place(&*blobs).await {
        // Whoever loses a local database begins anew beside its old files; only their removal asks for more.
        Err(StoreError::PlaceTaken { owner }) if project.config.blobs.kind == BlobsKind::Folder => {
            tracing::warn!(owner, "the folder of data sets was another installation's; nothing is removed there");
        }
        owned => owned?,
    }
    Ok(blobs)
}

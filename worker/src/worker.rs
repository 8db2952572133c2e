//! The loop: take tickets, claim, hand on, report.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tidemill_dag::id::Ticket;
use tidemill_store::{Claimed, Outcome, Report, RunNext, Verdict};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    attempt,
    config::{Wiring, WorkerConfig},
    error::chain,
    leases::{Lease, Leases},
    logs::LogWriter,
    mapped::Lists,
    plans::Plans,
    presence::Presence,
    process::Starter,
    python::Pool,
    queue,
    scratch::own_folder,
};

/// The first and the longest pause after the store or the transport failed.
pub(crate) const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its folder cannot be used.
    #[error("the worker cannot use its folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The machine refuses a thread.
    #[error("the worker cannot start a thread")]
    Thread(#[source] io::Error),
    /// The HTTP client cannot be made.
    #[error("the worker cannot make HTTP calls")]
    Http(#[source] reqwest::Error),
}

/// One worker process' work.
pub struct Worker {
    site: Arc<Site>,
}

/// What all attempts of a worker share.
pub(crate) struct Site {
    pub config: WorkerConfig,
    pub wiring: Wiring,
    pub plans: Plans,
    pub python: Pool,
    pub starter: Starter,
    /// This process' folder for attempts.
    pub scratch: PathBuf,
    pub http: reqwest::Client,
    pub logs: LogWriter,
    /// What stands before the items that run here.
    pub lists: Lists,
    leases: Leases,
    presence: Presence,
    /// Tickets that were taken and whose slot is not free yet.
    ahead: Mutex<VecDeque<Ticket>>,
    /// Whether the last look found as many tickets as it wanted: there may be more.
    plenty: AtomicBool,
    /// Cancelled when nothing new is to be begun.
    stopping: CancellationToken,
    /// Cancelled when what still runs is to be stopped and given back.
    give_back: CancellationToken,
}

struct Job {
    claimed: Claimed,
    lease: Lease,
    _slot: OwnedSemaphorePermit,
}

impl queue::Job for Job {
    fn id(&self) -> String {
        self.claimed.ticket.to_string()
    }
}

impl Worker {
    /// Sets a worker up; nothing runs yet.
    ///
    /// # Errors
    /// When the machine refuses what it needs.
    pub fn new(config: WorkerConfig, wiring: Wiring) -> Result<Self, StartError> {
        // Attempts must not depend on where the process stands.
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| StartError::Folder { path: path.to_owned(), source })
        };
        let config = WorkerConfig {
            data_dir: absolute(&config.data_dir)?,
            project_dir: absolute(&config.project_dir)?,
            slots: config.slots.max(1),
            ..config
        };
        let root = config.data_dir.join("scratch");
        let scratch = own_folder(&root).map_err(|source| StartError::Folder { path: root, source })?;
        let starter = Starter::new().map_err(StartError::Thread)?;
        let python = Pool::new(starter.clone(), config.python.clone(), scratch.clone(), config.slots);
        let http = crate::kinds::http_client().map_err(StartError::Http)?;
        let site = Site {
            plans: Plans::new(&wiring.connections),
            python,
            starter,
            scratch,
            http,
            logs: LogWriter::new(Arc::clone(&wiring.clock)),
            lists: Lists::default(),
            leases: Leases::default(),
            presence: Presence::of(&config),
            ahead: Mutex::default(),
            plenty: AtomicBool::new(false),
            stopping: CancellationToken::new(),
            give_back: CancellationToken::new(),
            config,
            wiring,
        };
        Ok(Self { site: Arc::new(site) })
    }

    /// Cancelled, it has what runs stopped and given back at once, without the time that draining may take.
    pub fn hurry(&self) -> CancellationToken {
        self.site.give_back.clone()
    }

    /// Works until `shutdown` is cancelled and everything running has ended or was given back.
    pub async fn run(self, shutdown: CancellationToken) {
        let site = self.site;
        let slots = Arc::new(Semaphore::new(site.config.slots));
        let all_slots = u32::try_from(site.config.slots).unwrap_or(u32::MAX);
        let (feed, jobs) = queue::channel();
        let ended = CancellationToken::new();
        let handler = {
            let site = Arc::clone(&site);
            move |job: Job| {
                let site = Arc::clone(&site);
                async move { serve(&site, job).await }
            }
        };
        let queue = tokio::spawn(queue_run(site.config.id.to_string(), jobs, handler, ended.clone()));
        let beat = {
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                site.leases.keep(&site.wiring.store, &site.config.id, site.config.lease).await;
            })
        };
        let writer = {
            let site = Arc::clone(&site);
            tokio::spawn(async move { site.logs.run(&site.wiring.store).await })
        };
        let presence = {
            let site = Arc::clone(&site);
            tokio::spawn(async move { site.presence.keep(&site.wiring.store).await })
        };
        take_until(&site, &feed, &slots, &shutdown).await;
        drop(feed);
        site.stopping.cancel();
        site.presence.drains();
        let mut unused: Vec<Ticket> = site.ahead().drain(..).collect();
        unused.extend(site.wiring.transport.stop_taking().await);
        pass_on(&site, &unused).await;
        // Every slot free again: nothing runs any more.
        let drained = tokio::time::timeout(site.config.drain, slots.acquire_many(all_slots));
        let drained = tokio::select! {
            drained = drained => drained.is_ok(),
            () = site.give_back.cancelled() => false,
        };
        if !drained {
            tracing::info!("stopping what still runs and giving it back");
            site.give_back.cancel();
            let _ = tokio::time::timeout(site.config.lease, slots.acquire_many(all_slots)).await;
        }
        ended.cancel();
        let _ = tokio::time::timeout(site.config.lease, queue).await;
        site.logs.flush().await;
        for task in [beat, writer, presence] {
            task.abort();
        }
        site.presence.leave(&site.wiring.store).await;
        site.python.close();
    }
}

/// Tickets that were taken and will not be used here need not wait until they are missed.
async fn pass_on(site: &Site, unused: &[Ticket]) {
    if let Err(error) = site.wiring.store.pass_on(unused).await {
        tracing::info!(error = %chain(&error), "unused tickets are left to the sweep");
    }
}

/// Boxed, because the layers' types do not fit into a spawned block.
fn queue_run<H, F>(
    name: String,
    jobs: tokio::sync::mpsc::UnboundedReceiver<Job>,
    handler: H,
    ended: CancellationToken,
) -> futures::future::BoxFuture<'static, ()>
where
    H: Fn(Job) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Box::pin(async move { queue::run(&name, jobs, handler, ended).await })
}

impl Site {
    fn ahead(&self) -> MutexGuard<'_, VecDeque<Ticket>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes tickets, as many as slots are free and a few ahead, and claims what stands behind them.
async fn take_until(site: &Site, feed: &queue::Feed<Job>, slots: &Arc<Semaphore>, shutdown: &CancellationToken) {
    let mut pause = PAUSE.0;
    loop {
        let free = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            free = free_slots(slots) => free,
        };
        if site.ahead().is_empty() {
            let wanted = free.len() + site.config.prefetch;
            let taken = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                taken = site.wiring.transport.take(&site.config.queues, wanted) => taken,
            };
            match taken {
                Ok(tickets) => {
                    pause = PAUSE.0;
                    site.plenty.store(tickets.len() >= wanted, Ordering::Relaxed);
                    site.ahead().extend(tickets);
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "no tickets can be taken, trying again");
                    drop(free);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                    continue;
                }
            }
        }
        let tickets: Vec<Ticket> = {
            let mut ahead = site.ahead();
            let count = ahead.len().min(free.len());
            ahead.drain(..count).collect()
        };
        claim(site, feed, free, &tickets).await;
    }
}

/// Waits for one free slot and takes all there are.
async fn free_slots(slots: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    let mut free = Vec::new();
    if let Ok(first) = Arc::clone(slots).acquire_owned().await {
        free.push(first);
    }
    while let Ok(next) = Arc::clone(slots).try_acquire_owned() {
        free.push(next);
    }
    free
}

async fn claim(site: &Site, feed: &queue::Feed<Job>, mut free: Vec<OwnedSemaphorePermit>, tickets: &[Ticket]) {
    let mut pause = PAUSE.0;
    let deadline = Instant::now() + site.config.lease;
    let (claimed, since) = loop {
        let since = Instant::now();
        match site.wiring.store.claim(tickets, &site.config.id, site.config.lease).await {
            Ok(claimed) => break (claimed, since),
            Err(error) if Instant::now() < deadline => {
                tracing::warn!(error = %chain(&error), "tasks cannot be claimed, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
            // The sweep offers them again.
            Err(_) => return,
        }
    };
    for claimed in claimed {
        let Some(slot) = free.pop() else {
            tracing::error!(ticket = %claimed.ticket, "more tasks were claimed than tickets taken");
            return;
        };
        let lease = site.leases.hold(claimed.ticket, since);
        // A closed channel drops the job: its lease ends and the task is offered again.
        let _ = feed.send(Job { claimed, lease, _slot: slot });
    }
}

/// One slot's work: a task, and those that follow it: in a strict chain, or because they are at hand when it ends.
async fn serve(site: &Arc<Site>, job: Job) {
    let Job { claimed, lease, _slot } = job;
    let (mut next, mut in_chain) = (Some((claimed, lease)), false);
    while let Some((claimed, lease)) = next {
        let ticket = claimed.ticket;
        let outcome = tokio::select! {
            biased;
            () = lease.lost().cancelled() => None,
            () = site.give_back.cancelled() => Some(Outcome::Cancelled),
            outcome = attempt::run(site, claimed) => Some(outcome),
        };
        next = match outcome {
            Some(outcome) => report(site, ticket, outcome, &lease, &mut in_chain).await,
            None => None,
        };
    }
}

/// A ticket for the slot whose task has just ended, where there are likely some: claimed together with the report, it costs no
/// commit of its own. A slot in the middle of a chain needs none.
async fn at_hand(site: &Site) -> Option<Ticket> {
    let ahead = site.ahead().pop_front();
    if ahead.is_some() || !site.plenty.load(Ordering::Relaxed) {
        return ahead;
    }
    let taken = site.wiring.transport.take_now(&site.config.queues, 1).await;
    let ticket = taken.inspect_err(|error| tracing::debug!(error = %chain(error), "no ticket is at hand")).ok()?.pop();
    if ticket.is_none() {
        site.plenty.store(false, Ordering::Relaxed);
    }
    ticket
}

/// Others may use it. Nobody waits for that.
fn put_back(site: &Arc<Site>, ticket: Option<Ticket>) {
    let Some(ticket) = ticket else { return };
    let site = Arc::clone(site);
    tokio::spawn(async move { pass_on(&site, &[ticket]).await });
}

/// Tells the store until it has heard, or until the lease is lost. Returns what the slot goes on with.
async fn report(
    site: &Arc<Site>,
    ticket: Ticket,
    outcome: Outcome,
    lease: &Lease,
    in_chain: &mut bool,
) -> Option<(Claimed, Lease)> {
    let going_on = !site.stopping.is_cancelled() && !matches!(outcome, Outcome::Cancelled);
    let at_hand = if going_on && !*in_chain { at_hand(site).await } else { None };
    let run_next = going_on.then_some(RunNext { lease: site.config.lease, at_hand });
    let mut pause = PAUSE.0;
    loop {
        let report = Report { ticket, owner: site.config.id.clone(), outcome: outcome.clone(), run_next };
        let since = Instant::now();
        match site.wiring.store.complete(report).await {
            Ok(Verdict { accepted, next }) => {
                if !accepted {
                    tracing::info!(%ticket, "the result came too late and does not count");
                }
                *in_chain = next.as_ref().is_some_and(|next| Some(next.ticket) != at_hand);
                if *in_chain || !accepted {
                    put_back(site, at_hand);
                }
                return next.map(|next| {
                    let lease = site.leases.hold(next.ticket, since);
                    (next, lease)
                });
            }
            Err(error) => {
                tracing::warn!(%ticket, error = %chain(&error), "a result cannot be stored, trying again");
                tokio::select! {
                    () = lease.lost().cancelled() => {
                        put_back(site, at_hand);
                        return None;
                    }
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

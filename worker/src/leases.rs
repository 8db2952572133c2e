//! The leases this worker believes it holds, and the heartbeat that keeps them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tidemill_dag::id::{Ticket, WorkerId};
use tidemill_store::{Outcome, Report, Store};
use tokio_util::sync::CancellationToken;

/// Everything held. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leases(Arc<Mutex<HashMap<Ticket, Entry>>>);

#[derive(Debug)]
struct Entry {
    lost: CancellationToken,
    /// When the store last said that the lease is ours.
    confirmed: Instant,
}

/// One lease; given up when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    all: Leases,
    ticket: Ticket,
    lost: CancellationToken,
}

impl Lease {
    /// Cancelled when somebody else may hold the task.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.all.table().remove(&self.ticket);
    }
}

impl Leases {
    fn table(&self) -> MutexGuard<'_, HashMap<Ticket, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a lease that the store has just given, at the latest at `since`.
    pub fn hold(&self, ticket: Ticket, since: Instant) -> Lease {
        let lost = CancellationToken::new();
        self.table().insert(ticket, Entry { lost: lost.clone(), confirmed: since });
        Lease { all: self.clone(), ticket, lost }
    }

    /// Keeps the leases until the future is dropped.
    pub async fn keep(&self, store: &Store, worker: &WorkerId, lease: Duration) {
        let mut beats = tokio::time::interval(lease / 3);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut strangers = HashSet::new();
        loop {
            beats.tick().await;
            self.beat(store, worker, lease, &mut strangers).await;
        }
    }

    async fn beat(&self, store: &Store, worker: &WorkerId, lease: Duration, strangers: &mut HashSet<Ticket>) {
        let asked = Instant::now();
        let believed: Vec<Ticket> = self.table().keys().copied().collect();
        if believed.is_empty() {
            return;
        }
        // A store that does not answer must not keep us from noticing that time runs out.
        let answer = tokio::time::timeout(lease / 3, store.heartbeat(worker, lease)).await;
        match answer {
            Ok(Ok(held)) => {
                self.confirm(&believed, &held, asked);
                self.hand_back_strangers(store, worker, &held, strangers).await;
            }
            Ok(Err(error)) => tracing::warn!(error = %crate::error::chain(&error), "the heartbeat failed"),
            Err(_) => tracing::warn!("the heartbeat was not answered in time"),
        }
        self.give_up_stale(lease);
    }

    fn confirm(&self, believed: &[Ticket], held: &[Ticket], asked: Instant) {
        let mut table = self.table();
        for ticket in held {
            if let Some(entry) = table.get_mut(ticket) {
                entry.confirmed = asked;
            }
        }
        // Leases that came after the question cannot be in the answer, so only what was believed then counts.
        for ticket in believed.iter().filter(|ticket| !held.contains(ticket)) {
            if let Some(entry) = table.get(ticket) {
                tracing::info!(%ticket, "the lease is lost; stopping");
                entry.lost.cancel();
            }
        }
    }

    /// A claim whose answer got lost leaves a lease that nobody here works under, and every heartbeat would
    /// renew it for ever. What is unknown twice in a row is no claim under way: somebody else may have it.
    async fn hand_back_strangers(
        &self,
        store: &Store,
        worker: &WorkerId,
        held: &[Ticket],
        strangers: &mut HashSet<Ticket>,
    ) {
        let unknown: HashSet<Ticket> = {
            let table = self.table();
            held.iter().copied().filter(|ticket| !table.contains_key(ticket)).collect()
        };
        for ticket in unknown.intersection(strangers) {
            tracing::warn!(%ticket, "holding a task that nobody here works on; giving it back");
            let report = Report { ticket: *ticket, owner: worker.clone(), outcome: Outcome::Cancelled, run_next: None };
            if let Err(error) = store.complete(report).await {
                tracing::warn!(%ticket, error = %crate::error::chain(&error), "it cannot be given back yet");
            }
        }
        *strangers = unknown;
    }

    /// Without an answer for a whole lease, somebody else may have the task by now.
    fn give_up_stale(&self, lease: Duration) {
        for (ticket, entry) in self.table().iter() {
            if entry.confirmed.elapsed() >= lease && !entry.lost.is_cancelled() {
                tracing::warn!(%ticket, "no heartbeat for a whole lease; stopping");
                entry.lost.cancel();
            }
        }
    }
}

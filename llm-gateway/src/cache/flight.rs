//! One call for many identical requests at the same time: the first goes out, the others wait for its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::key::Key;
use super::lock;

/// What became of the request that went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Underway,
    /// Its answer is in the cache.
    Kept,
    /// There is nothing to wait for: it failed, was given up, or may not be kept.
    Gone,
}

/// Requests on their way.
#[derive(Default)]
pub(super) struct Flights {
    underway: Mutex<HashMap<Key, watch::Receiver<Outcome>>>,
}

/// The part of a request.
pub(super) enum Part {
    /// It goes out; others wait for it until it tells them, or is dropped.
    Leader(Leader),
    /// It waits.
    Follower(watch::Receiver<Outcome>),
}

pub(super) struct Leader {
    key: Key,
    flights: Arc<Flights>,
    outcome: watch::Sender<Outcome>,
}

impl Flights {
    pub(super) fn join(self: &Arc<Self>, key: Key) -> Part {
        let mut underway = lock(&self.underway);
        if let Some(leader) = underway.get(&key) {
            return Part::Follower(leader.clone());
        }
        let (outcome, followers) = watch::channel(Outcome::Underway);
        underway.insert(key, followers);
        Part::Leader(Leader { key, flights: Arc::clone(self), outcome })
    }
}

impl Leader {
    /// The answer is in the cache.
    pub(super) fn kept(self) {
        self.outcome.send_replace(Outcome::Kept);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        lock(&self.flights.underway).remove(&self.key);
        self.outcome.send_if_modified(|outcome| {
            let waiting = *outcome == Outcome::Underway;
            if waiting {
                *outcome = Outcome::Gone;
            }
            waiting
        });
    }
}

/// Waits for the leader.
pub(super) async fn landed(mut leader: watch::Receiver<Outcome>) -> Outcome {
    match leader.wait_for(|outcome| *outcome != Outcome::Underway).await {
        Ok(outcome) => *outcome,
        Err(_) => Outcome::Gone,
    }
}

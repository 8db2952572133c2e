//! The virtual clock, and a queue that loses, doubles and shuffles.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use tidemill_dag::{
    id::Ticket,
    time::{Chance, Clock, Timestamp},
};

use super::dice::Dice;

/// What all parts of a world share. Single-threaded in use; the locks are for the traits.
#[derive(Debug)]
pub struct Wire {
    now: AtomicI64,
    skew: AtomicI64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    dice: Dice,
    queue: VecDeque<Ticket>,
    lost_per_mille: u64,
    doubled_per_mille: u64,
}

impl Wire {
    pub fn new(dice: Dice) -> Arc<Self> {
        let inner = Inner { dice, queue: VecDeque::new(), lost_per_mille: 0, doubled_per_mille: 0 };
        Arc::new(Self { now: AtomicI64::new(1_700_000_000_000_000), skew: AtomicI64::new(0), inner: Mutex::new(inner) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while the wire is held")
    }

    pub fn faults(&self, lost_per_mille: u64, doubled_per_mille: u64) {
        let mut inner = self.inner();
        (inner.lost_per_mille, inner.doubled_per_mille) = (lost_per_mille, doubled_per_mille);
    }

    /// Lets this much time pass.
    pub fn pass(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::Relaxed);
    }

    /// From now on "now" is what somebody with this error on the clock reads.
    pub fn skewed(&self, micros: i64) {
        self.skew.store(micros, Ordering::Relaxed);
    }

    /// Offers a ticket; what becomes of it is up to the dice.
    pub fn offer(&self, ticket: Ticket) {
        let mut inner = self.inner();
        let (lost, doubled) = (inner.lost_per_mille, inner.doubled_per_mille);
        let copies = u8::from(!inner.dice.strikes(lost)) + u8::from(inner.dice.strikes(doubled));
        for _ in 0..copies {
            // Out of order within a few places, as several publishers would.
            let length = inner.queue.len();
            let place = length - inner.dice.below(length.min(3) + 1);
            inner.queue.insert(place, ticket);
        }
    }

    pub fn take(&self, max: usize) -> Vec<Ticket> {
        let mut inner = self.inner();
        let count = inner.queue.len().min(max);
        inner.queue.drain(..count).collect()
    }

    pub fn flush(&self) {
        self.inner().queue.clear();
    }

    pub fn tickets(&self) -> Vec<Ticket> {
        self.inner().queue.iter().copied().collect()
    }
}

impl Clock for Wire {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed) + self.skew.load(Ordering::Relaxed))
    }
}

impl Chance for Wire {
    fn draw(&self) -> f64 {
        self.inner().dice.unit()
    }

    fn bits(&self) -> u128 {
        let mut inner = self.inner();
        u128::from(inner.dice.next()) << 64 | u128::from(inner.dice.next())
    }
}

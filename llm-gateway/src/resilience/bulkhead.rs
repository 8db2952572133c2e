//! How many calls of one deployment run and wait at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one deployment.
#[derive(Debug)]
pub struct Bulkhead {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
}

/// A place; dropped, the next call has it.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Bulkhead {
    /// With so many places, and so many that wait.
    pub fn new(places: usize, queue: usize) -> Self {
        let places = places.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0), queue }
    }

    /// A place, now or when one is free; `None` when too many wait. The caller bounds the time.
    pub async fn enter(&self) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(Place { _permit: permit });
        }
        let _waiting = Waiting::enter(&self.waiting, self.queue)?;
        // It is never closed.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Place { _permit: permit })
    }

    /// Whether a call would have to wait.
    pub fn full(&self) -> bool {
        self.places.available_permits() == 0
    }
}

/// Counts one that waits, also if it goes away while it does.
struct Waiting<'b>(&'b AtomicUsize);

impl<'b> Waiting<'b> {
    fn enter(waiting: &'b AtomicUsize, most: usize) -> Option<Self> {
        let one = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(one)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_given_in_turn_and_queues_end() {
        let bulkhead = Arc::new(Bulkhead::new(1, 1));
        let first = bulkhead.enter().await.expect("a free place");
        let other = Arc::clone(&bulkhead);
        let second = tokio::spawn(async move { other.enter().await });
        while bulkhead.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(bulkhead.enter().await.is_none(), "the queue is full");
        drop(first);
        assert!(second.await.expect("no panic").is_some());
        assert_eq!(bulkhead.waiting.load(Ordering::Relaxed), 0);
    }
}

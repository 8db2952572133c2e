//! How tickets travel from whoever made a task ready to a worker that has room for it.
//!
//! A transport may lose, repeat and reorder tickets: the task row is the truth, a ticket only says
//! "look there". To add one, implement [`Transport`] and run [`conformance::run`] against it.

pub mod conformance;
pub mod redis;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tidemill_dag::{id::Ticket, spec::Priority};
use tokio::sync::Notify;

/// The queue of tasks that name none.
pub const DEFAULT_QUEUE: &str = "default";

/// A transport that could not be reached or answered nonsense.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the ticket transport {transport} failed while it tried to {action}")]
pub struct TransportError {
    /// Which transport.
    pub transport: &'static str,
    /// What it tried to do.
    pub action: &'static str,
    /// What happened.
    #[source]
    pub source: Arc<dyn std::error::Error + Send + Sync>,
}

/// Carries tickets; never decides anything.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Offers tickets on a queue. They may already be there; offering twice is harmless.
    async fn publish(&self, queue: &str, priority: Priority, tickets: &[Ticket]) -> Result<(), TransportError>;

    /// Waits until at least one ticket is there and takes at most `max`, higher priorities first.
    /// Dropping the future takes nothing.
    async fn take(&self, queues: &[String], max: usize) -> Result<Vec<Ticket>, TransportError>;

    /// Takes what is there now, at most `max`, in the order of [`Transport::take`]; it waits for nothing.
    async fn take_now(&self, queues: &[String], max: usize) -> Result<Vec<Ticket>, TransportError>;

    /// Stops taking. Returns tickets that were taken for nobody; later calls of [`Transport::take`] begin anew.
    async fn stop_taking(&self) -> Vec<Ticket> {
        Vec::new()
    }

    /// How it fares, for the sweep.
    async fn condition(&self) -> Result<Condition, TransportError> {
        Ok(Condition::default())
    }
}

/// What a transport says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Changes when tickets may have been lost.
    pub epoch: String,
    /// Queues that hold so much that what is not in them can wait.
    pub full: Vec<String>,
}

/// Tickets inside one process: what embedded mode uses. What it holds is lost with the process; the
/// sweep fills it again.
#[derive(Debug)]
pub struct InProcess {
    shelves: Mutex<Shelves>,
    arrived: Notify,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Shelves {
    queues: HashMap<String, [VecDeque<Ticket>; 3]>,
    present: HashSet<Ticket>,
}

impl Shelves {
    fn pop(&mut self, queues: &[String], max: usize) -> Vec<Ticket> {
        let mut taken = Vec::new();
        for class in 0..3 {
            for queue in queues {
                let Some(shelf) = self.queues.get_mut(queue) else { continue };
                let count = shelf[class].len().min(max - taken.len());
                taken.extend(shelf[class].drain(..count));
            }
        }
        for ticket in &taken {
            self.present.remove(ticket);
        }
        taken
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl InProcess {
    /// An empty one that keeps at most 10,000 tickets per queue and priority; what does not fit is
    /// left to the sweep.
    pub fn new() -> Self {
        Self::with_capacity(10_000)
    }

    /// An empty one with another limit.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { shelves: Mutex::default(), arrived: Notify::new(), capacity }
    }

    /// How many tickets are waiting.
    pub fn len(&self) -> usize {
        self.shelves().present.len()
    }

    /// Whether none is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, as a crash would.
    pub fn clear(&self) {
        *self.shelves() = Shelves::default();
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // Every change keeps the shelves whole, so a panic elsewhere leaves them usable.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn publish(&self, queue: &str, priority: Priority, tickets: &[Ticket]) -> Result<(), TransportError> {
        {
            let shelves = &mut *self.shelves();
            let shelf = &mut shelves.queues.entry(queue.to_owned()).or_default()[priority as usize];
            for ticket in tickets {
                if shelf.len() < self.capacity && shelves.present.insert(*ticket) {
                    shelf.push_back(*ticket);
                }
            }
        }
        self.arrived.notify_waiters();
        Ok(())
    }

    async fn take(&self, queues: &[String], max: usize) -> Result<Vec<Ticket>, TransportError> {
        loop {
            let arrived = self.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            // Listening before looking: what is published in between wakes us.
            arrived.as_mut().enable();
            let taken = self.shelves().pop(queues, max.max(1));
            if !taken.is_empty() {
                return Ok(taken);
            }
            arrived.await;
        }
    }

    async fn take_now(&self, queues: &[String], max: usize) -> Result<Vec<Ticket>, TransportError> {
        Ok(self.shelves().pop(queues, max.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use tidemill_dag::id::{Attempt, Ordinal, RunId, TaskKey};

    use super::*;

    #[tokio::test]
    async fn in_process_conforms() {
        let transport = InProcess::new();
        conformance::run(&transport).await;
        assert!(transport.is_empty());
    }

    #[tokio::test]
    async fn what_is_there_is_not_kept_twice_nor_beyond_the_limit() {
        let transport = InProcess::with_capacity(3);
        let task = |ordinal| TaskKey { run: RunId(uuid::Uuid::nil()), ordinal: Ordinal(ordinal) };
        let tickets: Vec<Ticket> = (0..5).map(|n| Ticket { task: task(n), attempt: Attempt(1) }).collect();
        for _ in 0..2 {
            transport.publish("a", Priority::Normal, &tickets[..2]).await.expect("it publishes");
        }
        assert_eq!(transport.len(), 2);
        transport.publish("a", Priority::Normal, &tickets).await.expect("it publishes");
        assert_eq!(transport.len(), 3, "the sweep sends the rest again");
        assert_eq!(transport.take(&["a".into()], 9).await.expect("tickets"), tickets[..3]);
        transport.publish("a", Priority::Normal, &tickets).await.expect("it publishes");
        transport.clear();
        assert!(transport.is_empty());
    }
}

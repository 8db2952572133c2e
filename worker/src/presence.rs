//! What this worker says of itself, for people.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tidemill_store::{NewWorker, Store, StoreError};
use tokio::sync::Notify;

use crate::{config::WorkerConfig, error::chain};

/// How often it says that it is there.
const PERIOD: Duration = Duration::from_secs(3);

/// How long it tries to say that it ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// This worker, to be shown.
#[derive(Debug)]
pub(crate) struct Presence {
    worker: NewWorker,
    draining: AtomicBool,
    changed: Notify,
}

impl Presence {
    /// As its configuration says.
    pub fn of(config: &WorkerConfig) -> Self {
        let worker = NewWorker {
            id: config.id.clone(),
            host: config.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queues: config.queues.clone(),
            labels: config.labels.clone(),
            slots: u32::try_from(config.slots).unwrap_or(u32::MAX),
            draining: false,
        };
        Self { worker, draining: AtomicBool::new(false), changed: Notify::new() }
    }

    /// It takes nothing more from now on.
    pub fn drains(&self) {
        self.draining.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Says that it is there, again and again.
    pub async fn keep(&self, store: &Store) {
        loop {
            if let Err(error) = self.say(store).await {
                tracing::warn!(error = %chain(&error), "the worker cannot say that it is there");
            }
            let _ = tokio::time::timeout(PERIOD, self.changed.notified()).await;
        }
    }

    async fn say(&self, store: &Store) -> Result<(), StoreError> {
        let worker = NewWorker { draining: self.draining.load(Ordering::Acquire), ..self.worker.clone() };
        store.greet(&worker).await
    }

    /// Says that it ends.
    pub async fn leave(&self, store: &Store) {
        let _ = tokio::time::timeout(FAREWELL, store.leave(&self.worker.id)).await;
    }
}

//! Events on their way to sinks outside: Kafka, webhooks, records. At least once, in order, and nothing left out: a sink's
//! place among the events is a row of the database, moved only after the sink took what lies before it.

mod kafka;
mod message;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_dag::id::WorkerId;
use tidemill_dag::time::Clock;
use tidemill_store::{LostDelivery, OutEvent, SinkState, Start, Store, StoreError};
use tokio_util::sync::CancellationToken;

pub use kafka::{Kafka, KafkaConfig, KafkaError};
pub use message::{Measured, SHAPE, audit_event, measured, metrics_event, pipeline_event};
pub use webhook::{Webhook, WebhookConfig, WebhookError, signature};

/// What a sink did not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Undelivered {
    /// How many of the events it took before.
    pub taken: usize,
    /// Why it did not take the next one.
    pub problem: String,
}

/// Where events go.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Its name; its place among the events is kept under it.
    fn name(&self) -> &str;
    /// Where it begins when it is new.
    fn start(&self) -> Start;
    /// At most so many events at once.
    fn at_once(&self) -> u32;
    /// After how many failures of one event it is given up; none: never.
    fn gives_up_after(&self) -> Option<u32>;
    /// The longest pause between two tries.
    fn longest_pause(&self) -> Duration;
    /// Takes events in their order and says how many; at least one. It may be told the same ones again.
    async fn deliver(&self, events: &[OutEvent]) -> Result<usize, Undelivered>;
}

/// How long a sink stays with a process that gives no sign of life; a delivery takes at most half of it.
const LEASE: Duration = Duration::from_secs(60);
/// How often to look for new events.
const PERIOD: Duration = Duration::from_millis(500);
/// How often to look whether a sink has become free.
const TAKEN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);

/// Serves one sink.
pub struct Relay {
    store: Store,
    sink: Arc<dyn Sink>,
    me: WorkerId,
    clock: Arc<dyn Clock>,
}

/// What one look did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// Another process serves the sink.
    Busy,
    /// There was nothing new.
    Idle,
    /// So many events were taken.
    Took(usize),
    /// The next event was not taken; it is told again after this pause.
    Failed(Duration),
    /// The next event was given up.
    Lost,
}

impl Relay {
    /// Serves `sink` as `me`.
    pub fn new(store: Store, sink: Arc<dyn Sink>, me: WorkerId) -> Self {
        let clock = store.clock();
        Self { store, sink, me, clock }
    }

    /// Looks again and again until `shutdown`, then tells what is left and lets another process have the sink.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            let pause = match self.look().await {
                Ok(Looked::Took(_) | Looked::Lost) => Duration::ZERO,
                Ok(Looked::Idle) => PERIOD,
                Ok(Looked::Busy) => TAKEN,
                Ok(Looked::Failed(pause)) => pause,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(sink = self.sink.name(), error, "events cannot be read or noted, trying again");
                    PAUSE
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        if matches!(self.look().await, Ok(Looked::Took(_) | Looked::Idle | Looked::Failed(_))) {
            let _ = self.store.leave_sink(self.sink.name(), &self.me).await;
        }
    }

    /// Tells everything there is now.
    ///
    /// # Errors
    /// The state failed.
    pub async fn drain(&self) -> Result<Looked, StoreError> {
        loop {
            match self.look().await? {
                Looked::Took(_) | Looked::Lost => {}
                other => return Ok(other),
            }
        }
    }

    /// One look: the next events, told and noted.
    ///
    /// # Errors
    /// The state failed. What was told and could not be noted is told again.
    pub async fn look(&self) -> Result<Looked, StoreError> {
        let name = self.sink.name();
        let Some(state) = self.store.lease_sink(name, self.sink.start(), &self.me, LEASE).await? else {
            return Ok(Looked::Busy);
        };
        let wait = state.retry_at.map_or(Duration::ZERO, |at| at.since(self.clock.now()));
        if !wait.is_zero() {
            return Ok(Looked::Failed(wait.min(TAKEN)));
        }
        let events = self.store.unread_events(state.cursor, self.sink.at_once()).await?;
        if events.is_empty() {
            return Ok(Looked::Idle);
        }
        let told = tokio::time::timeout(LEASE / 2, self.sink.deliver(&events)).await;
        let told = told.unwrap_or_else(|_| Err(Undelivered { taken: 0, problem: "no answer in time".to_owned() }));
        match told {
            Ok(taken) => {
                let taken = taken.clamp(1, events.len());
                let ours = self.store.sink_took(name, &self.me, events[taken - 1].cursor).await?;
                Ok(if ours { Looked::Took(taken) } else { Looked::Busy })
            }
            Err(undelivered) => self.failed(state, &events, undelivered).await,
        }
    }

    async fn failed(
        &self,
        state: SinkState,
        events: &[OutEvent],
        undelivered: Undelivered,
    ) -> Result<Looked, StoreError> {
        let (name, Undelivered { taken, problem }) = (self.sink.name(), undelivered);
        let before = match taken.checked_sub(1).and_then(|last| events.get(last)) {
            Some(last) => {
                self.store.sink_took(name, &self.me, last.cursor).await?;
                0
            }
            None => state.failures,
        };
        let failures = before + 1;
        if let (Some(event), Some(most)) = (events.get(taken), self.sink.gives_up_after())
            && failures >= most
        {
            let lost = LostDelivery {
                id: 0,
                sink: name.to_owned(),
                event: event.event.id,
                at: self.clock.now(),
                attempts: failures,
                problem,
                body: pipeline_event(event).to_string(),
            };
            tracing::error!(sink = name, event = lost.event, problem = lost.problem, "an event was given up");
            self.store.lose_delivery(&self.me, event.cursor, &lost).await?;
            return Ok(Looked::Lost);
        }
        let pause = (PAUSE * 2_u32.saturating_pow(before.min(16))).min(self.sink.longest_pause());
        tracing::warn!(sink = name, failures, problem, ?pause, "events were not taken, trying again");
        self.store.sink_failed(name, &self.me, self.clock.now().after(pause)).await?;
        Ok(Looked::Failed(pause.min(TAKEN)))
    }
}

#[cfg(test)]
mod tests;

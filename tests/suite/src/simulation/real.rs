//! The real store behind the simulated door.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use tidemill_dag::{
    approval::Answer,
    id::{RunId, Ticket, VersionId, WorkerId},
    invariants::World,
    spec::Priority,
    time::{Chance, Clock},
};
use tidemill_store::{
    NewPool, NewRun, NewTask, NewVersion, Outcome, Report, RunNext, Store, StoreError, TaskFailure, Transport,
    TransportError, TriggerKind,
};

use super::{
    door::{Broken, Door, Heard, LEASE_SECONDS, Next, Order, Reply, Said, question},
    pipelines::{POOLS, Pipeline},
    wire::Wire,
};

const LEASE: Duration = Duration::from_secs(LEASE_SECONDS);

#[async_trait]
impl Transport for Wire {
    async fn publish(&self, _: &str, _: Priority, tickets: &[Ticket]) -> Result<(), TransportError> {
        tickets.iter().for_each(|ticket| self.offer(*ticket));
        Ok(())
    }

    /// Nobody waits in a simulation.
    async fn take(&self, _: &[String], max: usize) -> Result<Vec<Ticket>, TransportError> {
        Ok(Self::take(self, max))
    }

    async fn take_now(&self, _: &[String], max: usize) -> Result<Vec<Ticket>, TransportError> {
        Ok(Self::take(self, max))
    }
}

pub struct Real {
    store: Store,
    wire: Arc<Wire>,
    pipelines: Vec<Pipeline>,
}

/// Everything the store may say that is no refusal breaks the simulation.
fn broken(error: StoreError) -> Broken {
    format!("{error:?}")
}

/// Whether it was done; false where the store refused.
fn unless_refused<T>(answer: Result<T, StoreError>) -> Result<bool, Broken> {
    match answer {
        Ok(_) => Ok(true),
        Err(StoreError::Refused { .. }) => Ok(false),
        Err(other) => Err(broken(other)),
    }
}

fn version(pipeline: &Pipeline) -> VersionId {
    VersionId(format!("{}-1", pipeline.name))
}

impl Real {
    pub async fn open(url: &str, pipelines: Vec<Pipeline>, wire: Arc<Wire>) -> Result<Self, Broken> {
        let (clock, chance, transport) = (wire.clone(), wire.clone(), wire.clone());
        let store = Store::open(url, clock, chance, transport).await.map_err(broken)?;
        for (name, slots) in POOLS {
            let pool = NewPool { name: name.to_owned(), slots, description: None };
            store.set_pool(&pool).await.map_err(broken)?;
        }
        for pipeline in &pipelines {
            let saved = NewVersion {
                pipeline: pipeline.name.clone(),
                id: version(pipeline),
                source: String::new(),
                definition: json!({}),
                origin: json!({}),
            };
            store.save_version(saved).await.map_err(broken)?;
        }
        Ok(Self { store, wire, pipelines })
    }

    fn new_run(&self, order: &Order) -> NewRun {
        let pipeline = &self.pipelines[order.pipeline];
        let tasks = pipeline.tasks.iter().enumerate().map(|(n, task)| NewTask {
            name: format!("t{n}"),
            needs: task.needs.clone(),
            run_if: task.policy.run_if,
            retries: task.policy.retries,
            backoff: task.policy.backoff,
            max_parallel: task.policy.max_parallel,
            hook: task.policy.hook,
            taken: task.policy.taken,
            pool: task.pool.map(|(pool, _)| POOLS[pool].0.to_owned()),
            pool_slots: task.pool.map_or(1, |(_, slots)| slots),
            ..NewTask::default()
        });
        NewRun {
            trigger_key: order.key.clone(),
            concurrency: pipeline.concurrency.clone(),
            tasks: tasks.collect(),
            ..NewRun::new(
                RunId::from_parts(self.wire.now(), self.wire.bits()),
                &pipeline.name,
                version(pipeline),
                TriggerKind::Api,
            )
        }
    }
}

fn outcome(ticket: Ticket, said: Said) -> Outcome {
    match said {
        Said::Succeeded => Outcome::Succeeded { output: json!({"manifest": {"attempt": ticket.attempt}}) },
        Said::Failed { retryable } => Outcome::Failed {
            error: TaskFailure { code: "TM0701".to_owned(), message: "as scripted".to_owned(), help: None, retryable },
        },
        Said::Parked { until } => Outcome::Parked { wake_at: until, reason: "as scripted".to_owned() },
        Said::Expanded { items } => Outcome::Expanded { items: (0..items).map(|n| json!(n)).collect() },
        Said::Skipped => Outcome::Skipped { reason: "as scripted".to_owned() },
        Said::Asked { until, fate } => Outcome::Asked { question: Box::new(question(until, fate)) },
        Said::HandedBack => Outcome::Cancelled,
    }
}

impl Door for Real {
    async fn create(&mut self, order: &Order) -> Result<RunId, Broken> {
        self.store.create_run(self.new_run(order)).await.map(|created| created.run).map_err(broken)
    }

    async fn claim(&mut self, tickets: &[Ticket], worker: &WorkerId) -> Result<Vec<Ticket>, Broken> {
        let claimed = self.store.claim(tickets, worker, LEASE).await.map_err(broken)?;
        Ok(claimed.into_iter().map(|claimed| claimed.ticket).collect())
    }

    async fn heartbeat(&mut self, worker: &WorkerId) -> Result<Vec<Ticket>, Broken> {
        self.store.heartbeat(worker, LEASE).await.map_err(broken)
    }

    async fn complete(&mut self, ticket: Ticket, worker: &WorkerId, said: Said, next: Option<Next>) -> Reply {
        let outcome = outcome(ticket, said);
        let run_next = next.map(|Next { at_hand }| RunNext { lease: LEASE, at_hand });
        let report = Report { ticket, owner: worker.clone(), outcome, run_next };
        let verdict = self.store.complete(report).await.map_err(broken)?;
        Ok(Heard { accepted: verdict.accepted, next: verdict.next.map(|next| next.ticket) })
    }

    async fn cancel(&mut self, run: RunId) -> Result<bool, Broken> {
        unless_refused(self.store.cancel_run(run, "somebody said so").await)
    }

    async fn resume(&mut self, run: RunId) -> Result<bool, Broken> {
        unless_refused(self.store.resume_run(run).await)
    }

    async fn sweep(&mut self) -> Result<(), Broken> {
        self.store.sweep().await.map(drop).map_err(broken)
    }

    async fn owner_gone(&mut self, worker: &WorkerId) -> Result<(), Broken> {
        self.store.expire_owner(worker).await.map(drop).map_err(broken)
    }

    async fn answer(&mut self, of: Ticket, answer: &Answer) -> Result<bool, Broken> {
        match self.store.answer(of, answer).await {
            Ok(_) => Ok(true),
            Err(StoreError::Answer { .. } | StoreError::NotOpen { .. } | StoreError::NoApproval(_)) => Ok(false),
            Err(other) => Err(broken(other)),
        }
    }

    async fn world(&mut self) -> Result<World, Broken> {
        self.store.snapshot(None).await.map_err(broken)
    }
}

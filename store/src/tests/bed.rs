//! What every case lies on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::json;
use tempfile::TempDir;
use tidemill_dag::{
    id::{Ordinal, RunId, TaskKey, Ticket, VersionId, WorkerId},
    invariants,
    state::{RunState, TaskState},
    time::{Chance, Clock, Timestamp},
};
use tidemill_testkit::{ManualClock, Postgres, SeededChance};

use crate::{
    Claimed, InProcess, NewRun, NewTask, NewVersion, Outcome, Report, Store, TaskFailure, TaskRecord, Transport,
    TriggerKind, Verdict,
};

pub const LEASE: Duration = Duration::from_secs(6);
pub const PIPELINE: &str = "p";

/// A database, a store over it, and what the store was given.
pub struct Bed {
    pub store: Store,
    pub clock: ManualClock,
    pub chance: Arc<SeededChance>,
    pub transport: Arc<InProcess>,
    pub url: String,
    _folder: Option<TempDir>,
}

impl Bed {
    pub async fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("state.db").display());
        Self::over(url, Some(folder)).await
    }

    pub async fn postgres() -> Self {
        Self::over(Postgres::shared().fresh().await.expect("a database"), None).await
    }

    pub async fn over(url: String, folder: Option<TempDir>) -> Self {
        let clock = ManualClock::default();
        let chance = Arc::new(SeededChance::new(1));
        let transport = Arc::new(InProcess::new());
        let store =
            Store::open(&url, Arc::new(clock.clone()), chance.clone(), transport.clone()).await.expect("a store");
        let bed = Self { store, clock, chance, transport, url, _folder: folder };
        bed.save(PIPELINE).await;
        bed
    }

    /// The same database as another process sees it: a store and a transport of its own.
    pub async fn another(&self) -> (Store, Arc<InProcess>) {
        let transport = Arc::new(InProcess::new());
        let clock = Arc::new(self.clock.clone());
        let store = Store::open(&self.url, clock, self.chance.clone(), transport.clone()).await.expect("a store");
        (store, transport)
    }

    pub async fn save(&self, pipeline: &str) -> VersionId {
        let id = VersionId(format!("version-of-{pipeline}"));
        let new = NewVersion {
            pipeline: pipeline.to_owned(),
            id: id.clone(),
            source: format!("pipeline: {pipeline}"),
            definition: json!({ "pipeline": pipeline }),
            origin: json!({ "file": "p.yaml" }),
        };
        self.store.save_version(new).await.expect("a version");
        id
    }

    /// A run to be created, of tasks that each need the ones named by their places.
    pub fn plan(&self, needs: &[&[u32]]) -> NewRun {
        let task = |(place, needs): (usize, &&[u32])| NewTask {
            name: format!("t{place}"),
            needs: needs.iter().copied().map(Ordinal).collect(),
            ..NewTask::default()
        };
        NewRun {
            params: json!({ "day": "2026-05-28" }),
            tasks: needs.iter().enumerate().map(task).collect(),
            ..NewRun::new(
                RunId::from_parts(self.clock.now(), self.chance.bits()),
                PIPELINE,
                VersionId(format!("version-of-{PIPELINE}")),
                TriggerKind::Manual,
            )
        }
    }

    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Creates a run of such tasks.
    pub async fn run(&self, needs: &[&[u32]]) -> RunId {
        self.store.create_run(self.plan(needs)).await.expect("a run").run
    }

    /// Everything the transport has.
    pub async fn tickets(&self) -> Vec<Ticket> {
        drain(&self.transport).await
    }

    /// Claims whatever was offered.
    pub async fn claim(&self, who: &str) -> Vec<Claimed> {
        let tickets = self.tickets().await;
        self.store.claim(&tickets, &worker(who), LEASE).await.expect("a claim")
    }

    /// Claims the one task that is offered.
    pub async fn claim_one(&self, who: &str) -> Claimed {
        let mut claimed = self.claim(who).await;
        assert_eq!(claimed.len(), 1, "one task is offered");
        claimed.remove(0)
    }

    pub async fn complete(&self, claimed: &Claimed, who: &str, outcome: Outcome) -> Verdict {
        self.store.complete(report(claimed, who, outcome)).await.expect("a verdict")
    }

    /// Works on everything that is offered until nothing is, as one worker that always succeeds.
    pub async fn work_off(&self, who: &str) -> usize {
        let mut done = 0;
        loop {
            let claimed = self.claim(who).await;
            if claimed.is_empty() {
                return done;
            }
            for task in claimed {
                assert!(self.complete(&task, who, success()).await.accepted);
                done += 1;
            }
        }
    }

    pub async fn task(&self, run: RunId, ordinal: u32) -> TaskRecord {
        self.store.tasks(run).await.expect("tasks").swap_remove(ordinal as usize)
    }

    pub async fn states(&self, run: RunId) -> Vec<TaskState> {
        self.store.tasks(run).await.expect("tasks").into_iter().map(|task| task.state).collect()
    }

    pub async fn count(&self, run: RunId) -> HashMap<TaskState, usize> {
        let mut counts = HashMap::new();
        for state in self.states(run).await {
            *counts.entry(state).or_default() += 1;
        }
        counts
    }

    pub async fn state(&self, run: RunId) -> RunState {
        self.store.run(run).await.expect("a run").state
    }

    /// The seven invariants.
    pub async fn holds(&self) {
        let world = self.store.snapshot(None).await.expect("a snapshot");
        let violations: Vec<String> = invariants::check(&world).iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

pub async fn drain(transport: &InProcess) -> Vec<Ticket> {
    let mut all = Vec::new();
    while !transport.is_empty() {
        all.extend(transport.take(&["default".to_owned()], 10_000).await.expect("tickets"));
    }
    all
}

pub fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

pub fn report(claimed: &Claimed, who: &str, outcome: Outcome) -> Report {
    Report { ticket: claimed.ticket, owner: worker(who), outcome, run_next: None }
}

pub fn success() -> Outcome {
    Outcome::Succeeded { output: json!({ "result": null }) }
}

pub fn failure(retryable: bool) -> Outcome {
    let error = TaskFailure { code: "TM0701".into(), message: "it broke".into(), help: None, retryable };
    Outcome::Failed { error }
}

pub fn key(run: RunId, ordinal: u32) -> TaskKey {
    TaskKey { run, ordinal: Ordinal(ordinal) }
}

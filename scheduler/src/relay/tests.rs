//! Events told outside, to real receivers that come late, break off and refuse.

mod kafka;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidemill_dag::id::{RunId, VersionId, WorkerId};
use tidemill_dag::spec::{Concurrency, OnOverlap};
use tidemill_dag::time::Clock;
use tidemill_store::{InProcess, NewRun, NewTask, NewVersion, Outcome, Report, Store, Transport, TriggerKind};
use tidemill_testkit::{ManualClock, SeededChance};

use super::*;

/// A store in a file, with a pipeline of one task.
struct Bed {
    store: Store,
    transport: Arc<InProcess>,
    clock: ManualClock,
    chance: Arc<SeededChance>,
    _folder: TempDir,
}

impl Bed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("state.db").display());
        let (clock, chance) = (ManualClock::default(), Arc::new(SeededChance::new(3)));
        let transport = Arc::new(InProcess::new());
        let store =
            Store::open(&url, Arc::new(clock.clone()), chance.clone(), transport.clone()).await.expect("a store");
        let version = NewVersion {
            pipeline: "daily".to_owned(),
            id: VersionId("v1".to_owned()),
            source: "pipeline: daily".to_owned(),
            definition: serde_json::json!({"pipeline": "daily"}),
            origin: serde_json::json!({"file": "daily.yaml"}),
        };
        store.save_version(version).await.expect("a version");
        Self { store, transport, clock, chance, _folder: folder }
    }

    /// Makes a run and works it off: five events.
    async fn run(&self) -> RunId {
        let task = NewTask { name: "load".to_owned(), ..NewTask::default() };
        let run = NewRun {
            concurrency: Concurrency { on_overlap: OnOverlap::Allow, ..Concurrency::default() },
            tasks: vec![task],
            ..NewRun::new(
                RunId::from_parts(self.clock.now(), tidemill_dag::time::Chance::bits(&*self.chance)),
                "daily",
                VersionId("v1".to_owned()),
                TriggerKind::Cron,
            )
        };
        let run = self.store.create_run(run).await.expect("a run").run;
        self.clock.advance(Duration::from_millis(250));
        let me = WorkerId("w".to_owned());
        let tickets = self.transport.take(&["default".to_owned()], 10).await.expect("tickets");
        for claimed in self.store.claim(&tickets, &me, Duration::from_secs(60)).await.expect("a claim") {
            self.clock.advance(Duration::from_secs(2));
            let outcome = Outcome::Succeeded { output: serde_json::json!({}) };
            let report = Report { ticket: claimed.ticket, owner: me.clone(), outcome, run_next: None };
            assert!(self.store.complete(report).await.expect("a verdict").accepted);
        }
        run
    }

    fn relay(&self, sink: Arc<dyn Sink>) -> Relay {
        Relay::new(self.store.clone(), sink, WorkerId("relay".to_owned()))
    }
}

#[tokio::test]
async fn events_say_how_long_things_took() {
    let bed = Bed::new().await;
    bed.run().await;
    let me = WorkerId("x".to_owned());
    let at = bed.store.lease_sink("x", Start::Oldest, &me, Duration::from_secs(9)).await.expect("an answer");
    let events = bed.store.unread_events(at.expect("free").cursor, 100).await.expect("events");
    let all: Vec<Measured> = events.iter().filter_map(measured).collect();
    let expected = [
        Measured::Wait { wait_ms: 250 },
        Measured::Task { duration_ms: 2_000, error: None },
        Measured::Run { wait_ms: 0, duration_ms: 2_250, tasks: 1, failed: 0 },
    ];
    assert_eq!(all, expected);
}

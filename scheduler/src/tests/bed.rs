//! What every case lies on: a state, and a clock that only moves when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tidemill_dag::compile::{self, Known};
use tidemill_dag::time::{Chance, Clock, Timestamp};
use tidemill_store::{InProcess, NewVersion, Page, RunFilter, RunRecord, Store};
use tidemill_testkit::Postgres;

use crate::presence::Presence;
use crate::{Scheduler, Settings};

/// 2026-01-01T00:00:00Z.
pub const START: i64 = 1_767_225_600_000_000;
pub const MINUTE: i64 = 60_000_000;

pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub struct Counting(AtomicU64);

impl Chance for Counting {
    fn draw(&self) -> f64 {
        0.5
    }

    fn bits(&self) -> u128 {
        // The upper bits are the ones that ids are made of.
        u128::from(self.0.fetch_add(1, Ordering::SeqCst)) << 64
    }
}

pub struct World {
    pub clock: Arc<TestClock>,
    pub chance: Arc<Counting>,
    pub store: Store,
    url: String,
    _folder: TempDir,
}

impl World {
    /// Over SQLite.
    pub async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self::over(format!("sqlite:{}", folder.path().join("state.db").display()), folder).await
    }

    pub async fn postgres() -> Self {
        let url = Postgres::shared().fresh().await.expect("a database");
        Self::over(url, TempDir::new().expect("a folder")).await
    }

    pub async fn over(url: String, folder: TempDir) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(START)));
        let chance = Arc::new(Counting(AtomicU64::new(1)));
        let store = Store::open(&url, clock.clone(), chance.clone(), Arc::new(InProcess::new())).await;
        Self { clock, chance, store: store.expect("a store"), url, _folder: folder }
    }

    /// A scheduler of another process over the same database.
    pub async fn elsewhere(&self) -> Scheduler {
        let transport = Arc::new(InProcess::new());
        let store = Store::open(&self.url, self.clock.clone(), self.chance.clone(), transport).await.expect("a store");
        Scheduler::new(store, self.settings(None))
    }

    pub fn scheduler(&self) -> Scheduler {
        self.scheduler_beside(None)
    }

    pub fn scheduler_beside(&self, presence: Option<Arc<Presence>>) -> Scheduler {
        Scheduler::new(self.store.clone(), self.settings(presence))
    }

    pub fn settings(&self, presence: Option<Arc<Presence>>) -> Settings {
        Settings {
            clock: self.clock.clone(),
            chance: self.chance.clone(),
            known: known(),
            presence,
            crons: true,
            period: Duration::from_secs(1),
        }
    }

    /// How many minutes after the start it is.
    pub fn now_in_minutes(&self) -> i64 {
        (self.clock.now().0 - START) / MINUTE
    }

    pub fn at(&self, minutes: i64) {
        self.clock.0.store(START + minutes * MINUTE, Ordering::SeqCst);
    }

    /// Applies a pipeline `p` with one cron trigger.
    pub async fn apply(&self, cron: &str, catch_up: &str, command: &str) {
        let text = format!(
            "pipeline: p\ntriggers: [{{cron: \"{cron}\", catch_up: {catch_up}}}]\ntasks:\n  a: {{shell: {{command: \"{command}\"}}}}\n"
        );
        self.apply_text("p", text).await;
    }

    /// Makes a definition the active version of a pipeline.
    pub async fn apply_text(&self, name: &str, text: String) {
        let compiled = compile::read(&text, &known()).unwrap_or_else(|found| panic!("{text}: {found:#?}"));
        let definition = serde_json::to_value(&compiled.pipeline).expect("JSON");
        let id = compiled.version.clone();
        let new = NewVersion { pipeline: name.into(), id: id.clone(), source: text, definition, origin: json!({}) };
        self.store.save_version(new).await.expect("saved");
        self.store.activate(name, &id).await.expect("activated");
    }

    /// Runs, oldest first.
    pub async fn runs(&self) -> Vec<RunRecord> {
        let page = Page { before: None, limit: 1_000 };
        let mut runs = self.store.runs(&RunFilter::default(), page).await.expect("runs");
        runs.sort_by_key(|run| run.interval.map(|i| i.end));
        runs
    }

    /// The moments of all runs, in minutes after the start.
    pub async fn moments(&self) -> Vec<i64> {
        let end = |run: &RunRecord| run.interval.map_or(-1, |i| (i.end.0 - START) / MINUTE);
        self.runs().await.iter().map(end).collect()
    }
}

/// One connection, `w`.
fn known() -> Known {
    Known { connections: [("w".to_owned(), Default::default())].into(), ..Known::default() }
}

//! The platform under test: servers, processes, and a store of our own to create runs and to look.

use std::{path::Path, sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use serde_json::json;
use tidemill_dag::{
    compile::{self, Compiled, Known, KnownConnection},
    id::RunId,
    state::TaskState,
    time::{Chance, Clock, Timestamp},
};
use tidemill_store::{
    NewRun, NewVersion, Store, StoreError, TriggerKind,
    transport::redis::{RedisOptions, RedisTransport},
};
use tidemill_stories::cluster::{Cluster, Part};
use tidemill_testkit::{Conditions, Postgres, S3Server};

use crate::dice::Dice;

/// Settings of the parts: short leases, so that a batch is short too.
const SETTINGS: &str = "worker: {slots: 4, lease: 2s, grace: 2s}\n";

/// What a worker is caught with. Long beside the time that a look into the state takes, short beside a batch.
const BAIT: &str = "
pipeline: bait
concurrency: {max_runs: 1000, on_overlap: allow}
tasks:
  bait: {shell: {command: 'sleep 2.5'}, retries: 9}
";

/// Where the parts find the key of the bucket.
const SECRET: &str = "CHAOS_S3_SECRET";

/// PostgreSQL takes so many connections: enough for all parts, and few enough to be used up.
const CONNECTIONS: u32 = 100;

/// The library that shifts the clock of a process.
const FAKETIME: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"];

/// Everything that runs.
pub struct Site {
    /// Servers and project.
    pub cluster: Cluster,
    /// The PostgreSQL that takes over when the cluster's is gone.
    pub spare: Postgres,
    /// Where data sets are.
    pub blobs: S3Server,
    /// A view of the state, as another process has it.
    pub store: Store,
    /// A way into the queues.
    pub transport: Arc<RedisTransport>,
    /// Workers.
    pub workers: Vec<Part>,
    /// Schedulers.
    pub schedulers: Vec<Part>,
    database: String,
    chance: Arc<Dice>,
}

/// The store takes its time from the database; nobody asks for this one.
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

impl Chance for Dice {
    fn draw(&self) -> f64 {
        self.below(1_000_000) as f64 / 1_000_000.0
    }

    fn bits(&self) -> u128 {
        Self::bits(self)
    }
}

impl Site {
    /// Starts the servers, three workers and two schedulers.
    pub async fn start(seed: u64) -> Self {
        let blobs = S3Server::start(Conditions::Kept);
        let settings = format!(
            "{SETTINGS}blobs: {{kind: s3, bucket: {}, endpoint: \"{}\", access_key: {}, secret_key: \"${{env:{SECRET}}}\"}}\n",
            S3Server::BUCKET,
            blobs.endpoint(),
            S3Server::KEYS.0
        );
        let postgres = Postgres::start_small(CONNECTIONS).expect("a PostgreSQL");
        let spare = Postgres::spare_small(CONNECTIONS).expect("a PostgreSQL");
        let mut cluster = Cluster::over(postgres, &settings).await;
        cluster.env.push((SECRET, S3Server::KEYS.1.to_owned()));
        let database = cluster.url.rsplit_once('/').and_then(|_| cluster.url.split(['/', '?']).nth(3));
        let database = database.expect("an address names a database").to_owned();
        cluster.url = cluster.postgres.url_of_both(&spare, &database);
        let transport = RedisTransport::new(&RedisOptions::new(cluster.redis.url())).expect("an address");
        let transport = Arc::new(transport);
        let chance = Arc::new(Dice::new(seed));
        let store = Store::open_shared(&cluster.url, Arc::new(NoClock), chance.clone(), transport.clone());
        let store = store.await.expect("a state");
        let (workers, schedulers) = (Vec::new(), Vec::new());
        let mut site = Self { cluster, spare, blobs, database, store, transport, workers, schedulers, chance };
        for _ in 0..2 {
            site.add_scheduler();
        }
        for _ in 0..3 {
            site.add_worker();
        }
        site
    }

    /// The database at the server that takes writes now.
    pub fn database(&self) -> String {
        self.cluster.postgres.url(&self.database)
    }

    /// Another worker.
    pub fn add_worker(&mut self) {
        let part = tokio::task::block_in_place(|| self.cluster.part(&["worker"]));
        self.workers.push(part);
    }

    /// Another scheduler.
    pub fn add_scheduler(&mut self) {
        let part = tokio::task::block_in_place(|| self.cluster.part(&["scheduler"]));
        self.schedulers.push(part);
    }

    /// A worker whose clock is off, as in `+1h`.
    pub fn add_worker_at(&mut self, offset: &str) {
        let part = tokio::task::block_in_place(|| self.cluster.part_with(&["worker"], &shifted(offset)));
        self.workers.push(part);
    }

    /// A scheduler whose clock is off.
    pub fn add_scheduler_at(&mut self, offset: &str) {
        let part = tokio::task::block_in_place(|| self.cluster.part_with(&["scheduler"], &shifted(offset)));
        self.schedulers.push(part);
    }

    /// One of the workers.
    pub fn take_worker(&mut self, dice: &Dice) -> Part {
        self.workers.remove(dice.below(self.workers.len()))
    }

    /// A worker that is in the middle of a task, stopped (SIGSTOP) so that it stays there; with the run of that task. The task
    /// is one of our own that goes on for long enough to be found, so this does not depend on luck.
    pub async fn take_busy_worker(&mut self) -> (Part, RunId) {
        loop {
            let bait = self.save(BAIT).await;
            let run = self.run(&bait, format!("bait-{:032x}", self.chance.bits())).await;
            let Some(found) = self.worker_of(run).await else { continue };
            self.workers[found].signal(Signal::SIGSTOP);
            // Its word that the task has ended may have been on its way.
            if self.holder(run).await.is_some() {
                return (self.workers.remove(found), run);
            }
            self.workers[found].signal(Signal::SIGCONT);
        }
    }

    /// Waits until a worker of ours runs the task of a run; none if the task ended before that was seen.
    async fn worker_of(&self, run: RunId) -> Option<usize> {
        loop {
            if let Some(holder) = self.holder(run).await {
                return self.workers.iter().position(|worker| worker.hello["id"].as_str() == Some(&*holder));
            }
            if self.store.run(run).await.is_ok_and(|run| run.state.is_finished()) {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Who runs the first task of a run now.
    async fn holder(&self, run: RunId) -> Option<String> {
        let tasks = self.store.tasks(run).await.ok()?;
        let task = tasks.first().filter(|task| task.state == TaskState::Running)?;
        task.owner.as_ref().map(|owner| owner.0.to_string())
    }

    /// One of the schedulers.
    pub fn take_scheduler(&mut self, dice: &Dice) -> Part {
        self.schedulers.remove(dice.below(self.schedulers.len()))
    }

    /// Reads and saves a definition.
    pub async fn save(&self, text: &str) -> Compiled {
        let out = KnownConnection { kind: "files".to_owned(), tables: None };
        let known = Known { connections: [("out".to_owned(), out)].into(), ..Known::default() };
        let compiled = compile::read(text, &known).unwrap_or_else(|found| panic!("{found:?} in {text}"));
        let version = NewVersion {
            pipeline: compiled.pipeline.pipeline.clone(),
            id: compiled.version.clone(),
            source: text.to_owned(),
            definition: serde_json::to_value(&compiled.pipeline).expect("a definition is JSON"),
            origin: json!({"from": "chaos"}),
        };
        self.store.save_version(version).await.expect("a version");
        compiled
    }

    /// Something that creates runs while the site is in other hands.
    pub fn creator(&self) -> Creator {
        Creator { store: self.store.clone(), chance: self.chance.clone() }
    }

    /// See [`Creator::run`].
    pub async fn run(&self, compiled: &Compiled, key: String) -> RunId {
        self.creator().run(compiled, key).await
    }

    /// How often workers wrote that they lost a lease or that a result came too late.
    pub fn refusals(&self) -> usize {
        let told = ["came too late", "the lease is lost", "no heartbeat for a whole lease"];
        let logs = std::fs::read_dir(self.cluster.folder()).into_iter().flatten().flatten().map(|entry| entry.path());
        let logs = logs.filter(|path| path.to_string_lossy().ends_with("worker.log"));
        let count = |text: String| told.iter().map(|words| text.matches(words).count()).sum::<usize>();
        logs.map(|path| std::fs::read_to_string(path).map_or(0, count)).sum()
    }

    /// Copies what the parts logged to where it outlives the test.
    pub fn keep_logs(&self) {
        let target = std::env::temp_dir().join("tidemill-chaos-logs");
        let _ = std::fs::create_dir_all(&target);
        for entry in std::fs::read_dir(self.cluster.folder()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                let _ = std::fs::copy(entry.path(), target.join(entry.file_name()));
            }
        }
        println!("  what the parts logged is in {}", target.display());
    }

    /// Ends everything as an administrator would.
    pub fn stop(self) {
        for part in self.workers.into_iter().chain(self.schedulers) {
            let log = part.log.clone();
            let code = part.stop();
            assert_eq!(code, 0, "{}", std::fs::read_to_string(log).unwrap_or_default());
        }
    }
}

/// Creates runs.
pub struct Creator {
    store: Store,
    chance: Arc<Dice>,
}

impl Creator {
    /// Creates the run of a key, and asks again while the answer does not come; the key makes it one run.
    pub async fn run(&self, compiled: &Compiled, key: String) -> RunId {
        let id = RunId::from_parts(self.store.clock().now(), self.chance.bits());
        let run = NewRun { trigger_key: Some(key), ..NewRun::of(id, compiled, TriggerKind::Api) };
        loop {
            match self.store.create_run(run.clone()).await {
                Ok(created) => return created.run,
                Err(StoreError::Database { .. } | StoreError::Contended { .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("a run is refused: {error}"),
            }
        }
    }
}

fn shifted(offset: &str) -> [(&'static str, String); 3] {
    let library = FAKETIME.into_iter().find(|path| Path::new(path).is_file());
    let library = library.expect("`faketime` is installed; `tests/run` installs what tests need");
    [
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME", offset.to_owned()),
        // Only what the clock on the wall shows is wrong.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

//! A project, a store over SQLite, and workers, all real.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tidemill_connectors::{ConnectionConfig, Connections, Folders};
use tidemill_dag::{
    compile::{self, Compiled, Known, KnownConnection},
    id::{RunId, WorkerId},
    state::{RunState, TaskState},
    time::{Chance, Clock},
};
use tidemill_engine::{Engine, EngineConfig};
use tidemill_store::{
    InProcess, LogQuery, NewRun, NewVersion, RunRecord, Store, StoredLine, TaskRecord, TriggerKind, blobs::Folder,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Wiring, Worker, WorkerConfig,
    tests::{Counting, RealClock},
};

pub struct Bed {
    pub folder: TempDir,
    pub store: Store,
    pub transport: Arc<InProcess>,
    pub wiring: Wiring,
    chance: Counting,
}

pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the worker ends");
    }
}

impl Bed {
    pub async fn new() -> Self {
        Self::with(InProcess::new()).await
    }

    pub async fn with(transport: InProcess) -> Self {
        Self::over(transport, None).await
    }

    /// With its state in a database of its own, or in the one at an address.
    pub async fn over(transport: InProcess, url: Option<String>) -> Self {
        let folder = TempDir::new().expect("a folder");
        for sub in ["data", "out"] {
            std::fs::create_dir(folder.path().join(sub)).expect("a folder");
        }
        let transport = Arc::new(transport);
        let url = url.unwrap_or_else(|| format!("sqlite:{}", folder.path().join("state.db").display()));
        let store = Store::open(&url, Arc::new(RealClock), Arc::new(Counting::default()), transport.clone())
            .await
            .expect("a store");
        let config = |path: &str| -> ConnectionConfig {
            serde_json::from_value(json!({ "kind": "files", "path": path })).expect("a connection")
        };
        let configs: BTreeMap<_, _> = [("data".to_owned(), config("data")), ("out".to_owned(), config("out"))].into();
        let connections = Connections::open(&configs, &Folders::at(folder.path())).expect("connections");
        let engine = Engine::new(EngineConfig::new(folder.path().join("spill"))).expect("an engine");
        let blobs = Folder::open(folder.path().join("blobs")).await.expect("blobs");
        let wiring = Wiring {
            store: store.clone(),
            transport: transport.clone(),
            engine,
            connections,
            blobs: Arc::new(blobs),
            clock: Arc::new(RealClock),
        };
        Self { folder, store, transport, wiring, chance: Counting::default() }
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    pub fn config(&self, id: &str) -> WorkerConfig {
        let data = self.folder.path().join("worker");
        let defaults = WorkerConfig::new(WorkerId(id.to_owned()), data, self.folder.path());
        WorkerConfig { python: crate::tests::python(), ..defaults }
    }

    pub fn start(&self, config: WorkerConfig) -> Running {
        let worker = Worker::new(config, self.wiring.clone()).expect("a worker");
        let stop = CancellationToken::new();
        let task = tokio::spawn(worker.run(stop.clone()));
        Running { stop, task }
    }

    pub fn worker(&self, id: &str) -> Running {
        self.start(self.config(id))
    }

    pub fn compile(&self, text: &str) -> Compiled {
        let known = |_| KnownConnection { kind: "files".to_owned(), tables: None };
        let connections = self.wiring.connections.0.keys().map(|name| (name.clone(), known(name))).collect();
        compile::read(text, &Known { connections, ..Known::default() })
            .unwrap_or_else(|wrong| panic!("{}", wrong.iter().map(|d| d.render("test")).collect::<Vec<_>>().join("\n")))
    }

    /// Saves a definition and creates a run of it.
    pub async fn create(&self, text: &str) -> RunId {
        let compiled = self.compile(text);
        self.create_of(&compiled).await
    }

    pub async fn create_of(&self, compiled: &Compiled) -> RunId {
        self.create_with(compiled, &json!({})).await
    }

    /// Keeps a definition.
    pub async fn save(&self, compiled: &Compiled) {
        let version = NewVersion {
            pipeline: compiled.pipeline.pipeline.clone(),
            id: compiled.version.clone(),
            source: String::new(),
            definition: serde_json::to_value(&compiled.pipeline).expect("JSON"),
            origin: json!({}),
        };
        self.store.save_version(version).await.expect("a version");
    }

    /// The same with parameters.
    pub async fn create_with(&self, compiled: &Compiled, given: &Value) -> RunId {
        self.save(compiled).await;
        let params: Map<String, Value> = compiled
            .pipeline
            .params
            .iter()
            .filter_map(|(name, param)| {
                Some((name.clone(), given.get(name).cloned().or_else(|| param.default.clone())?))
            })
            .collect();
        let new = NewRun {
            params: Value::Object(params),
            ..NewRun::of(RunId::from_parts(RealClock.now(), self.chance.bits()), compiled, TriggerKind::Manual)
        };
        self.store.create_run(new).await.expect("a run").run
    }

    /// Waits until the run is over; plays the scheduler meanwhile.
    pub async fn finished(&self, run: RunId) -> RunRecord {
        self.finished_within(run, 30).await
    }

    /// The same with so many seconds of patience.
    pub async fn finished_within(&self, run: RunId, patience: u64) -> RunRecord {
        let deadline = Instant::now() + Duration::from_secs(patience);
        let mut sweep = Instant::now();
        loop {
            let record = self.store.run(run).await.expect("the run");
            if !matches!(record.state, RunState::Queued | RunState::Running) {
                return record;
            }
            if Instant::now() > deadline {
                panic!("the run does not end: {:#?}", self.store.tasks(run).await);
            }
            if sweep.elapsed() > Duration::from_millis(50) {
                sweep = Instant::now();
                self.store.sweep().await.expect("a sweep");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Runs a definition to its end with one worker.
    pub async fn run(&self, text: &str) -> (RunRecord, Vec<TaskRecord>) {
        let worker = self.worker("w");
        let run = self.create(text).await;
        let record = self.finished(run).await;
        worker.stop().await;
        (record, self.store.tasks(run).await.expect("tasks"))
    }

    /// The tasks of a run that must succeed.
    pub async fn success(&self, text: &str) -> Vec<TaskRecord> {
        let (record, tasks) = self.run(text).await;
        assert_eq!(record.state, RunState::Succeeded, "{tasks:#?}");
        tasks
    }

    /// The first failed task of a run.
    pub async fn failure(&self, text: &str) -> TaskRecord {
        let (record, tasks) = self.run(text).await;
        assert_eq!(record.state, RunState::Failed, "{tasks:#?}");
        tasks.into_iter().find(|task| task.state == TaskState::Failed).expect("a failed task")
    }

    pub async fn logs(&self, run: RunId) -> Vec<StoredLine> {
        self.store.logs(LogQuery { run, ordinal: None, after: 0, limit: 10_000 }).await.expect("logs")
    }

    /// Every file under a folder of the project, by its path.
    pub fn files(&self, under: &str) -> Vec<PathBuf> {
        fn walk(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(&self.folder.path().join(under), &mut found);
        found
    }
}

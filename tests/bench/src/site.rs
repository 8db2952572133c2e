//! The product as `tidemill dev` assembles it, without routes: state, queue, worker, scheduler in one process.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::json;
use tidemill_connectors::Connections;
use tidemill_dag::{
    compile::{self, Compiled, Known},
    id::{RunId, WorkerId},
    state::RunState,
    time::{Chance, Clock},
};
use tidemill_engine::{Engine, EngineConfig};
use tidemill_scheduler::{Scheduler, Settings};
use tidemill_store::{NewRun, NewVersion, Page, RunFilter, RunRecord, Store, Transport, TriggerKind, blobs::Folder};
use tidemill_worker::{Wiring, Worker, WorkerConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    ambient::Ambient,
    ground::{Ground, State},
};

/// How often somebody who waits for a run looks.
const LOOK: Duration = Duration::from_millis(1);

/// A running product.
pub struct Site {
    pub store: Store,
    pub transport: Arc<dyn Transport>,
    pub ambient: Arc<Ambient>,
    stop: CancellationToken,
    parts: Vec<JoinHandle<()>>,
}

impl Site {
    /// The state alone: nobody works.
    pub async fn state_only(ground: &Ground, folder: &Path) -> Outcome<Self> {
        Self::over(ground.state(folder).await?).await
    }

    /// A state that is there: nobody works.
    pub async fn over(State { url, transport, .. }: State) -> Outcome<Self> {
        let ambient = Arc::new(Ambient::default());
        let store = Store::open_shared(&url, ambient.clone(), ambient.clone(), transport.clone()).await?;
        Ok(Self { store, transport, ambient, stop: CancellationToken::new(), parts: Vec::new() })
    }

    /// With a worker of so many slots (its default if unset) and a scheduler.
    pub async fn open(ground: &Ground, folder: &Path, slots: Option<usize>, python: &Path) -> Outcome<Self> {
        let mut site = Self::state_only(ground, folder).await?;
        site.add_worker(folder, slots, python).await?;
        site.add_scheduler();
        Ok(site)
    }

    /// Somebody sweeps.
    pub fn add_scheduler(&mut self) {
        let settings = Settings {
            clock: self.store.clock(),
            chance: self.ambient.clone(),
            known: Known::default(),
            presence: None,
            crons: true,
            period: Duration::from_secs(1),
        };
        let scheduler = Scheduler::new(self.store.clone(), settings);
        self.parts.push(tokio::spawn(scheduler.run(self.stop.clone())));
    }

    /// Somebody works.
    pub async fn add_worker(&mut self, folder: &Path, slots: Option<usize>, python: &Path) -> Outcome<()> {
        let site = self;
        let id = WorkerId(format!("bench-{}-{}", std::process::id(), site.ambient.now().0));
        let mut config = WorkerConfig::new(id, folder.join("work"), folder);
        config.slots = slots.unwrap_or(config.slots);
        config.python = python.to_owned();
        let wiring = Wiring {
            store: site.store.clone(),
            transport: site.transport.clone(),
            engine: Engine::new(EngineConfig::new(folder.join("spill")))?,
            connections: Connections::default(),
            blobs: Arc::new(Folder::open(folder.join("blobs")).await?),
            clock: site.store.clock(),
        };
        let worker = Worker::new(config, wiring)?;
        site.parts.push(tokio::spawn(worker.run(site.stop.clone())));
        Ok(())
    }

    /// Reads and saves a definition.
    pub async fn save(&self, text: &str) -> Outcome<Compiled> {
        let compiled = compile::read(text, &Known::default())
            .map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        let version = NewVersion {
            pipeline: compiled.pipeline.pipeline.clone(),
            id: compiled.version.clone(),
            source: text.to_owned(),
            definition: serde_json::to_value(&compiled.pipeline)?,
            origin: json!({"from": "benchmark"}),
        };
        self.store.save_version(version).await?;
        Ok(compiled)
    }

    /// A run of a saved definition, ready to be created.
    pub fn new_run(&self, compiled: &Compiled) -> NewRun {
        NewRun::of(RunId::from_parts(self.ambient.now(), self.ambient.bits()), compiled, TriggerKind::Api)
    }

    /// Starts a run and waits until its last row is written.
    pub async fn run(&self, compiled: &Compiled) -> Outcome<RunRecord> {
        let run = self.store.create_run(self.new_run(compiled)).await?.run;
        loop {
            let record = self.store.run(run).await?;
            if record.state.is_finished() {
                return succeeded(record);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until nothing is unfinished.
    pub async fn until_idle(&self) -> Outcome<()> {
        let filter = RunFilter { states: vec![RunState::Queued, RunState::Running], ..RunFilter::default() };
        while !self.store.runs(&filter, Page { before: None, limit: 1 }).await?.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Stops everything that was started.
    pub async fn close(self) -> Outcome<()> {
        self.stop.cancel();
        for part in self.parts {
            part.await?;
        }
        self.store.close().await;
        Ok(())
    }
}

/// A failed run measures nothing.
pub fn succeeded(record: RunRecord) -> Outcome<RunRecord> {
    match record.state {
        RunState::Succeeded => Ok(record),
        RunState::Queued | RunState::Running | RunState::Failed | RunState::Cancelled => {
            Err(format!("{} of {} is {}", record.id, record.pipeline, record.state).into())
        }
    }
}

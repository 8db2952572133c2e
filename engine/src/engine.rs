//! One engine per process: its memory, its spill folder, its threads.

mod pool;

use std::{fmt, future::Future, path::PathBuf, sync::Arc, thread};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::execution::{
    SendableRecordBatchStream, SessionState,
    disk_manager::{DiskManagerBuilder, DiskManagerMode},
    runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
};
use futures::{StreamExt, future::BoxFuture, stream};
use tidemill_dag::time::Timestamp;
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    task::{JoinError, JoinHandle},
};

use crate::{EngineError, Rows, Session, session};

/// Batches that may wait between the engine's threads and whoever takes them.
const WAITING_BATCHES: usize = 2;

/// One way to begin a query; none where it is no other than those before it.
pub(crate) type Opening = BoxFuture<'static, Result<Option<SendableRecordBatchStream>, EngineError>>;

/// How large the engine may become and where it may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Memory for sorting, grouping and joining, shared by everything that runs in this process. Batches on
    /// their way and Parquet buffers come on top (some 30 %).
    pub memory_bytes: usize,
    /// How many sessions share it: each sorts and groups in `memory_bytes / tasks` and spills what is more.
    pub tasks: usize,
    /// Where rows go that do not fit: a folder on a real disk. It is created, and what is left in it from a
    /// process that died is removed by the system or by hand; every process makes its own folder inside.
    pub spill_dir: PathBuf,
    /// At most this much on that disk.
    pub spill_bytes: u64,
    /// Parallel parts of one query. Each reserves memory of its own, so a few are better than many.
    pub partitions: usize,
    /// Threads for all queries together; 0 means one per core.
    pub threads: usize,
}

impl EngineConfig {
    /// Sensible limits for one machine: 512 MiB for two tasks, 20 GiB of spill, two parts, one thread per core.
    pub fn new(spill_dir: impl Into<PathBuf>) -> Self {
        Self {
            memory_bytes: 512 << 20,
            tasks: 2,
            spill_dir: spill_dir.into(),
            spill_bytes: 20 << 30,
            partitions: 2,
            threads: 0,
        }
    }
}

/// Runs SQL. Cheap to clone; all clones share one pool of memory and threads.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    environment: RuntimeEnv,
    blank: SessionState,
    memory: Arc<pool::Whole>,
    threads: Threads,
    config: EngineConfig,
}

/// A runtime that may be dropped anywhere, also inside another runtime.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// Starts the engine's threads and makes its spill folder.
    ///
    /// # Errors
    /// The folder cannot be made, or the system refuses threads.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let start = |problem: String| EngineError::Start { problem };
        if config.memory_bytes == 0 || config.partitions == 0 || config.tasks == 0 {
            return Err(start("memory, tasks and partitions must not be zero".to_owned()));
        }
        std::fs::create_dir_all(&config.spill_dir)
            .map_err(|error| start(format!("{}: {error}", config.spill_dir.display())))?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![config.spill_dir.clone()]))
            .with_max_temp_directory_size(config.spill_bytes)
            .with_max_spill_merge_fan_in(fan_in(&config));
        let environment = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .build()
            .map_err(|error| start(error.to_string()))?;
        let threads = match config.threads {
            0 => thread::available_parallelism().map_or(2, usize::from),
            set => set,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("engine")
            .thread_stack_size(4 << 20)
            .enable_all()
            .build()
            .map_err(|error| start(error.to_string()))?;
        let memory = pool::Whole::new(config.memory_bytes);
        let blank = session::blank(&config, &environment);
        Ok(Self { shared: Arc::new(Shared { environment, blank, memory, threads: Threads(Some(runtime)), config }) })
    }

    /// A session for one task: its own relations, the engine's limits. `now()` and `current_date` are `now`.
    pub fn session(&self, now: Timestamp) -> Session {
        Session::new(self.clone(), now)
    }

    /// The limits it was started with.
    pub fn config(&self) -> &EngineConfig {
        &self.shared.config
    }

    /// Memory reserved by running queries, in bytes.
    pub fn reserved_bytes(&self) -> usize {
        self.shared.memory.used()
    }

    /// Its threads.
    pub(crate) fn threads(&self) -> usize {
        self.shared.threads.0.as_ref().map_or(1, |runtime| runtime.metrics().num_workers())
    }

    /// What one session may use.
    pub(crate) fn share_bytes(&self) -> usize {
        self.shared.config.memory_bytes / self.shared.config.tasks
    }

    /// What every session begins with.
    pub(crate) fn blank(&self) -> &SessionState {
        &self.shared.blank
    }

    /// The engine's disk and caches with memory of its own for one session.
    pub(crate) fn environment(&self) -> Arc<RuntimeEnv> {
        let share = pool::Share::new(self.share_bytes(), Arc::clone(&self.shared.memory));
        Arc::new(RuntimeEnv { memory_pool: Arc::new(share), ..self.shared.environment.clone() })
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Task<T> {
        match &self.shared.threads.0 {
            Some(runtime) => Task(runtime.spawn(work)),
            None => unreachable!("the threads stop only when the last engine is dropped"),
        }
    }

    /// Runs work on the engine's threads; dropping the future stops it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        let mut task = self.spawn(work);
        match (&mut task.0).await {
            Ok(done) => done,
            Err(error) => Err(stopped(error)),
        }
    }

    /// Rows that are made on the engine's threads and taken anywhere. Dropping them stops the making. Where the
    /// first way runs out of memory before its first row, the next one is tried.
    pub(crate) fn produce(&self, schema: SchemaRef, ways: Vec<Opening>) -> Rows {
        let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
        let task = self.spawn(feed(ways, sender));
        let taken = stream::unfold(Some((receiver, task)), |state| async move {
            let (mut receiver, mut task) = state?;
            match receiver.recv().await {
                Some(item) => {
                    let ended = item.is_err();
                    Some((item, (!ended).then_some((receiver, task))))
                }
                None => (&mut task.0).await.err().map(|error| (Err(stopped(error)), None)),
            }
        });
        Rows::new(schema, taken)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

async fn feed(ways: Vec<Opening>, sender: mpsc::Sender<Result<RecordBatch, EngineError>>) {
    let mut failed = None;
    for way in ways {
        match pour(way, &sender).await {
            Ok(Poured::Done) => return,
            Ok(Poured::NoOtherWay) => {}
            Err((error @ EngineError::Memory { .. }, 0)) => {
                tracing::info!(%error, "out of memory before the first row");
                failed = failed.or(Some(error));
            }
            Err((error, _)) => return drop(sender.send(Err(error)).await),
        }
    }
    if let Some(error) = failed {
        drop(sender.send(Err(error)).await);
    }
}

enum Poured {
    Done,
    NoOtherWay,
}

/// Sends all rows, as long as somebody takes them; an error comes with the number of batches before it.
async fn pour(
    open: Opening,
    sender: &mpsc::Sender<Result<RecordBatch, EngineError>>,
) -> Result<Poured, (EngineError, usize)> {
    let Some(mut batches) = open.await.map_err(|error| (error, 0))? else { return Ok(Poured::NoOtherWay) };
    let mut sent = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| (EngineError::from(error), sent))?;
        if batch.num_rows() == 0 {
            continue;
        }
        if sender.send(Ok(batch)).await.is_err() {
            return Ok(Poured::Done);
        }
        sent += 1;
    }
    Ok(Poured::Done)
}

/// How many spilled runs are merged at once. A merge takes whatever memory there is, so without a bound the first
/// of several leaves nothing for the others. A run needs some 2 MiB, and half of a share is for merging.
fn fan_in(config: &EngineConfig) -> usize {
    const RUN_BYTES: usize = 2 << 20;
    let merging = config.memory_bytes / config.tasks / 2;
    (merging / config.partitions / 2 / RUN_BYTES).clamp(2, 32)
}

fn stopped(error: JoinError) -> EngineError {
    let problem = if error.is_panic() { "a thread of the engine panicked" } else { "the engine was shut down" };
    EngineError::Stopped { problem: problem.to_owned() }
}

/// Work that is stopped when nobody waits for it any more.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;

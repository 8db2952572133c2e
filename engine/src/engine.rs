//! One engine per process: its memory pool, its spill folder, its threads.

use std::{
    fmt,
    future::Future,
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    thread,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::execution::{
    SendableRecordBatchStream,
    disk_manager::{DiskManagerBuilder, DiskManagerMode},
    memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool},
    runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
};
use futures::{StreamExt, stream};
use tidemill_dag::time::Timestamp;
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    task::{JoinError, JoinHandle},
};

use crate::{EngineError, Rows, Session};

/// Batches that may wait between the engine's threads and whoever takes them.
const WAITING_BATCHES: usize = 2;

/// How many consumers an error about memory names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// How large the engine may become and where it may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Memory for sorting, grouping and joining, shared by everything that runs in this process. Batches on
    /// their way and Parquet buffers come on top (some 30 %).
    pub memory_bytes: usize,
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
    /// Sensible limits for one machine: 512 MiB, 20 GiB of spill, two parts, one thread per core.
    pub fn new(spill_dir: impl Into<PathBuf>) -> Self {
        Self {
            memory_bytes: 512 << 20,
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
    environment: Arc<RuntimeEnv>,
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
        if config.memory_bytes == 0 || config.partitions == 0 {
            return Err(start("memory and partitions must not be zero".to_owned()));
        }
        std::fs::create_dir_all(&config.spill_dir)
            .map_err(|error| start(format!("{}: {error}", config.spill_dir.display())))?;
        let pool: Arc<dyn MemoryPool> =
            Arc::new(TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes), NAMED_CONSUMERS));
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![config.spill_dir.clone()]))
            .with_max_temp_directory_size(config.spill_bytes);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(pool)
            .with_disk_manager_builder(disk)
            .build_arc()
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
        Ok(Self { shared: Arc::new(Shared { environment, threads: Threads(Some(runtime)), config }) })
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
        self.shared.environment.memory_pool.reserved()
    }

    pub(crate) fn environment(&self) -> Arc<RuntimeEnv> {
        Arc::clone(&self.shared.environment)
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

    /// Rows that are made on the engine's threads and taken anywhere. Dropping them stops the making.
    pub(crate) fn produce(
        &self,
        schema: SchemaRef,
        open: impl Future<Output = Result<SendableRecordBatchStream, EngineError>> + Send + 'static,
    ) -> Rows {
        let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
        let task = self.spawn(feed(open, sender));
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

async fn feed(
    open: impl Future<Output = Result<SendableRecordBatchStream, EngineError>> + Send,
    sender: mpsc::Sender<Result<RecordBatch, EngineError>>,
) {
    let mut batches = match open.await {
        Ok(batches) => batches,
        Err(error) => return drop(sender.send(Err(error)).await),
    };
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(EngineError::from);
        let failed = batch.is_err();
        if matches!(&batch, Ok(empty) if empty.num_rows() == 0) {
            continue;
        }
        if sender.send(batch).await.is_err() || failed {
            return;
        }
    }
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

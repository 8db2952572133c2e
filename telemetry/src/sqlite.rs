//! Records in a SQLite file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tidemill_dag::time::{Clock, Timestamp};

use crate::record::{PipelineStats, Record, Records, RecordsError, RunRow, TaskRow, WaitRow};
use crate::usage::{UseRow, UseStats};

/// A file of one machine.
pub struct SqliteRecords {
    pool: SqlitePool,
    place: String,
    clock: Arc<dyn Clock>,
    /// Rows written since old ones were last let go.
    since_sweep: AtomicU64,
}

/// How long rows stay: as long as the tables in ClickHouse keep theirs.
const KEPT: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Old rows go at the start, and after so many new ones.
const SWEEP_EVERY: u64 = 10_000;

const SCHEMA: [&str; 8] = [
    "CREATE TABLE IF NOT EXISTS run_records (run_id TEXT NOT NULL PRIMARY KEY, pipeline TEXT NOT NULL, \
     trigger_kind TEXT NOT NULL, state TEXT NOT NULL, finished_at INTEGER NOT NULL, wait_ms INTEGER NOT NULL, \
     duration_ms INTEGER NOT NULL, tasks INTEGER NOT NULL, failed INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS task_records (run_id TEXT NOT NULL, pipeline TEXT NOT NULL, task TEXT NOT NULL, \
     ordinal INTEGER NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL, queue TEXT NOT NULL, worker TEXT NOT NULL, \
     finished_at INTEGER NOT NULL, duration_ms INTEGER NOT NULL, error TEXT NOT NULL, \
     PRIMARY KEY (run_id, ordinal, attempt)) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS wait_records (run_id TEXT NOT NULL, pipeline TEXT NOT NULL, task TEXT NOT NULL, \
     ordinal INTEGER NOT NULL, queue TEXT NOT NULL, started_at INTEGER NOT NULL, wait_ms INTEGER NOT NULL, \
     PRIMARY KEY (run_id, ordinal)) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS use_records (call_id TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, tenant TEXT NOT NULL, \
     key_name TEXT NOT NULL, user_name TEXT NOT NULL, pipeline TEXT NOT NULL, run_id TEXT NOT NULL, task TEXT NOT NULL, \
     asked TEXT NOT NULL, deployment TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, attempts INTEGER NOT NULL, \
     cache TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cached INTEGER NOT NULL, \
     cache_written INTEGER NOT NULL, reasoning INTEGER NOT NULL, micros INTEGER NOT NULL, took_us INTEGER NOT NULL, \
     overhead_us INTEGER NOT NULL, first_us INTEGER NOT NULL, error TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS run_records_at ON run_records (finished_at)",
    "CREATE INDEX IF NOT EXISTS task_records_at ON task_records (finished_at)",
    "CREATE INDEX IF NOT EXISTS wait_records_at ON wait_records (started_at)",
    "CREATE INDEX IF NOT EXISTS use_records_at ON use_records (at)",
];

const OLD: [&str; 4] = [
    "DELETE FROM run_records WHERE finished_at < $1",
    "DELETE FROM task_records WHERE finished_at < $1",
    "DELETE FROM wait_records WHERE started_at < $1",
    "DELETE FROM use_records WHERE at < $1",
];

const RUN: &str = "INSERT OR REPLACE INTO run_records VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const TASK: &str = "INSERT OR REPLACE INTO task_records VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const WAIT: &str = "INSERT OR REPLACE INTO wait_records VALUES ($1, $2, $3, $4, $5, $6, $7)";
const USE: &str = "INSERT OR REPLACE INTO use_records VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
                   $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)";

/// Sums by tenant and model.
const USES: &str = "SELECT tenant, CASE model WHEN '' THEN asked ELSE model END AS served, COUNT(*), SUM(error <> ''), \
                    SUM(cache IN ('exact', 'semantic')), SUM(input), SUM(output), SUM(micros) FROM use_records \
                    WHERE at >= $1 GROUP BY 1, 2 ORDER BY 1, 2";

/// Pipeline, whether it failed, and the value, the least value first.
const RUNS: &str =
    "SELECT pipeline, state = 'failed', duration_ms FROM run_records WHERE finished_at >= $1 ORDER BY 1, 3";
const TASKS: &str = "SELECT pipeline, state = 'failed' OR error <> '', duration_ms FROM task_records WHERE finished_at >= $1 \
                     ORDER BY 1, 3";
const WAITS: &str = "SELECT pipeline, 0, wait_ms FROM wait_records WHERE started_at >= $1 ORDER BY 1, 3";

/// The values of one pipeline, in order, and how many of them belong to failures.
type Values = BTreeMap<String, (u64, Vec<u64>)>;

impl SqliteRecords {
    /// Opens a file, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, RecordsError> {
        let place = path.display().to_string();
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let pool = pool.map_err(|error| RecordsError {
            place: place.clone(),
            action: "prepared",
            problem: error.to_string(),
        })?;
        Ok(Self { pool, place, clock, since_sweep: AtomicU64::new(0) })
    }

    fn failed(&self, action: &'static str) -> impl Fn(sqlx::Error) -> RecordsError {
        let place = self.place.clone();
        move |error| RecordsError { place: place.clone(), action, problem: error.to_string() }
    }

    async fn write_all(&self, records: &[Record]) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        for record in records {
            let query = match record {
                Record::Run(row) => run(row),
                Record::Task(row) => task(row),
                Record::Wait(row) => wait(row),
                Record::Use(row) => used(row),
            };
            query.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        let rows = records.len() as u64;
        if self.since_sweep.fetch_add(rows, Ordering::Relaxed) + rows < SWEEP_EVERY {
            return Ok(());
        }
        self.sweep().await
    }

    /// Lets rows go that are older than [`KEPT`].
    async fn sweep(&self) -> Result<(), sqlx::Error> {
        self.since_sweep.store(0, Ordering::Relaxed);
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        let before = self.clock.now().0.saturating_sub(kept);
        for statement in OLD {
            sqlx::query(statement).bind(before).execute(&self.pool).await?;
        }
        Ok(())
    }

    async fn values(&self, sql: &'static str, since: Timestamp) -> Result<Values, sqlx::Error> {
        let mut all = Values::new();
        for row in sqlx::query(sql).bind(since.0).fetch_all(&self.pool).await? {
            let (failed, value): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
            let of = all.entry(row.try_get(0)?).or_default();
            of.0 += u64::from(failed != 0);
            of.1.push(u64::try_from(value).unwrap_or(0));
        }
        Ok(all)
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn run(row: &RunRow) -> Query<'_> {
    let query = sqlx::query(RUN).bind(&row.run_id).bind(&row.pipeline).bind(&row.trigger_kind).bind(&row.state);
    let query = query.bind(row.finished_at).bind(number(row.wait_ms)).bind(number(row.duration_ms));
    query.bind(i64::from(row.tasks)).bind(i64::from(row.failed))
}

fn task(row: &TaskRow) -> Query<'_> {
    let query = sqlx::query(TASK).bind(&row.run_id).bind(&row.pipeline).bind(&row.task).bind(i64::from(row.ordinal));
    let query = query.bind(i64::from(row.attempt)).bind(&row.state).bind(&row.queue).bind(&row.worker);
    query.bind(row.finished_at).bind(number(row.duration_ms)).bind(&row.error)
}

fn wait(row: &WaitRow) -> Query<'_> {
    let query = sqlx::query(WAIT).bind(&row.run_id).bind(&row.pipeline).bind(&row.task).bind(i64::from(row.ordinal));
    query.bind(&row.queue).bind(row.started_at).bind(number(row.wait_ms))
}

fn used(row: &UseRow) -> Query<'_> {
    let query = sqlx::query(USE).bind(&row.call_id).bind(row.at).bind(&row.tenant).bind(&row.key_name);
    let query = query.bind(&row.user_name).bind(&row.pipeline).bind(&row.run_id).bind(&row.task).bind(&row.asked);
    let query = query.bind(&row.deployment).bind(&row.provider).bind(&row.model).bind(i64::from(row.attempts));
    let query = query.bind(&row.cache).bind(number(row.input)).bind(number(row.output)).bind(number(row.cached));
    let query = query.bind(number(row.cache_written)).bind(number(row.reasoning)).bind(number(row.micros));
    let query = query.bind(number(row.took_us)).bind(number(row.overhead_us)).bind(number(row.first_us));
    query.bind(&row.error)
}

fn use_stats(row: &sqlx::sqlite::SqliteRow) -> Result<UseStats, sqlx::Error> {
    let sum = |place: usize| row.try_get::<i64, _>(place).map(|sum| u64::try_from(sum).unwrap_or(0));
    Ok(UseStats {
        tenant: row.try_get(0)?,
        model: row.try_get(1)?,
        calls: sum(2)?,
        failed: sum(3)?,
        from_cache: sum(4)?,
        input: sum(5)?,
        output: sum(6)?,
        micros: sum(7)?,
    })
}

/// As ClickHouse's `quantileExactLow(0.5)` and `quantileExact(0.9)` do it.
fn p50(values: &[u64]) -> u64 {
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

fn p90(values: &[u64]) -> u64 {
    values.get((values.len() * 9 / 10).min(values.len().saturating_sub(1))).copied().unwrap_or(0)
}

#[async_trait]
impl Records for SqliteRecords {
    async fn prepare(&self) -> Result<(), RecordsError> {
        for statement in SCHEMA {
            sqlx::query(statement).execute(&self.pool).await.map_err(self.failed("prepared"))?;
        }
        self.sweep().await.map_err(self.failed("prepared"))
    }

    async fn write(&self, records: &[Record]) -> Result<(), RecordsError> {
        self.write_all(records).await.map_err(self.failed("written"))
    }

    async fn uses(&self, since: Timestamp) -> Result<Vec<UseStats>, RecordsError> {
        let rows = sqlx::query(USES).bind(since.0).fetch_all(&self.pool).await.map_err(self.failed("read"))?;
        rows.iter().map(use_stats).collect::<Result<_, _>>().map_err(self.failed("read"))
    }

    async fn stats(&self, since: Timestamp) -> Result<Vec<PipelineStats>, RecordsError> {
        let failed = self.failed("read");
        let runs = self.values(RUNS, since).await.map_err(&failed)?;
        let tasks = self.values(TASKS, since).await.map_err(&failed)?;
        let waits = self.values(WAITS, since).await.map_err(&failed)?;
        let names: BTreeSet<&String> = runs.keys().chain(tasks.keys()).chain(waits.keys()).collect();
        let none = (0, Vec::new());
        let stats = |name: &String| {
            let (run, task) = (runs.get(name).unwrap_or(&none), tasks.get(name).unwrap_or(&none));
            let wait = waits.get(name).unwrap_or(&none);
            PipelineStats {
                pipeline: name.clone(),
                runs: run.1.len() as u64,
                runs_failed: run.0,
                run_p50: p50(&run.1),
                run_p90: p90(&run.1),
                tasks: task.1.len() as u64,
                tasks_failed: task.0,
                task_p50: p50(&task.1),
                task_p90: p90(&task.1),
                wait_p50: p50(&wait.1),
                wait_p90: p90(&wait.1),
            }
        };
        Ok(names.into_iter().map(stats).collect())
    }
}

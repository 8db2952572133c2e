//! Records in ClickHouse.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use clickhouse::{Client, Compression, Row, RowOwned, RowWrite, error::Error};
use serde::Serialize;
use tidemill_dag::time::Timestamp;

use crate::record::{PipelineStats, Record, Records, RecordsError, RunRow, TaskRow, WaitRow};
use crate::usage::{UseRow, UseStats};

/// Which server, and who asks.
#[derive(Clone)]
pub struct ClickHouseConfig {
    /// `http://host:8123` or `https://…`.
    pub url: String,
    /// The database; it must be there.
    pub database: String,
    /// The user.
    pub user: String,
    /// Its password; may be empty.
    pub password: String,
}

impl fmt::Debug for ClickHouseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseConfig").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A ClickHouse server.
pub struct ClickHouse {
    client: Client,
    place: String,
}

const SCHEMA: [&str; 2] = [
    include_str!("../../migrations/clickhouse/0001_records.sql"),
    include_str!("../../migrations/clickhouse/0002_uses.sql"),
];
const PATIENCE: Duration = Duration::from_secs(10);

const STATS: &str = "SELECT pipeline, sum(r) AS runs, sum(rf) AS runs_failed, max(r50) AS run_p50, max(r90) AS run_p90, \
    sum(t) AS tasks, sum(tf) AS tasks_failed, max(t50) AS task_p50, max(t90) AS task_p90, max(w50) AS wait_p50, max(w90) AS wait_p90 \
    FROM (SELECT toString(pipeline) AS pipeline, count() AS r, countIf(state = 'failed') AS rf, \
    quantileExactLow(0.5)(duration_ms) AS r50, quantileExact(0.9)(duration_ms) AS r90, \
    0 AS t, 0 AS tf, 0 AS t50, 0 AS t90, 0 AS w50, 0 AS w90 \
    FROM run_records FINAL WHERE toUnixTimestamp64Micro(finished_at) >= ? GROUP BY pipeline \
    UNION ALL SELECT toString(pipeline), 0, 0, 0, 0, count(), countIf(state = 'failed' OR error != ''), \
    quantileExactLow(0.5)(duration_ms), quantileExact(0.9)(duration_ms), 0, 0 \
    FROM task_records FINAL WHERE toUnixTimestamp64Micro(finished_at) >= ? GROUP BY pipeline \
    UNION ALL SELECT toString(pipeline), 0, 0, 0, 0, 0, 0, 0, 0, quantileExactLow(0.5)(wait_ms), quantileExact(0.9)(wait_ms) \
    FROM wait_records FINAL WHERE toUnixTimestamp64Micro(started_at) >= ? GROUP BY pipeline) \
    GROUP BY pipeline ORDER BY pipeline";

const USES: &str = "SELECT toString(tenant) AS tenant, toString(if(model = '', asked, model)) AS model, count() AS calls, \
    countIf(error != '') AS failed, countIf(cache IN ('exact', 'semantic')) AS from_cache, \
    sum(u.input) AS input, sum(u.output) AS output, sum(u.micros) AS micros \
    FROM use_records AS u FINAL WHERE toUnixTimestamp64Micro(at) >= ? GROUP BY tenant, model ORDER BY tenant, model";

impl ClickHouse {
    /// Sets a client up; nobody is asked yet.
    pub fn new(config: ClickHouseConfig) -> Self {
        let place = format!("ClickHouse, database `{}`", config.database);
        // Batches are small; bytes on the wire are worth less than the time to squeeze them.
        let client = Client::default()
            .with_url(config.url)
            .with_database(config.database)
            .with_user(config.user)
            .with_password(config.password)
            .with_compression(Compression::None)
            .with_validation(false);
        Self { client, place }
    }

    fn failed(&self, action: &'static str) -> impl Fn(Error) -> RecordsError {
        let place = self.place.clone();
        move |error| RecordsError { place: place.clone(), action, problem: error.to_string() }
    }

    async fn insert<R>(&self, table: &str, rows: impl Iterator<Item = &R> + Send) -> Result<(), Error>
    where
        R: RowOwned + RowWrite + Serialize + Sync,
        R: for<'r> Row<Value<'r> = R>,
    {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut insert = self.client.insert::<R>(table).await?.with_timeouts(Some(PATIENCE), Some(PATIENCE));
        for row in rows {
            insert.write(row).await?;
        }
        insert.end().await
    }
}

#[async_trait]
impl Records for ClickHouse {
    async fn prepare(&self) -> Result<(), RecordsError> {
        for statement in SCHEMA.into_iter().flat_map(statements) {
            let done = within(self.client.query(&statement).execute()).await;
            done.map_err(self.failed("prepared"))?;
        }
        Ok(())
    }

    async fn write(&self, records: &[Record]) -> Result<(), RecordsError> {
        let runs: Vec<&RunRow> =
            records.iter().filter_map(|it| if let Record::Run(row) = it { Some(row) } else { None }).collect();
        let tasks: Vec<&TaskRow> =
            records.iter().filter_map(|it| if let Record::Task(row) = it { Some(row) } else { None }).collect();
        let waits: Vec<&WaitRow> =
            records.iter().filter_map(|it| if let Record::Wait(row) = it { Some(row) } else { None }).collect();
        let uses: Vec<&UseRow> =
            records.iter().filter_map(|it| if let Record::Use(row) = it { Some(&**row) } else { None }).collect();
        let written = async {
            self.insert("run_records", runs.into_iter()).await?;
            self.insert("task_records", tasks.into_iter()).await?;
            self.insert("wait_records", waits.into_iter()).await?;
            self.insert("use_records", uses.into_iter()).await
        };
        within(written).await.map_err(self.failed("written"))
    }

    async fn uses(&self, since: Timestamp) -> Result<Vec<UseStats>, RecordsError> {
        let query = self.client.query(USES).bind(since.0);
        within(query.fetch_all::<UseStats>()).await.map_err(self.failed("read"))
    }

    async fn stats(&self, since: Timestamp) -> Result<Vec<PipelineStats>, RecordsError> {
        let query = self.client.query(STATS).bind(since.0).bind(since.0).bind(since.0);
        within(query.fetch_all::<PipelineStats>()).await.map_err(self.failed("read"))
    }
}

/// A server that says nothing must not be waited for for ever.
async fn within<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(3 * PATIENCE, answer).await.unwrap_or(Err(Error::TimedOut))
}

/// The statements of a file, without comments.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    code.join("\n").split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

//! How the state itself is: for health, for the doctor, and for whoever asks who works.

use std::time::Duration;

use serde::Serialize;
use tidemill_dag::time::Timestamp;

use crate::{
    Store, StoreError,
    db::{Columns, Db, Sql},
};

/// What waits to be moved on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Tasks that any worker may take.
    pub ready: u32,
    /// Since when the first of them is.
    pub ready_since: Option<Timestamp>,
    /// Since when the first lease or wake-up time is over that nobody has looked at.
    pub overdue_since: Option<Timestamp>,
}

/// How many there are of what has not ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs by state.
    pub runs: Vec<(String, u64)>,
    /// Tasks by state, without those that wait for others.
    pub tasks: Vec<(String, u64)>,
    /// Tasks that any worker may take, by queue; the longest queues first, at most a hundred.
    pub queues: Vec<(String, u64)>,
    /// Deliveries of events that were given up.
    pub lost_deliveries: u64,
}

/// The database as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseFacts {
    /// `sqlite` or `postgres`.
    pub kind: &'static str,
    /// Its version.
    pub version: String,
    /// What time it has; SQLite has none of its own.
    pub time: Option<Timestamp>,
    /// The newest step of the schema that was done.
    pub schema: i64,
    /// The newest step that this program knows.
    pub known: i64,
}

const PING: &str = "SELECT COUNT(*) FROM schedules WHERE pipeline = ''";

const READY: &str = "SELECT COUNT(*), MIN(ready_at) FROM tasks WHERE state = 'ready'";

const OVERDUE: &str = "SELECT MIN(at) FROM (SELECT MIN(lease_until) AS at FROM tasks WHERE state = 'running' \
                       UNION ALL SELECT MIN(wake_at) FROM tasks WHERE state = 'waiting') AS due WHERE at < $1";

const FACTS: Sql = Sql {
    sqlite: "SELECT sqlite_version(), NULL, (SELECT MAX(version) FROM _sqlx_migrations WHERE success)",
    postgres: "SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
               (SELECT MAX(version) FROM _sqlx_migrations WHERE success)",
};

const OPEN_RUNS: &str = "SELECT state, COUNT(*) FROM runs WHERE finished_at IS NULL GROUP BY state ORDER BY state";

const OPEN_TASKS: &str = "SELECT 'ready', COUNT(*) FROM tasks WHERE state = 'ready' \
                          UNION ALL SELECT 'running', COUNT(*) FROM tasks WHERE state = 'running' \
                          UNION ALL SELECT 'waiting', COUNT(*) FROM tasks WHERE state = 'waiting'";

const QUEUES: &str =
    "SELECT queue, COUNT(*) FROM tasks WHERE state = 'ready' GROUP BY queue ORDER BY COUNT(*) DESC, queue LIMIT 100";

const LOST: &str = "SELECT 'lost', COUNT(*) FROM lost_deliveries";

impl Store {
    /// How many runs and tasks there are that have not ended.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let lost = self.counted(LOST).await?;
        Ok(Counts {
            runs: self.counted(OPEN_RUNS).await?,
            tasks: self.counted(OPEN_TASKS).await?,
            queues: self.counted(QUEUES).await?,
            lost_deliveries: lost.first().map_or(0, |(_, count)| *count),
        })
    }

    async fn counted(&self, sql: &'static str) -> Result<Vec<(String, u64)>, StoreError> {
        let pair = |row| {
            let mut columns = Columns::of(row, "counts");
            let (name, count): (String, i64) = (columns.next("name")?, columns.next("count")?);
            Ok((name, u64::try_from(count).unwrap_or(0)))
        };
        self.desk.db.read("count what is open", sql, &[]).await?.iter().map(pair).collect()
    }

    /// Asks the database something small; returns how long the answer took.
    pub async fn ping(&self) -> Result<Duration, StoreError> {
        let start = self.desk.clock.now();
        self.desk.db.read("ask for a sign of life", PING, &[]).await?;
        Ok(self.desk.clock.now().since(start))
    }

    /// What waits to be moved on.
    pub async fn pulse(&self) -> Result<Pulse, StoreError> {
        let now = self.desk.clock.now();
        let mut pulse = Pulse::default();
        if let Some(row) = self.desk.db.read("count ready tasks", READY, &[]).await?.first() {
            let mut columns = Columns::of(row, "tasks");
            pulse.ready = columns.next("ready")?;
            pulse.ready_since = columns.next("ready_at")?;
        }
        if let Some(row) = self.desk.db.read("look for what is overdue", OVERDUE, &[now.into()]).await?.first() {
            pulse.overdue_since = Columns::of(row, "tasks").next("at")?;
        }
        Ok(pulse)
    }

    /// The database as it presents itself.
    pub async fn database(&self) -> Result<DatabaseFacts, StoreError> {
        let kind = match &self.desk.db {
            Db::Sqlite { .. } => "sqlite",
            Db::Postgres { .. } => "postgres",
        };
        let rows = self.desk.db.read("ask the database about itself", FACTS, &[]).await?;
        let row = rows.first().ok_or(StoreError::Closed)?;
        let mut columns = Columns::of(row, "the database");
        Ok(DatabaseFacts {
            kind,
            version: columns.next("version")?,
            time: columns.next("time")?,
            schema: columns.next("schema")?,
            known: crate::db::newest_step(),
        })
    }
}

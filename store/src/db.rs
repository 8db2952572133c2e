//! The two databases behind one face: connections, transactions, values in and rows out.

mod batch;
mod hosts;
mod row;
mod schema;

use std::{sync::Arc, time::Duration};

use sqlx::{
    Connection, Executor, Postgres, Sqlite, Transaction,
    pool::PoolOptions,
    postgres::PgPool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous},
};

use crate::StoreError;

use hosts::{Hosts, Watch};

pub(crate) use batch::{Batch, batch, cell};
pub(crate) use row::{Arg, Columns, Row, json};
pub(crate) use schema::newest_step;

/// A statement: one text where both databases understand it, two where not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self { sqlite: both, postgres: both }
    }
}

/// An open database.
#[derive(Debug, Clone)]
pub(crate) enum Db {
    /// One writer, because SQLite has one; readers see the last commit and never wait for it.
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres {
        pool: PgPool,
        /// Keeps the pool at the host that takes writes, where there are several.
        _watch: Option<Arc<Watch>>,
    },
}

/// A transaction. Dropped without [`Tx::commit`] it leaves nothing.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// How long a process waits for another one that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(10);
/// How long an operation waits for a connection to PostgreSQL.
const PATIENCE: Duration = Duration::from_secs(10);
const READERS: u32 = 4;
const CONNECTIONS: u32 = 10;

/// Tries again what changes nothing by itself while it meets only connections that the server has closed since they were
/// last used; there are no more of them than the pool holds.
macro_rules! connected {
    ($once:expr) => {{
        let mut tries = 0;
        loop {
            match $once {
                Err(error) if tries <= CONNECTIONS && is_lost(&error) => tries += 1,
                done => break done,
            }
        }
    }};
}

impl Db {
    /// Opens the database behind an address and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let shown = redact(url);
        let open = |source| StoreError::Open { url: shown.clone(), source: Arc::new(source) };
        let db = if let Some(path) = url.strip_prefix("sqlite:") {
            Self::sqlite(path).await.map_err(open)?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let address = |problem: &str| StoreError::Address { url: shown.clone(), problem: problem.to_owned() };
            let hosts = Hosts::read(url).map_err(address)?;
            Self::postgres(hosts).await.map_err(open)?
        } else {
            let problem = "it must start with `sqlite:` or `postgres:`".into();
            return Err(StoreError::Address { url: shown, problem });
        };
        schema::migrate(&db).await.map_err(|source| StoreError::Migrate { url: shown, source: Arc::new(source) })?;
        Ok(db)
    }

    /// A promise of ours is that a step that was answered is on the disk, so every commit is flushed
    /// (`synchronous = FULL`; `NORMAL` in WAL mode would keep the file whole but may lose the last commits
    /// with the power). Group commit pays for it.
    async fn sqlite(path: &str) -> Result<Self, sqlx::Error> {
        let memory = path == ":memory:";
        let path = path.strip_prefix("//").unwrap_or(path);
        let options = if memory {
            SqliteConnectOptions::new().in_memory(true)
        } else {
            SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
        };
        let options = options
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .pragma("temp_store", "memory")
            .statement_cache_capacity(256);
        // A connection that may go away would take a database in memory with it.
        let pool = |size| {
            PoolOptions::new().max_connections(size).idle_timeout(None).max_lifetime(None).test_before_acquire(false)
        };
        let writer: SqlitePool = pool(1).connect_with(options.clone()).await?;
        let readers = if memory { writer.clone() } else { pool(READERS).connect_lazy_with(options.read_only(true)) };
        Ok(Self::Sqlite { writer, readers })
    }

    /// Every statement of ours goes by key over a handful of rows. Plans made once, when the tables
    /// were empty, would scan them for ever; so the planner is told to walk the indexes.
    async fn postgres(hosts: Hosts) -> Result<Self, sqlx::Error> {
        let hosts = hosts.each(|options| {
            options
                .application_name("tidemill")
                .options([
                    ("plan_cache_mode", "force_generic_plan"),
                    ("enable_seqscan", "off"),
                    ("enable_hashjoin", "off"),
                    ("enable_mergejoin", "off"),
                    ("jit", "off"),
                ])
                .statement_cache_capacity(256)
        });
        // A pool would go on trying where nothing listens; whoever opens wants to know at once.
        let session = hosts.find().await?;
        let mut pool =
            PoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).test_before_acquire(false);
        if !hosts.several() {
            session.close().await?;
            return Ok(Self::Postgres { pool: pool.connect_lazy_with(hosts.current()), _watch: None });
        }
        let hosts = Arc::new(hosts);
        let known = Arc::clone(&hosts);
        pool = pool.after_connect(|session, _| Box::pin(hosts::check(session))).before_acquire(move |_, known_for| {
            let fresh = !known.is_stale(known_for.age);
            Box::pin(async move { Ok(fresh) })
        });
        let pool: PgPool = pool.connect_lazy_with(hosts.current());
        let watch = Arc::new(hosts.watch(pool.clone(), session));
        Ok(Self::Postgres { pool, _watch: Some(watch) })
    }

    /// Begins a transaction that may write. SQLite takes its write lock at once: a read that turns into
    /// a write later could not wait for another writer.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite { writer, .. } => begin_writing(writer).await.map(Tx::Sqlite),
            Self::Postgres { pool, .. } => connected!(pool.begin().await).map(Tx::Postgres),
        }
        .map_err(failed("begin a transaction"))
    }

    /// Begins a transaction that sees one moment and writes nothing.
    pub async fn begin_reading(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite { readers, .. } => readers.begin().await.map(Tx::Sqlite),
            Self::Postgres { pool, .. } => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                connected!(pool.begin_with(begin).await).map(Tx::Postgres)
            }
        }
        .map_err(failed("begin to read"))
    }

    /// Reads with one statement.
    pub async fn read(
        &self,
        action: &'static str,
        sql: impl Into<Sql>,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        match self {
            Self::Sqlite { readers, .. } => sqlite_rows(readers, sql, args).await,
            Self::Postgres { pool, .. } => connected!(postgres_rows(pool, sql, args).await),
        }
        .map_err(failed(action))
    }

    /// Changes rows with one statement, in a transaction of its own.
    pub async fn change(
        &self,
        action: &'static str,
        sql: impl Into<Sql>,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx.rows(action, sql, args).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Waits until every connection is closed.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

impl Tx {
    /// Runs a statement and returns its rows.
    pub async fn rows(
        &mut self,
        action: &'static str,
        sql: impl Into<Sql>,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        match self {
            Self::Sqlite(tx) => sqlite_rows(&mut **tx, sql, args).await,
            Self::Postgres(tx) => postgres_rows(&mut **tx, sql, args).await,
        }
        .map_err(failed(action))
    }

    /// Runs a statement and returns how many rows it touched.
    pub async fn run(
        &mut self,
        action: &'static str,
        sql: impl Into<Sql>,
        args: &[Arg<'_>],
    ) -> Result<u64, StoreError> {
        let sql = sql.into();
        match self {
            Self::Sqlite(tx) => sqlite_run(&mut **tx, sql, args).await,
            Self::Postgres(tx) => postgres_run(&mut **tx, sql, args).await,
        }
        .map_err(failed(action))
    }

    /// Runs a statement that SQLite, with its one writer, has no need of.
    pub async fn run_on_postgres(&mut self, action: &'static str, sql: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => self.run(action, sql, &[]).await.map(drop),
        }
    }

    /// Makes it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
        .map_err(failed("commit"))
    }
}

/// A commit that fails because the disk is full has undone the transaction, but the driver still counts it and would refuse every
/// later one; such a connection is replaced.
async fn begin_writing(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    const BEGIN: &str = "BEGIN IMMEDIATE";
    match writer.begin_with(BEGIN).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            writer.acquire().await?.close().await?;
            writer.begin_with(BEGIN).await
        }
        begun => begun,
    }
}

/// The same two functions for each database: sqlx's types allow no generic one that reads as well.
macro_rules! statements {
    ($database:ident, $text:ident, $bind:path, $row:path, $rows:ident, $run:ident) => {
        async fn $rows<'c>(
            on: impl Executor<'c, Database = $database>,
            sql: Sql,
            args: &[Arg<'_>],
        ) -> Result<Vec<Row>, sqlx::Error> {
            let query = args.iter().fold(sqlx::query(sql.$text), $bind);
            Ok(query.fetch_all(on).await?.into_iter().map($row).collect())
        }

        async fn $run<'c>(
            on: impl Executor<'c, Database = $database>,
            sql: Sql,
            args: &[Arg<'_>],
        ) -> Result<u64, sqlx::Error> {
            let query = args.iter().fold(sqlx::query(sql.$text), $bind);
            Ok(query.execute(on).await?.rows_affected())
        }
    };
}
statements!(Sqlite, sqlite, Arg::bind_sqlite, Row::Sqlite, sqlite_rows, sqlite_run);
statements!(Postgres, postgres, Arg::bind_postgres, Row::Postgres, postgres_rows, postgres_run);

fn failed(action: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Database { action, source: Arc::new(source) }
}

/// An address for people: what stands between the user's name and the host, and every option, stays out.
pub(crate) fn redact(url: &str) -> String {
    let (url, options) = url.split_once('?').map_or((url, ""), |(url, _)| (url, "?…"));
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (&url[..scheme.len() + 3], rest));
    let shown = match rest.rsplit_once('@') {
        Some((login, place)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:…@{place}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    format!("{scheme}{shown}{options}")
}

/// Whether the same transaction may succeed when it is tried again at once.
pub(crate) fn passes(error: &StoreError) -> bool {
    if let StoreError::Database { source, .. } = error
        && let sqlx::Error::Database(database) = &**source
    {
        // PostgreSQL: serialization failure, deadlock. SQLite: busy, locked and their extended forms.
        const PASSING: [&str; 8] = ["40001", "40P01", "5", "6", "261", "262", "517", "773"];
        return database.code().is_some_and(|code| PASSING.contains(&code.as_ref()));
    }
    matches!(error, StoreError::Contended { .. })
}

/// Whether the database itself is out of reach, so that no other statement would fare better.
pub(crate) fn is_away(error: &StoreError) -> bool {
    match error {
        StoreError::Database { source, .. } => is_lost(source) || !matches!(**source, sqlx::Error::Database(_)),
        _ => false,
    }
}

/// Whether the connection is of no use any more, be it that the server said goodbye (57P01 and its kin, 08…) or said nothing, or
/// that it takes no writes any more (25006): then it follows another one, which is looked for.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(database) => {
            database.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25006")
        }
        _ => false,
    }
}

/// Tries a transaction again while it only loses against others.
macro_rules! tried {
    ($once:expr) => {{
        let mut tries = 0;
        loop {
            match $once {
                Err(error) if tries < 8 && crate::db::passes(&error) => tries += 1,
                done => break done,
            }
        }
    }};
}
pub(crate) use tried;

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn addresses_lose_their_passwords() {
        for (url, shown) in [
            ("postgres://bob:s3cret@db:5432/tm", "postgres://bob:…@db:5432/tm"),
            ("postgres://bob:p@ss:w@db/tm", "postgres://bob:…@db/tm"),
            ("postgres://bob@db/tm?password=s3cret", "postgres://bob@db/tm?…"),
            ("postgres://db/tm", "postgres://db/tm"),
            ("sqlite:state.db", "sqlite:state.db"),
            ("mysql://u:s3cret@h/d", "mysql://u:…@h/d"),
            ("u:s3cret@h/d", "u:…@h/d"),
        ] {
            assert_eq!(redact(url), shown);
        }
    }
}

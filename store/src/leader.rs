//! Who sweeps. Any number of processes may want to; a session lock of PostgreSQL lets one of them. To sweep twice would be
//! harmless, since every change is fenced, but a waste.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use crate::{Store, db::Db};

/// The lock. Locks of this kind belong to one database, so installations beside each other do not meet.
const LOCK: i64 = 0x7469_6465_6d69_6c6c;

/// The server ends a session that says nothing for so long and gives the lock to somebody else: a leader that was
/// stopped in its tracks must not keep the others from sweeping.
const IDLE: &str = "SET idle_session_timeout = '5s'";

/// An answer takes at most so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// A session of its own, which is what holds the lock.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    session: Option<PgConnection>,
    held: bool,
}

impl Seat {
    /// Whether the lock is ours; none if the database does not say.
    async fn try_ask(&mut self, db: &Db) -> Option<bool> {
        let problem = match tokio::time::timeout(PATIENCE, self.ask(db)).await {
            Ok(Ok(leads)) => return Some(leads),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::info!(problem, "the database does not say who leads");
        self.session = None;
        None
    }

    async fn ask(&mut self, db: &Db) -> Result<bool, sqlx::Error> {
        let Db::Postgres { pool, .. } = db else { return Ok(true) };
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                let mut session = PgConnection::connect_with(&pool.connect_options()).await?;
                sqlx::query(IDLE).execute(&mut session).await?;
                self.session.insert(session)
            }
        };
        if self.held {
            session.ping().await?;
            return Ok(true);
        }
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(session).await
    }
}

impl Store {
    /// Whether this process leads; to be asked before every sweep. A connection that is lost is leadership lost. On SQLite,
    /// where all processes are on one machine, everybody leads.
    pub async fn leads(&self) -> bool {
        let mut seat = self.seat.lock().await;
        let mut leads = seat.try_ask(&self.desk.db).await;
        if leads.is_none() && !seat.held {
            // The session may have ended long ago; that says nothing about a new one.
            leads = seat.try_ask(&self.desk.db).await;
        }
        let leads = leads.unwrap_or(false);
        if leads && !seat.held {
            // Another leader may have seen tickets get lost that this process knows nothing of.
            self.sweeps.forget();
            tracing::info!("this process leads now");
        }
        seat.held = leads;
        leads
    }

    /// Lets somebody else lead at once.
    pub async fn resign(&self) {
        let mut seat = self.seat.lock().await;
        seat.held = false;
        if let Some(mut session) = seat.session.take() {
            let leave = async {
                // The end of a session frees its locks too, but a moment later.
                sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut session).await?;
                session.close().await
            };
            let _ = tokio::time::timeout(PATIENCE, leave).await;
        }
    }
}

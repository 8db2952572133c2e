//! The store itself: opening it, and the operations that share transactions.

use std::{fmt, sync::Arc, time::Duration};

use tidemill_dag::{
    id::{Ticket, WorkerId},
    time::{Chance, Clock, Timestamp},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Claimed, Created, NewRun, Report, StoreError, Transport, Verdict,
    clock::DatabaseClock,
    db::Db,
    desk::{Answer, Cause, Desk, Moment, Pending, Request},
    leader::Seat,
    sweep::SweepMemory,
};

/// A handle to the state. Cheap to clone; the last one dropped ends its background task.
#[derive(Clone)]
pub struct Store {
    pub(crate) desk: Arc<Desk>,
    pub(crate) sweeps: Arc<SweepMemory>,
    pub(crate) seat: Arc<tokio::sync::Mutex<Seat>>,
    requests: mpsc::Sender<Pending>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// Requests that wait for the transaction under way; more than that wait in their callers.
const WAITING: usize = 1_024;

impl Store {
    /// Opens `sqlite:PATH`, `sqlite::memory:` or `postgres://…` and brings its schema up to date.
    ///
    /// Several processes may open one database. In SQLite every answered step is flushed to the disk.
    pub async fn open(
        url: &str,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StoreError> {
        let db = Db::open(url).await?;
        Ok(Self::over(db, clock, chance, transport))
    }

    /// The same for a state that several hosts share: on PostgreSQL, the time is the database's, so that a host whose clock
    /// is wrong does no harm. SQLite has one host, and keeps `clock`.
    pub async fn open_shared(
        url: &str,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StoreError> {
        let db = Db::open(url).await?;
        let clock = match &db {
            Db::Postgres { .. } => DatabaseClock::start(&db).await?,
            Db::Sqlite { .. } => clock,
        };
        Ok(Self::over(db, clock, chance, transport))
    }

    fn over(db: Db, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>, transport: Arc<dyn Transport>) -> Self {
        let desk = Arc::new(Desk::new(db, clock, chance, transport));
        let (requests, waiting) = mpsc::channel(WAITING);
        tokio::spawn(Arc::clone(&desk).serve(waiting));
        Self { desk, sweeps: Arc::default(), seat: Arc::default(), requests }
    }

    /// The clock that leases and wake-up times go by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.desk.clock)
    }

    /// Closes the database once what is under way is done; later calls fail.
    pub async fn close(&self) {
        self.desk.db.close().await;
    }

    /// Creates a run, or finds the one that the same trigger key or id made before. It starts, waits or is
    /// skipped as its pipeline's `concurrency` says.
    pub async fn create_run(&self, new: NewRun) -> Result<Created, StoreError> {
        self.create(new, Cause::Plain).await
    }

    /// Creates the run of one moment of a schedule and notes the moment, in one transaction; none if moments beyond `after`
    /// were dealt with meanwhile by somebody else, or the schedule is paused. The moment is the run's trigger key too.
    pub async fn fire_schedule(
        &self,
        trigger: u32,
        (after, moment): (Timestamp, Timestamp),
        run: NewRun,
    ) -> Result<Option<Created>, StoreError> {
        let key = format!("cron/{trigger}/{}", moment.0);
        let cause = Cause::Moment(Moment { trigger, at: moment, after });
        match self.create(NewRun { trigger_key: Some(key), ..run }, cause).await {
            Err(StoreError::Contended { .. }) => Ok(None),
            created => created.map(Some),
        }
    }

    pub(crate) async fn create(&self, new: NewRun, cause: Cause) -> Result<Created, StoreError> {
        match self.ask(Request::Create(Box::new(new), cause)).await? {
            Answer::Created(created) => Ok(created),
            Answer::Claimed(_) | Answer::Completed(_) => Err(StoreError::Closed),
        }
    }

    /// Takes the tasks behind these tickets for a worker, if they are still to be had. What is stale,
    /// repeated or cancelled is left out silently.
    pub async fn claim(
        &self,
        tickets: &[Ticket],
        worker: &WorkerId,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        if tickets.is_empty() {
            return Ok(Vec::new());
        }
        let request = Request::Claim { tickets: tickets.to_vec(), worker: worker.clone(), lease };
        match self.ask(request).await? {
            Answer::Claimed(claimed) => Ok(claimed),
            Answer::Completed(_) | Answer::Created(_) => Err(StoreError::Closed),
        }
    }

    /// Takes a worker's report. If the answer gets lost, tell it again: it counts once.
    pub async fn complete(&self, report: Report) -> Result<Verdict, StoreError> {
        match self.ask(Request::Complete(Box::new(report))).await? {
            Answer::Completed(verdict) => Ok(*verdict),
            Answer::Claimed(_) | Answer::Created(_) => Err(StoreError::Closed),
        }
    }

    async fn ask(&self, request: Request) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Pending { request, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

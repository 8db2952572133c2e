//! Events on their way out: sinks read them in the order in which they became visible, and each remembers how far it is.
//!
//! One process at a time serves a sink, by a lease on its row; what a sink took is written under that lease, so a process
//! that comes back late moves nothing. Between a delivery and the note of it a process may end: then the next one delivers
//! the same events again.

use std::time::Duration;

use serde::Serialize;
use tidemill_dag::{
    id::{VersionId, WorkerId},
    time::Timestamp,
};

use crate::{
    EventRecord, Store, StoreError, TriggerKind,
    db::{Columns, Row, Sql, tried},
    read::event_record,
};

/// How far a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cursor {
    /// The transaction of the last event.
    pub tx: i64,
    /// Its id.
    pub id: i64,
}

/// Where a sink that is new begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest event there is.
    Oldest,
    /// With what happens from now on.
    Now,
}

/// A sink, as the process that serves it finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkState {
    /// The last event it took.
    pub cursor: Cursor,
    /// How often the next delivery has failed.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
}

/// A sink, as people look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkRecord {
    /// Its name.
    pub name: String,
    /// The process that serves it.
    pub owner: WorkerId,
    /// When it was last served.
    pub seen_at: Timestamp,
    /// How often the next delivery has failed.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
    /// Events that it has not taken yet; counted up to 10,000.
    pub behind: u32,
}

/// An event with what readers outside want to know about its run and task.
#[derive(Debug, Clone, PartialEq)]
pub struct OutEvent {
    /// Its place in the order.
    pub cursor: Cursor,
    /// The event.
    pub event: EventRecord,
    /// The pipeline.
    pub pipeline: String,
    /// The version that runs.
    pub version: VersionId,
    /// What made the run.
    pub trigger: TriggerKind,
    /// When the run was accepted.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// How many tasks it has.
    pub tasks_total: u32,
    /// How many of them failed.
    pub tasks_failed: u32,
    /// The task, where the event is about one.
    pub task: Option<OutTask>,
}

/// What an event says about its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutTask {
    /// Its name in the definition.
    pub name: String,
    /// The queue it goes to.
    pub queue: String,
    /// When it first became ready.
    pub ready_at: Option<Timestamp>,
    /// When its current or last attempt began.
    pub started_at: Option<Timestamp>,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostDelivery {
    /// Grows with time.
    pub id: i64,
    /// The sink.
    pub sink: String,
    /// The event.
    pub event: i64,
    /// When it was given up.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub problem: String,
    /// What was sent.
    pub body: String,
}

/// On PostgreSQL, behind every transaction that has a number by now: its snapshot's minimum would be older than events that
/// are long told where any transaction of the server, even of another database, stays open.
const NOW: Sql = Sql {
    sqlite: "SELECT 0, COALESCE(MAX(id), 0) FROM events",
    postgres: "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1, 9223372036854775807",
};

const LEASE: &str = "INSERT INTO event_sinks (name, tx, id, owner, lease_until, seen_at, failures) \
                     VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, \
                     lease_until = excluded.lease_until, seen_at = excluded.seen_at \
                     WHERE event_sinks.owner = excluded.owner OR event_sinks.lease_until <= excluded.seen_at \
                     RETURNING tx, id, failures, retry_at";

macro_rules! unread {
    ($horizon:literal) => {
        concat!(
            "SELECT e.tx, e.id, e.run_id, e.ordinal, e.attempt, e.at, e.event, e.from_state, e.to_state, e.owner, e.detail, ",
            "r.pipeline, r.version, r.trigger_kind, r.created_at, r.started_at, r.tasks_total, r.tasks_failed, ",
            "t.name, t.queue, t.ready_at, t.started_at FROM events AS e CROSS JOIN runs AS r ",
            "LEFT JOIN tasks AS t ON t.run_id = e.run_id AND t.ordinal = e.ordinal ",
            "WHERE r.id = e.run_id AND (e.tx, e.id) > ($1, $2)",
            $horizon,
            " ORDER BY e.tx, e.id LIMIT $3"
        )
    };
}
const UNREAD: Sql =
    Sql { sqlite: unread!(""), postgres: unread!(" AND e.tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint") };

const TAKEN: &str = "UPDATE event_sinks SET tx = $3, id = $4, failures = 0, retry_at = NULL, seen_at = $5 \
                     WHERE name = $1 AND owner = $2 RETURNING name";

const FAILED: &str = "UPDATE event_sinks SET failures = failures + 1, retry_at = $3, seen_at = $4 \
                      WHERE name = $1 AND owner = $2 RETURNING name";

const LEAVE: &str = "UPDATE event_sinks SET lease_until = $3 WHERE name = $1 AND owner = $2";

const LOSE: &str =
    "INSERT INTO lost_deliveries (sink, event_id, at, attempts, problem, body) VALUES ($1, $2, $3, $4, $5, $6)";

const LOST: &str = "SELECT id, sink, event_id, at, attempts, problem, body FROM lost_deliveries WHERE id < $1 \
                    ORDER BY id DESC LIMIT $2";

const SINKS: &str = "SELECT s.name, s.owner, s.seen_at, s.failures, s.retry_at, (SELECT COUNT(*) FROM \
                     (SELECT 1 FROM events AS e WHERE (e.tx, e.id) > (s.tx, s.id) LIMIT 10000) AS unread) \
                     FROM event_sinks AS s ORDER BY s.name";

#[cfg(test)]
pub(crate) const STATEMENTS: [(Sql, u8); 3] =
    [(UNREAD, 3), (Sql { sqlite: TAKEN, postgres: TAKEN }, 5), (Sql { sqlite: FAILED, postgres: FAILED }, 4)];

impl Store {
    /// Makes a sink this process' to serve for a while, or keeps it so; none if another one serves it.
    pub async fn lease_sink(
        &self,
        sink: &str,
        start: Start,
        owner: &WorkerId,
        lease: Duration,
    ) -> Result<Option<SinkState>, StoreError> {
        let now = self.desk.clock.now();
        let from = match start {
            Start::Oldest => Cursor { tx: -1, id: -1 },
            Start::Now => {
                let rows = self.desk.db.read("find the end of the events", NOW, &[]).await?;
                rows.first().map_or(Err(StoreError::Closed), |row| cursor(&mut Columns::of(row, "events")))?
            }
        };
        let args =
            [sink.into(), from.tx.into(), from.id.into(), owner.0.as_str().into(), now.after(lease).into(), now.into()];
        let rows = tried!(self.desk.db.change("take a sink", LEASE, &args).await)?;
        let state = |row: &Row| {
            let mut columns = Columns::of(row, "event_sinks");
            let cursor = cursor(&mut columns)?;
            Ok(SinkState { cursor, failures: columns.next("failures")?, retry_at: columns.next("retry_at")? })
        };
        rows.first().map(state).transpose()
    }

    /// Events after a place in their order, the first first.
    pub async fn unread_events(&self, after: Cursor, limit: u32) -> Result<Vec<OutEvent>, StoreError> {
        let args = [after.tx.into(), after.id.into(), limit.into()];
        self.desk.db.read("read events to be delivered", UNREAD, &args).await?.iter().map(out_event).collect()
    }

    /// Notes that a sink took everything up to here; false if it is no longer this process' to serve.
    pub async fn sink_took(&self, sink: &str, owner: &WorkerId, upto: Cursor) -> Result<bool, StoreError> {
        let now = self.desk.clock.now();
        let args = [sink.into(), owner.0.as_str().into(), upto.tx.into(), upto.id.into(), now.into()];
        Ok(!tried!(self.desk.db.change("note what a sink took", TAKEN, &args).await)?.is_empty())
    }

    /// Notes that a delivery failed, and when it is tried again.
    pub async fn sink_failed(&self, sink: &str, owner: &WorkerId, retry_at: Timestamp) -> Result<bool, StoreError> {
        let now = self.desk.clock.now();
        let args = [sink.into(), owner.0.as_str().into(), retry_at.into(), now.into()];
        Ok(!tried!(self.desk.db.change("note that a sink failed", FAILED, &args).await)?.is_empty())
    }

    /// Gives a delivery up for good: it goes to the list of lost ones, and the sink goes on behind it.
    pub async fn lose_delivery(&self, owner: &WorkerId, upto: Cursor, lost: &LostDelivery) -> Result<bool, StoreError> {
        tried!(self.lose_once(owner, upto, lost).await)
    }

    async fn lose_once(&self, owner: &WorkerId, upto: Cursor, lost: &LostDelivery) -> Result<bool, StoreError> {
        let now = self.desk.clock.now();
        let sink = lost.sink.as_str();
        let mut tx = self.desk.db.begin().await?;
        let args = [sink.into(), owner.0.as_str().into(), upto.tx.into(), upto.id.into(), now.into()];
        if tx.rows("pass over a delivery", TAKEN, &args).await?.is_empty() {
            return Ok(false);
        }
        let args = [
            sink.into(),
            lost.event.into(),
            now.into(),
            lost.attempts.into(),
            lost.problem.as_str().into(),
            lost.body.as_str().into(),
        ];
        tx.run("note a lost delivery", LOSE, &args).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Lets another process serve a sink at once.
    pub async fn leave_sink(&self, sink: &str, owner: &WorkerId) -> Result<(), StoreError> {
        let args = [sink.into(), owner.0.as_str().into(), Timestamp(0).into()];
        self.desk.db.change("leave a sink", LEAVE, &args).await.map(drop)
    }

    /// Every sink that was ever served.
    pub async fn sinks(&self) -> Result<Vec<SinkRecord>, StoreError> {
        let read = |row: &Row| {
            let mut columns = Columns::of(row, "event_sinks");
            Ok(SinkRecord {
                name: columns.next("name")?,
                owner: columns.next("owner")?,
                seen_at: columns.next("seen_at")?,
                failures: columns.next("failures")?,
                retry_at: columns.next("retry_at")?,
                behind: columns.next("behind")?,
            })
        };
        self.desk.db.read("list sinks", SINKS, &[]).await?.iter().map(read).collect()
    }

    /// Deliveries that were given up, the newest first; `before` is the last one of the page before.
    pub async fn lost_deliveries(&self, before: Option<i64>, limit: u32) -> Result<Vec<LostDelivery>, StoreError> {
        let read = |row: &Row| {
            let mut columns = Columns::of(row, "lost_deliveries");
            Ok(LostDelivery {
                id: columns.next("id")?,
                sink: columns.next("sink")?,
                event: columns.next("event_id")?,
                at: columns.next("at")?,
                attempts: columns.next("attempts")?,
                problem: columns.next("problem")?,
                body: columns.next("body")?,
            })
        };
        let args = [before.unwrap_or(i64::MAX).into(), limit.into()];
        self.desk.db.read("list lost deliveries", LOST, &args).await?.iter().map(read).collect()
    }
}

fn cursor(columns: &mut Columns<'_>) -> Result<Cursor, StoreError> {
    Ok(Cursor { tx: columns.next("tx")?, id: columns.next("id")? })
}

fn out_event(row: &Row) -> Result<OutEvent, StoreError> {
    let mut columns = Columns::of(row, "events");
    let tx = columns.next("tx")?;
    let event = event_record(&mut columns)?;
    let pipeline = columns.next("pipeline")?;
    let version: String = columns.next("version")?;
    let trigger = columns.named("trigger_kind")?;
    let (created_at, started_at) = (columns.next("created_at")?, columns.next("started_at")?);
    let (tasks_total, tasks_failed) = (columns.next("tasks_total")?, columns.next("tasks_failed")?);
    let name: Option<String> = columns.next("name")?;
    let queue: Option<String> = columns.next("queue")?;
    let (ready_at, task_started) = (columns.next("ready_at")?, columns.next("started_at")?);
    let task = name.zip(queue).map(|(name, queue)| OutTask { name, queue, ready_at, started_at: task_started });
    Ok(OutEvent {
        cursor: Cursor { tx, id: event.id },
        event,
        pipeline,
        version: VersionId(version),
        trigger,
        created_at,
        started_at,
        tasks_total,
        tasks_failed,
        task,
    })
}

//! Who takes tasks: what workers say of themselves.

use std::{collections::BTreeMap, time::Duration};

use tidemill_dag::{id::WorkerId, time::Timestamp};

use crate::{
    Store, StoreError,
    db::{Arg, Columns, Row, tried},
};

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorker {
    /// How it names itself in leases.
    pub id: WorkerId,
    /// The machine.
    pub host: String,
    /// The program's version.
    pub version: String,
    /// The queues it takes from.
    pub queues: Vec<String>,
    /// What its configuration says about it.
    pub labels: BTreeMap<String, String>,
    /// How many tasks it works on at the same time.
    pub slots: u32,
    /// Whether it takes no more tasks.
    pub draining: bool,
}

/// A worker as the state knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownWorker {
    /// What it said of itself.
    pub worker: NewWorker,
    /// Tasks that it holds now.
    pub running: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}

impl KnownWorker {
    /// A worker that was not heard of for so long is taken for gone.
    pub const SILENCE: Duration = Duration::from_secs(15);

    /// Whether it was heard of lately.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now.since(self.seen_at) < Self::SILENCE
    }
}

/// Those that ended without a word are forgotten after so long.
const FORGET: Duration = Duration::from_secs(24 * 3_600);

const GREET: &str = "INSERT INTO workers (id, host, version, queues, labels, slots, draining, started_at, seen_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) \
                     ON CONFLICT (id) DO UPDATE SET draining = excluded.draining, seen_at = excluded.seen_at";

const LEAVE: &str = "DELETE FROM workers WHERE id = $1";

const FORGET_OLD: &str = "DELETE FROM workers WHERE seen_at < $1";

const LIST: &str = "SELECT w.id, w.host, w.version, w.queues, w.labels, w.slots, w.draining, w.started_at, w.seen_at, \
                    (SELECT count(*) FROM tasks AS t WHERE t.owner = w.id) FROM workers AS w ORDER BY w.host, w.id";

impl Store {
    /// A worker says that it is there; to be said again every few seconds.
    pub async fn greet(&self, worker: &NewWorker) -> Result<(), StoreError> {
        let now = self.desk.clock.now();
        let args = [
            worker.id.0.as_str().into(),
            worker.host.as_str().into(),
            worker.version.as_str().into(),
            Arg::json(&worker.queues),
            Arg::json(&worker.labels),
            worker.slots.into(),
            i64::from(worker.draining).into(),
            now.into(),
        ];
        tried!(self.desk.db.change("note a worker", GREET, &args).await).map(drop)
    }

    /// A worker says that it ends.
    pub async fn leave(&self, worker: &WorkerId) -> Result<(), StoreError> {
        tried!(self.desk.db.change("forget a worker", LEAVE, &[worker.0.as_str().into()]).await).map(drop)
    }

    /// Every worker that was heard of in the last day and did not say that it ends, by host.
    pub async fn workers(&self) -> Result<Vec<KnownWorker>, StoreError> {
        self.desk.db.read("list workers", LIST, &[]).await?.iter().map(record).collect()
    }

    /// Forgets workers that ended without a word long ago.
    pub(crate) async fn forget_workers(&self, now: Timestamp) -> Result<(), StoreError> {
        let micros = i64::try_from(FORGET.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(now.0.saturating_sub(micros));
        tried!(self.desk.db.change("forget old workers", FORGET_OLD, &[before.into()]).await).map(drop)
    }
}

fn record(row: &Row) -> Result<KnownWorker, StoreError> {
    let mut columns = Columns::of(row, "workers");
    let id: String = columns.next("id")?;
    let (host, version) = (columns.next("host")?, columns.next("version")?);
    let (queues, labels) = (columns.json("queues")?, columns.json("labels")?);
    let slots = columns.next("slots")?;
    let draining: i64 = columns.next("draining")?;
    let worker = NewWorker { id: WorkerId(id), host, version, queues, labels, slots, draining: draining != 0 };
    let (started_at, seen_at) = (columns.next("started_at")?, columns.next("seen_at")?);
    Ok(KnownWorker { worker, started_at, seen_at, running: columns.next("running")? })
}

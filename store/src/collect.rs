//! Retention and the collection of garbage: what is old goes, and what a live manifest names never does.
//!
//! **Data sets** of a run are live until the run has ended for longer than its retention. Then the run is marked; after a
//! time of grace, and unless it was resumed meanwhile, its removal begins, and from then on a resume is refused. Both
//! steps lock the run's row, as a resume does, so one of them sees the other. **Blobs that nothing names** (attempts that
//! lost, processes that were killed) are noted when they are first seen and removed when they are seen again after the
//! time of grace. The list of blobs is taken before the database is asked about it: what a run that has ended does not
//! name then, no later attempt can name, because every attempt writes under names of its own. **Log lines and events** go
//! by age alone; events of a run go together, and only when every sink has read them.

mod aged;
mod garbage;
mod rows;

use std::{collections::HashSet, time::Duration};

use serde::Serialize;
use tidemill_dag::{id::RunId, time::Timestamp};

#[cfg(test)]
use crate::db::Sql;
use crate::{
    Store, StoreError,
    blobs::{Blobs, Claim, claim, take_over},
    db::Columns,
};

pub(crate) use aged::{no_longer_aged, without_history};

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Data sets, from the end of their run. None: for ever.
    pub datasets: Option<Duration>,
    /// Log lines, from when they were printed. None: for ever.
    pub logs: Option<Duration>,
    /// Events, from the end of their run. None: for ever.
    pub events: Option<Duration>,
    /// How long what is to be removed stays where it is.
    pub grace: Duration,
}

/// What one collection did, or in a dry run would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Runs whose data sets were found to be old enough; they go after the time of grace.
    pub runs_marked: u64,
    /// Runs whose data sets were removed.
    pub runs_emptied: u64,
    /// Blobs that nothing names, seen for the first time.
    pub garbage_seen: u64,
    /// Blobs removed, of runs and of nobody.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Uploads that were begun by processes that are gone.
    pub uploads: u64,
    /// Log lines removed.
    pub logs: u64,
    /// Runs whose events were removed.
    pub runs_forgotten: u64,
    /// Events removed.
    pub events: u64,
}

/// A writer that has not finished for so long is taken for dead.
const UNFINISHED: Duration = Duration::from_secs(24 * 3_600);

/// One pass: what it may do and what it has found out.
pub(crate) struct Pass<'p> {
    store: &'p Store,
    blobs: &'p dyn Blobs,
    retention: Retention,
    now: Timestamp,
    dry: bool,
    /// Blobs of a run that a task of another run names.
    lent: HashSet<String>,
    done: Collected,
}

impl Store {
    /// The name of this database among those that could share a place: random, made once.
    pub async fn installation(&self) -> Result<String, StoreError> {
        let id = format!("tm-{:032x}", self.desk.chance.bits());
        let args = [id.as_str().into()];
        self.desk.db.change("name the installation", MAKE_INSTALLATION, &args).await?;
        let rows = self.desk.db.read("read the installation's name", INSTALLATION, &[]).await?;
        rows.first().map_or(Ok(id), |row| Columns::of(row, "installation").next("id"))
    }

    /// Makes a place for blobs this database's own, or says that it is another one's.
    pub async fn own_place(&self, blobs: &dyn Blobs) -> Result<(), StoreError> {
        match claim(blobs, &self.installation().await?).await? {
            Claim::Ours => Ok(()),
            Claim::Others(owner) => Err(StoreError::PlaceTaken { owner }),
        }
    }

    /// Takes a place over from an installation that is gone.
    pub async fn take_over_place(&self, blobs: &dyn Blobs) -> Result<(), StoreError> {
        let installation = self.installation().await?;
        Ok(take_over(blobs, &installation).await?)
    }

    /// Removes what is older than it is to be kept, and blobs that nothing names. With `dry`, only says what it would.
    pub async fn collect(&self, blobs: &dyn Blobs, retention: Retention, dry: bool) -> Result<Collected, StoreError> {
        if !dry {
            self.own_place(blobs).await?;
        }
        let now = self.desk.clock.now();
        let lent = aged::lent(self).await?;
        let mut pass = Pass { store: self, blobs, retention, now, dry, lent, done: Collected::default() };
        if !dry {
            pass.done.uploads = blobs.drop_unfinished(before(now, UNFINISHED)).await?;
        }
        pass.mark().await?;
        pass.empty().await?;
        pass.sweep_garbage().await?;
        pass.forget_lines().await?;
        pass.forget_events().await?;
        Ok(pass.done)
    }

    /// Whether it is this process' turn to do a chore: true for one of all that ask, once every `period`.
    pub async fn turn(&self, chore: &str, period: Duration) -> Result<bool, StoreError> {
        let now = self.desk.clock.now();
        let args = [chore.into(), now.after(period).into(), now.into()];
        Ok(!self.desk.db.change("take a turn", TURN, &args).await?.is_empty())
    }
}

const MAKE_INSTALLATION: &str = "INSERT INTO installation (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING";
const INSTALLATION: &str = "SELECT id FROM installation";
const TURN: &str = "INSERT INTO chores (name, due_at) VALUES ($1, $2) \
                    ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at WHERE chores.due_at <= $3 \
                    RETURNING name";

/// Those that go by key; whoever removes the oldest rows of a table walks along its key instead.
#[cfg(test)]
pub(crate) fn statements() -> (Vec<Sql>, Vec<(Sql, u8)>) {
    let mut all = aged::statements();
    all.extend(rows::statements());
    all.push((TURN.into(), 3));
    ([&garbage::BATCHES[..], &[aged::EMPTIED]].concat(), all)
}

/// The moment that lies so long before another.
fn before(now: Timestamp, length: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(length.as_micros()).unwrap_or(i64::MAX)))
}

/// Where the blobs of a run lie.
fn folder_of(run: RunId) -> String {
    format!("runs/{run}/")
}

//! Runs that started runs, and runs whose time is over. A child's end wakes the task that waits for it; a cancelled run takes
//! the runs along that its tasks wait for. What a process did not come to do, the sweep does.

use tidemill_dag::{
    id::{RunId, TaskKey},
    state::{Event, RunEvent, RunState},
    time::Timestamp,
};

use super::Desk;
use crate::{
    StoreError,
    db::{Columns, Row, Tx, tried},
    door::{After, Door, Ended},
};

const PIPELINE: &str = "SELECT pipeline FROM runs WHERE id = $1";

const CHILDREN: &str =
    "SELECT id FROM runs WHERE parent_run = $1 AND parent_run IS NOT NULL AND finished_at IS NULL ORDER BY id";

const ORPHANS: &str = "SELECT c.id FROM runs AS c JOIN runs AS p ON p.id = c.parent_run \
                       WHERE c.parent_run IS NOT NULL AND c.finished_at IS NULL AND p.state = 'cancelled' \
                       ORDER BY c.id LIMIT $1";

const OVERDUE: &str = "SELECT id FROM runs WHERE deadline_at <= $1 AND deadline_at IS NOT NULL AND finished_at IS NULL \
                       ORDER BY deadline_at LIMIT $2";

const LATE: &str = "UPDATE runs SET late_since = late_at, late_at = NULL \
                    WHERE late_at <= $1 AND late_at IS NOT NULL AND finished_at IS NULL RETURNING id";

/// At most so many runs are stopped by one sweep.
const AT_ONCE: u32 = 500;

/// Why a run is stopped whose time is over.
const OVERDUE_REASON: &str = "its timeout passed";
/// Why a run is stopped that another one waited for.
const ORPHAN_REASON: &str = "the run that started it was cancelled";

fn ids(rows: &[Row]) -> Result<Vec<RunId>, StoreError> {
    rows.iter().map(|row| Columns::of(row, "runs").next("id")).collect()
}

impl Desk {
    /// After the commit: what follows from the end of runs, each step in a transaction of its own.
    pub(super) async fn after_the_end(&self, ended: Ended) -> Vec<After> {
        let mut more = Vec::new();
        if let Some(parent) = ended.parent {
            match tried!(self.wake_once(parent).await) {
                Ok(after) => more.push(after),
                Err(error) => left_to_the_sweep("a task that waits for a run", ended.run, &error),
            }
        }
        if ended.cancelled {
            match self.stop_children(ended.run).await {
                Ok(after) => more.extend(after),
                Err(error) => left_to_the_sweep("runs that a cancelled one started", ended.run, &error),
            }
        }
        more
    }

    async fn wake_once(&self, task: TaskKey) -> Result<After, StoreError> {
        let mut tx = self.db.begin().await?;
        let mut door = Door::new(&mut tx, self.clock.now());
        door.open(&[(task, false)].into()).await?;
        door.tell(task, &Event::Wake)?;
        door.settle().await?;
        let after = door.write().await?;
        tx.commit().await?;
        Ok(after)
    }

    async fn stop_children(&self, of: RunId) -> Result<Vec<After>, StoreError> {
        let mut after = Vec::new();
        for child in ids(&self.db.read("look for runs that a run started", CHILDREN, &[of.into()]).await?)? {
            after.push(self.stop(child, ORPHAN_REASON).await?);
        }
        Ok(after)
    }

    async fn stop(&self, run: RunId, reason: &str) -> Result<After, StoreError> {
        tried!(self.stop_once(run, reason, RunState::is_finished).await)
    }

    /// Cancels a run, unless its state says that there is nothing to do.
    pub(crate) async fn stop_once(
        &self,
        run: RunId,
        reason: &str,
        nothing_to_do: fn(RunState) -> bool,
    ) -> Result<After, StoreError> {
        let mut tx = self.db.begin().await?;
        let mut door = self.door_of(&mut tx, run).await?;
        if nothing_to_do(door.run(run)?.state) {
            return Ok(After::default());
        }
        door.move_run(run, RunEvent::Cancel, Some(reason))?;
        door.settle().await?;
        let after = door.write().await?;
        tx.commit().await?;
        Ok(after)
    }

    /// A door with a run and its pipeline locked, in that order of locks that all keep.
    pub(crate) async fn door_of<'t>(&self, tx: &'t mut Tx, run: RunId) -> Result<Door<'t>, StoreError> {
        let rows = tx.rows("find a run", PIPELINE, &[run.into()]).await?;
        let row = rows.first().ok_or(StoreError::NoRun(run))?;
        let pipeline: String = Columns::of(row, "runs").next("pipeline")?;
        let mut door = Door::new(tx, self.clock.now());
        door.lock_pipeline(&pipeline).await?;
        door.lock_runs([run].into()).await?;
        Ok(door)
    }

    /// Stops runs whose time is over and runs whose parents are cancelled, and notes which are late. Returns how many were stopped.
    pub async fn keep_time(&self, now: Timestamp) -> Result<usize, StoreError> {
        let overdue = ids(&self.db.read("look for runs out of time", OVERDUE, &[now.into(), AT_ONCE.into()]).await?)?;
        let orphans = ids(&self.db.read("look for runs of cancelled ones", ORPHANS, &[AT_ONCE.into()]).await?)?;
        let reasons = [(overdue, OVERDUE_REASON), (orphans, ORPHAN_REASON)];
        let mut stopped = 0;
        for (run, reason) in
            reasons.into_iter().flat_map(|(runs, reason)| runs.into_iter().map(move |run| (run, reason)))
        {
            let after = self.stop(run, reason).await?;
            self.follow_up(after).await;
            stopped += 1;
        }
        for run in ids(&tried!(self.db.change("note late runs", LATE, &[now.into()]).await)?)? {
            tracing::warn!(%run, "late: the run has not ended within the time that its definition expects");
        }
        Ok(stopped)
    }
}

fn left_to_the_sweep(what: &str, run: RunId, error: &StoreError) {
    tracing::warn!(%run, error = error as &dyn std::error::Error, "{what} are left to the sweep");
}

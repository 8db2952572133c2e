//! Backfills: created here, driven by the scheduler, one run per partition whatever breaks in between.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::{
    backfill::{self, BackfillEvent, BackfillState, PartitionState, Reprocess, may_start},
    id::{RunId, VersionId},
    state::RunState,
    time::Timestamp,
};

use crate::{
    Created, Interval, NewRun, Store, StoreError,
    db::{Arg, Batch, Columns, Row, Sql, Tx, batch, tried},
    desk::Cause,
};

/// A backfill to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBackfill {
    /// Made by the caller; asking twice with one id makes one backfill.
    pub id: String,
    /// The pipeline.
    pub pipeline: String,
    /// The version that its runs run.
    pub version: VersionId,
    /// The range that was asked for.
    pub range: Interval,
    /// How it was cut, in words.
    pub cut: String,
    /// The stretches of time, oldest first.
    pub intervals: Vec<Interval>,
    /// Whether the newest goes first.
    pub newest_first: bool,
    /// How many runs may be under way at once.
    pub parallel: u32,
    /// Which of those that were run before are run again.
    pub reprocess: Reprocess,
    /// Parameters of its runs, bound and typed.
    pub params: Value,
    /// Who asks for it: a name, until identities come.
    pub created_by: Option<String>,
}

/// A backfill as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackfillRecord {
    /// Its id.
    pub id: String,
    /// The pipeline.
    pub pipeline: String,
    /// The version that its runs run.
    pub version: VersionId,
    /// Where it is in its life.
    pub state: BackfillState,
    /// The range that was asked for.
    pub range: Interval,
    /// How it was cut, in words.
    pub cut: String,
    /// Which of those that were run before are run again.
    pub reprocess: Reprocess,
    /// Whether the newest goes first.
    pub newest_first: bool,
    /// How many runs may be under way at once.
    pub parallel: u32,
    /// Parameters of its runs.
    pub params: Value,
    /// Who asked for it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// When it last changed its state.
    pub changed_at: Timestamp,
    /// How many partitions stand where.
    pub progress: Progress,
}

/// How many partitions of a backfill stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the states")]
pub struct Progress {
    pub pending: u32,
    pub skipped: u32,
    pub queued: u32,
    pub running: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub cancelled: u32,
}

impl Progress {
    /// All of them.
    pub const fn total(self) -> u32 {
        self.pending + self.skipped + self.under_way() + self.ended()
    }

    /// Those whose run has not ended.
    pub const fn under_way(self) -> u32 {
        self.queued + self.running
    }

    /// Those whose run has ended.
    pub const fn ended(self) -> u32 {
        self.succeeded + self.failed + self.cancelled
    }

    const fn slot(&mut self, state: PartitionState) -> &mut u32 {
        match state {
            PartitionState::Pending => &mut self.pending,
            PartitionState::Skipped => &mut self.skipped,
            PartitionState::Queued => &mut self.queued,
            PartitionState::Running => &mut self.running,
            PartitionState::Succeeded => &mut self.succeeded,
            PartitionState::Failed => &mut self.failed,
            PartitionState::Cancelled => &mut self.cancelled,
        }
    }
}

/// One stretch of time of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// Its turn.
    pub place: u32,
    /// The stretch of time.
    pub interval: Interval,
    /// Where it stands.
    pub state: PartitionState,
    /// Its run.
    pub run: Option<RunId>,
}

macro_rules! backfill_columns {
    () => {
        "b.id, b.pipeline, b.version, b.state, b.from_time, b.to_time, b.cut, b.reprocess, b.newest_first, b.parallel, \
         b.params, b.created_by, b.created_at, b.changed_at"
    };
}

const INSERT: &str = "INSERT INTO backfills (id, pipeline, version, state, from_time, to_time, cut, reprocess, newest_first, \
                      parallel, params, created_by, created_at, changed_at) \
                      VALUES ($1, $2, $3, 'running', $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) \
                      ON CONFLICT (id) DO NOTHING";

/// How the newest run of each stretch of time stands.
const RUN_BEFORE: Sql = batch!(
    [pipeline text, from_time int, to_time int]
    "SELECT i.n, (SELECT r.state FROM runs AS r WHERE r.pipeline = i.pipeline AND r.interval_start = i.from_time",
    "AND r.interval_end = i.to_time ORDER BY r.id DESC LIMIT 1) FROM input AS i ORDER BY i.n"
);

const PARTITIONS: Sql = batch!(
    [backfill text, place int, interval_start int, interval_end int, skipped int]
    "INSERT INTO partitions (backfill, place, interval_start, interval_end, skipped)",
    "SELECT backfill, place, interval_start, interval_end, skipped FROM input"
);

const ONE: &str = concat!("SELECT ", backfill_columns!(), " FROM backfills AS b WHERE b.id = $1");
const ALL: &str = concat!(
    "SELECT ",
    backfill_columns!(),
    " FROM backfills AS b WHERE (b.created_at, b.id) < ($2, $3) ORDER BY b.created_at DESC, b.id DESC LIMIT $1"
);
const OF_PIPELINE: &str = concat!(
    "SELECT ",
    backfill_columns!(),
    " FROM backfills AS b WHERE b.pipeline = $4 AND (b.created_at, b.id) < ($2, $3) \
     ORDER BY b.created_at DESC, b.id DESC LIMIT $1"
);
const ALIVE: &str =
    "SELECT b.id FROM backfills AS b WHERE b.state IN ('running', 'paused') ORDER BY b.created_at, b.id";

const PROGRESS: &str = "SELECT p.skipped, r.state, COUNT(*) FROM partitions AS p LEFT JOIN runs AS r ON r.id = p.run_id \
                        WHERE p.backfill = $1 GROUP BY p.skipped, r.state";

const LISTED: &str = "SELECT p.place, p.interval_start, p.interval_end, p.skipped, r.state, p.run_id \
                      FROM partitions AS p LEFT JOIN runs AS r ON r.id = p.run_id \
                      WHERE p.backfill = $1 AND p.place >= $2 ORDER BY p.place LIMIT $3";

const NEXT: &str = "SELECT p.place, p.interval_start, p.interval_end, p.skipped, CAST(NULL AS TEXT), p.run_id \
                    FROM partitions AS p WHERE p.backfill = $1 AND p.run_id IS NULL AND p.skipped = 0 \
                    ORDER BY p.place LIMIT $2";

const LOCK: Sql = Sql {
    sqlite: "SELECT state FROM backfills WHERE id = $1",
    postgres: "SELECT state FROM backfills WHERE id = $1 FOR UPDATE",
};

const MOVE: &str = "UPDATE backfills SET state = $2, changed_at = $3 WHERE id = $1";

const UNFINISHED: &str = "SELECT p.run_id FROM partitions AS p JOIN runs AS r ON r.id = p.run_id \
                          WHERE p.backfill = $1 AND r.state IN ('queued', 'running') ORDER BY p.place DESC";

const STARTED: &str =
    "UPDATE partitions SET run_id = $3 WHERE backfill = $1 AND place = $2 AND run_id IS NULL AND skipped = 0";

/// Partitions are inserted in portions of so many.
const PORTION: usize = 5_000;

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 2] = [RUN_BEFORE, PARTITIONS];

impl Store {
    /// Makes a backfill with all its partitions, or finds the one that the same id made before. Its runs are created by
    /// a scheduler.
    ///
    /// # Errors
    /// [`StoreError::NoPipeline`] and [`StoreError::NoVersion`].
    pub async fn create_backfill(&self, new: &NewBackfill) -> Result<BackfillRecord, StoreError> {
        if self.version(&new.version).await?.pipeline != new.pipeline {
            return Err(StoreError::NoVersion(new.version.clone()));
        }
        tried!(self.create_backfill_once(new).await)?;
        self.backfill(&new.id).await
    }

    async fn create_backfill_once(&self, new: &NewBackfill) -> Result<(), StoreError> {
        let now = self.desk.clock.now();
        let mut tx = self.desk.db.begin().await?;
        let args = [
            new.id.as_str().into(),
            new.pipeline.as_str().into(),
            new.version.0.as_str().into(),
            new.range.start.into(),
            new.range.end.into(),
            new.cut.as_str().into(),
            new.reprocess.name().into(),
            i64::from(new.newest_first).into(),
            new.parallel.max(1).into(),
            Arg::json(&new.params),
            new.created_by.as_deref().into(),
            now.into(),
        ];
        if tx.run("make a backfill", INSERT, &args).await? == 0 {
            return Ok(());
        }
        let wanted = wanted(&mut tx, &new.pipeline, &new.intervals, new.reprocess).await?;
        let mut order: Vec<(Interval, bool)> = new.intervals.iter().copied().zip(wanted).collect();
        if new.newest_first {
            order.reverse();
        }
        let mut place = 0_u32;
        for portion in order.chunks(PORTION) {
            let mut input = Batch::default();
            for (interval, wanted) in portion {
                input
                    .row()
                    .set("backfill", new.id.as_str())
                    .set("place", place)
                    .set("interval_start", interval.start)
                    .set("interval_end", interval.end)
                    .set("skipped", i64::from(!wanted));
                place += 1;
            }
            tx.run("make partitions", PARTITIONS, &[input.arg()]).await?;
        }
        tx.commit().await
    }

    /// Which of these stretches of time a backfill would run: the same order, nothing is made.
    pub async fn preview_backfill(
        &self,
        pipeline: &str,
        intervals: &[Interval],
        reprocess: Reprocess,
    ) -> Result<Vec<bool>, StoreError> {
        wanted(&mut self.desk.db.begin_reading().await?, pipeline, intervals, reprocess).await
    }

    /// A backfill.
    ///
    /// # Errors
    /// [`StoreError::NoBackfill`].
    pub async fn backfill(&self, id: &str) -> Result<BackfillRecord, StoreError> {
        let mut tx = self.desk.db.begin_reading().await?;
        one(&mut tx, id).await
    }

    /// Backfills, newest first; of one pipeline, or of all; those before `before`, which is a moment of creation and an id.
    pub async fn backfills(
        &self,
        pipeline: Option<&str>,
        before: Option<(Timestamp, String)>,
        limit: u32,
    ) -> Result<Vec<BackfillRecord>, StoreError> {
        let mut tx = self.desk.db.begin_reading().await?;
        let (at, id) = before.unwrap_or((Timestamp(i64::MAX), String::new()));
        let mut args = vec![limit.into(), at.into(), id.as_str().into()];
        args.extend(pipeline.map(Arg::from));
        let sql = if pipeline.is_some() { OF_PIPELINE } else { ALL };
        let rows = tx.rows("list backfills", sql, &args).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut backfill = record(row)?;
            backfill.progress = progress(&mut tx, &backfill.id).await?;
            found.push(backfill);
        }
        Ok(found)
    }

    /// The partitions of a backfill in their order, from this place on.
    pub async fn partitions(&self, id: &str, from: u32, limit: u32) -> Result<Vec<PartitionRecord>, StoreError> {
        let args = [id.into(), from.into(), limit.into()];
        self.desk.db.read("list partitions", LISTED, &args).await?.iter().map(partition).collect()
    }

    /// Pauses, resumes or cancels a backfill. To cancel one cancels the runs of it that have not ended.
    ///
    /// # Errors
    /// [`StoreError::NoBackfill`], or [`StoreError::BackfillMove`] where its state does not allow it.
    pub async fn move_backfill(&self, id: &str, event: BackfillEvent) -> Result<BackfillRecord, StoreError> {
        tried!(self.move_backfill_once(id, event).await)?;
        if event == BackfillEvent::Cancel {
            // No further partition starts from here on: who starts one asks for the state under the same lock.
            for row in self.desk.db.read("look for runs of a backfill", UNFINISHED, &[id.into()]).await? {
                let run: RunId = Columns::of(&row, "partitions").next("run_id")?;
                match self.cancel_run(run, "its backfill was cancelled").await {
                    // It ended by itself meanwhile.
                    Ok(_) | Err(StoreError::Refused { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.backfill(id).await
    }

    async fn move_backfill_once(&self, id: &str, event: BackfillEvent) -> Result<(), StoreError> {
        let mut tx = self.desk.db.begin().await?;
        let state = lock(&mut tx, id).await?;
        let to = backfill::moved(state, event).ok_or_else(|| StoreError::BackfillMove {
            id: id.to_owned(),
            state,
            event,
        })?;
        if to != state {
            let args = [id.into(), to.name().into(), self.desk.clock.now().into()];
            tx.run("move a backfill", MOVE, &args).await?;
        }
        tx.commit().await
    }

    /// The backfills that have something left to do, oldest first.
    pub async fn backfills_alive(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.desk.db.read("look for backfills", ALIVE, &[]).await?;
        rows.iter().map(|row| Columns::of(row, "backfills").next("id")).collect()
    }

    /// The partitions of a backfill that may start now, in their order; marks it as done once none is left and none is
    /// under way.
    pub async fn backfill_turns(&self, id: &str) -> Result<(BackfillRecord, Vec<PartitionRecord>), StoreError> {
        let mut tx = self.desk.db.begin_reading().await?;
        let found = one(&mut tx, id).await?;
        let Progress { pending, .. } = found.progress;
        let most = may_start(found.state, found.parallel, found.progress.under_way()).min(pending);
        let rows = tx.rows("look for the next partitions", NEXT, &[id.into(), most.into()]).await?;
        let next = rows.iter().map(partition).collect::<Result<Vec<_>, _>>()?;
        drop(tx);
        if pending + found.progress.under_way() == 0 {
            match self.move_backfill_once(id, BackfillEvent::Finish).await {
                Ok(()) | Err(StoreError::BackfillMove { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((found, next))
    }

    /// Creates the run of one partition and notes it with the partition, in one transaction. The partition becomes the
    /// run's trigger key, so it has one run however often and by however many it is started.
    ///
    /// # Errors
    /// [`StoreError::BackfillMove`] where the backfill is not running any more.
    pub async fn start_partition(&self, id: &str, place: u32, run: NewRun) -> Result<Created, StoreError> {
        let key = format!("backfill/{id}/{place}");
        let run = NewRun { trigger_key: Some(key), ..run };
        self.create(run, Cause::Partition { backfill: id.to_owned(), place }).await
    }
}

/// Refuses a partition of a backfill that does not run; its lock is held until the end of the transaction.
pub(crate) async fn check_running(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    match lock(tx, id).await? {
        BackfillState::Running => Ok(()),
        state => Err(StoreError::BackfillMove { id: id.to_owned(), state, event: BackfillEvent::Resume }),
    }
}

/// Notes the run of a partition.
pub(crate) async fn note_run(tx: &mut Tx, id: &str, place: u32, run: RunId) -> Result<(), StoreError> {
    tx.run("note the run of a partition", STARTED, &[id.into(), place.into(), run.into()]).await.map(drop)
}

async fn lock(tx: &mut Tx, id: &str) -> Result<BackfillState, StoreError> {
    let rows = tx.rows("lock a backfill", LOCK, &[id.into()]).await?;
    let row = rows.first().ok_or_else(|| StoreError::NoBackfill(id.to_owned()))?;
    Columns::of(row, "backfills").named("state")
}

async fn wanted(
    tx: &mut Tx,
    pipeline: &str,
    intervals: &[Interval],
    reprocess: Reprocess,
) -> Result<Vec<bool>, StoreError> {
    let mut wanted = Vec::with_capacity(intervals.len());
    for portion in intervals.chunks(PORTION) {
        let mut input = Batch::default();
        for interval in portion {
            drop(input.row().set("pipeline", pipeline).set("from_time", interval.start).set("to_time", interval.end));
        }
        for row in tx.rows("look what was run before", RUN_BEFORE, &[input.arg()]).await? {
            let mut columns = Columns::of(&row, "runs");
            columns.next::<i64>("n")?;
            wanted.push(reprocess.wants(columns.maybe_word::<RunState>("state")?));
        }
    }
    Ok(wanted)
}

async fn one(tx: &mut Tx, id: &str) -> Result<BackfillRecord, StoreError> {
    let rows = tx.rows("load a backfill", ONE, &[id.into()]).await?;
    let mut found = rows.first().map_or_else(|| Err(StoreError::NoBackfill(id.to_owned())), record)?;
    found.progress = progress(tx, id).await?;
    Ok(found)
}

async fn progress(tx: &mut Tx, id: &str) -> Result<Progress, StoreError> {
    let mut progress = Progress::default();
    for row in tx.rows("count partitions", PROGRESS, &[id.into()]).await? {
        let mut columns = Columns::of(&row, "partitions");
        let skipped = columns.next::<i64>("skipped")? == 1;
        let state = PartitionState::of(skipped, columns.maybe_word("state")?);
        *progress.slot(state) += columns.next::<u32>("count")?;
    }
    Ok(progress)
}

fn partition(row: &Row) -> Result<PartitionRecord, StoreError> {
    let mut columns = Columns::of(row, "partitions");
    let place = columns.next("place")?;
    let interval = Interval { start: columns.next("interval_start")?, end: columns.next("interval_end")? };
    let skipped = columns.next::<i64>("skipped")? == 1;
    let state = PartitionState::of(skipped, columns.maybe_word("state")?);
    Ok(PartitionRecord { place, interval, state, run: columns.next("run_id")? })
}

fn record(row: &Row) -> Result<BackfillRecord, StoreError> {
    let mut columns = Columns::of(row, "backfills");
    let id = columns.next("id")?;
    let pipeline = columns.next("pipeline")?;
    let version: String = columns.next("version")?;
    Ok(BackfillRecord {
        id,
        pipeline,
        version: VersionId(version),
        state: columns.named("state")?,
        range: Interval { start: columns.next("from_time")?, end: columns.next("to_time")? },
        cut: columns.next("cut")?,
        reprocess: columns.named("reprocess")?,
        newest_first: columns.next::<i64>("newest_first")? == 1,
        parallel: columns.next("parallel")?,
        params: columns.json("params")?,
        created_by: columns.next("created_by")?,
        created_at: columns.next("created_at")?,
        changed_at: columns.next("changed_at")?,
        progress: Progress::default(),
    })
}

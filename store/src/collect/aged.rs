//! Data sets of runs that ended long ago.

use std::collections::{BTreeSet, HashSet};

use futures::TryStreamExt;
use serde_json::Value;
use tidemill_dag::{id::RunId, time::Timestamp};

use super::{Pass, before, folder_of};
use crate::{
    Store, StoreError,
    db::{Arg, Batch, Columns, Sql, Tx, batch, tried},
};

/// Runs that ended before `$1` and were not looked at yet, the oldest first.
const OLD: &str = "SELECT r.finished_at, r.id FROM runs AS r WHERE r.finished_at < $1 AND NOT EXISTS \
                   (SELECT 1 FROM aged_runs AS a WHERE a.run_id = r.id AND a.marked_at IS NOT NULL) \
                   AND (r.finished_at, r.id) > ($2, $3) ORDER BY r.finished_at, r.id LIMIT $4";

/// Locks the run as a resume does; a run that goes on again has no end.
const LOCK: Sql = Sql {
    sqlite: "SELECT finished_at FROM runs WHERE id = $1 AND finished_at IS NOT NULL",
    postgres: "SELECT finished_at FROM runs WHERE id = $1 AND finished_at IS NOT NULL FOR NO KEY UPDATE",
};

const MARK: &str = "INSERT INTO aged_runs (run_id, marked_at, removing) VALUES ($1, $2, 0) \
                    ON CONFLICT (run_id) DO UPDATE SET marked_at = excluded.marked_at WHERE aged_runs.marked_at IS NULL";

const DUE: &str = "SELECT run_id FROM aged_runs WHERE removed_at IS NULL AND marked_at <= $1 ORDER BY marked_at";

const BEGIN: &str = "UPDATE aged_runs SET removing = 1 WHERE run_id = $1 AND marked_at <= $2 RETURNING run_id";

const REMOVED: &str = "UPDATE aged_runs SET removed_at = $2 WHERE run_id = $1 AND removing = 1";

const UNMARK: &str =
    "UPDATE aged_runs SET marked_at = NULL WHERE run_id = $1 AND removing = 0 AND marked_at IS NOT NULL";

const GONE: &str = "SELECT removing, events_removed_at FROM aged_runs WHERE run_id = $1";

const WITHOUT_HISTORY: &str = "SELECT run_id FROM aged_runs WHERE events_removed_at IS NOT NULL";

/// Outputs that name blobs, page by page.
const NAMING: &str = "SELECT run_id, ordinal, output FROM tasks WHERE (run_id, ordinal) > ($1, $2) \
                      AND output LIKE '%\"runs/run\\_%' ESCAPE '\\' ORDER BY run_id, ordinal LIMIT $3";

/// What is known to be removed already names nothing.
pub(super) const EMPTIED: Sql = batch!(
    [run_id run] "SELECT a.run_id FROM input AS i CROSS JOIN aged_runs AS a WHERE a.run_id = i.run_id AND a.removing = 1"
);

const PAGE: u32 = 500;

#[cfg(test)]
pub(super) fn statements() -> Vec<(Sql, u8)> {
    let by_args = [(OLD, 4), (MARK, 2), (DUE, 1), (BEGIN, 2), (REMOVED, 2), (UNMARK, 1), (GONE, 1), (NAMING, 3)];
    let mut all: Vec<(Sql, u8)> = by_args.into_iter().map(|(sql, args)| (sql.into(), args)).collect();
    all.extend([(LOCK, 1)]);
    all
}

/// Every text in a value that names a blob of a run.
pub(super) fn names<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if text.starts_with("runs/") => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Object(map) => map.values().for_each(|item| names(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Blobs that tasks of other runs name: their runs must keep them.
pub(super) async fn lent(store: &Store) -> Result<HashSet<String>, StoreError> {
    let mut lent: HashSet<String> = HashSet::new();
    let mut last = (RunId(uuid::Uuid::nil()), -1_i64);
    loop {
        let args = [last.0.into(), last.1.into(), PAGE.into()];
        let rows = store.desk.db.read("look for data sets that are lent", NAMING, &args).await?;
        let mut foreign: Vec<(RunId, String)> = Vec::new();
        for row in &rows {
            let mut columns = Columns::of(row, "tasks");
            last = (columns.next("run_id")?, columns.next("ordinal")?);
            let output: Value = columns.json("output")?;
            let (mut all, own) = (Vec::new(), folder_of(last.0));
            names(&output, &mut all);
            foreign.extend(all.into_iter().filter(|it| !it.starts_with(&own)).map(|it| (last.0, it.to_owned())));
        }
        let emptied = emptied(store, foreign.iter().map(|(by, _)| *by).collect()).await?;
        lent.extend(foreign.into_iter().filter(|(by, _)| !emptied.contains(by)).map(|(_, name)| name));
        if rows.len() < PAGE as usize {
            return Ok(lent);
        }
    }
}

/// Those of these runs whose own data sets are being or were removed: what they name counts no more.
async fn emptied(store: &Store, runs: BTreeSet<RunId>) -> Result<BTreeSet<RunId>, StoreError> {
    let mut input = Batch::default();
    for run in runs {
        input.row().set("run_id", run);
    }
    if input.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = store.desk.db.read("look for emptied runs", EMPTIED, &[input.arg()]).await?;
    rows.iter().map(|row| Columns::of(row, "aged_runs").next("run_id")).collect()
}

/// A run goes on: a mark for removal is taken back.
///
/// # Errors
/// The removal has begun, or its history is gone.
pub(crate) async fn no_longer_aged(tx: &mut Tx, run: RunId) -> Result<(), StoreError> {
    tx.run("keep what was to be removed", UNMARK, &[run.into()]).await?;
    let rows = tx.rows("look whether a run was emptied", GONE, &[run.into()]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let mut columns = Columns::of(row, "aged_runs");
    let removing: i64 = columns.next("removing")?;
    let events: Option<Timestamp> = columns.next("events_removed_at")?;
    if removing == 0 && events.is_none() { Ok(()) } else { Err(StoreError::Removed(run)) }
}

/// Runs whose events were removed, so that nothing can be said about their history.
pub(crate) async fn without_history(tx: &mut Tx) -> Result<BTreeSet<RunId>, StoreError> {
    let rows = tx.rows("look for runs without history", WITHOUT_HISTORY, &[]).await?;
    rows.iter().map(|row| Columns::of(row, "aged_runs").next("run_id")).collect()
}

impl Pass<'_> {
    fn is_lent(&self, run: RunId) -> bool {
        let folder = folder_of(run);
        self.lent.iter().any(|name| name.starts_with(&folder))
    }

    /// First step: runs that ended long enough ago.
    pub(super) async fn mark(&mut self) -> Result<(), StoreError> {
        let Some(kept) = self.retention.datasets else { return Ok(()) };
        let cutoff = before(self.now, kept);
        let mut last = (Timestamp(i64::MIN), RunId(uuid::Uuid::nil()));
        loop {
            let args: [Arg<'_>; 4] = [cutoff.into(), last.0.into(), last.1.into(), PAGE.into()];
            let rows = self.store.desk.db.read("look for old runs", OLD, &args).await?;
            for row in &rows {
                let mut columns = Columns::of(row, "runs");
                last = (columns.next("finished_at")?, columns.next("id")?);
                if !self.is_lent(last.1) {
                    let marked = self.dry || tried!(self.mark_one(last.1, cutoff).await)?;
                    self.done.runs_marked += u64::from(marked);
                }
            }
            if rows.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    async fn mark_one(&self, run: RunId, cutoff: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.store.desk.db.begin().await?;
        let locked = tx.rows("lock an old run", LOCK, &[run.into()]).await?;
        let Some(row) = locked.first() else { return Ok(false) };
        let ended: Timestamp = Columns::of(row, "runs").next("finished_at")?;
        if ended >= cutoff {
            return Ok(false);
        }
        let marked = tx.run("mark an old run", MARK, &[run.into(), self.now.into()]).await?;
        tx.commit().await?;
        Ok(marked > 0)
    }

    /// Second step: runs that were marked long enough ago.
    pub(super) async fn empty(&mut self) -> Result<(), StoreError> {
        let marked = before(self.now, self.retention.grace);
        let rows = self.store.desk.db.read("look for marked runs", DUE, &[marked.into()]).await?;
        for row in &rows {
            let run: RunId = Columns::of(row, "aged_runs").next("run_id")?;
            if self.is_lent(run) || !(self.dry || tried!(self.begin(run, marked).await)?) {
                continue;
            }
            let folder = folder_of(run);
            let there: Vec<u64> = self.blobs.list(&folder).map_ok(|blob| blob.size).try_collect().await?;
            if !self.dry {
                self.blobs.delete_prefix(&folder).await?;
                let args = [run.into(), self.now.into()];
                self.store.desk.db.change("note that a run was emptied", REMOVED, &args).await?;
            }
            self.done.runs_emptied += 1;
            self.done.blobs += there.len() as u64;
            self.done.bytes += there.iter().sum::<u64>();
        }
        Ok(())
    }

    /// The last moment at which a resume could have come first.
    async fn begin(&self, run: RunId, marked: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.store.desk.db.begin().await?;
        let locked = tx.rows("lock an old run", LOCK, &[run.into()]).await?;
        if locked.is_empty() {
            return Ok(false);
        }
        let begun = tx.rows("begin to empty a run", BEGIN, &[run.into(), marked.into()]).await?;
        tx.commit().await?;
        Ok(!begun.is_empty())
    }
}

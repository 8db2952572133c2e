//! Blobs that no manifest names.

use std::collections::{BTreeMap, HashSet};

use futures::TryStreamExt;
use serde_json::Value;
use tidemill_dag::{id::RunId, time::Timestamp};

use super::{Pass, aged::names, before};
use crate::{
    StoreError,
    blobs::BlobInfo,
    db::{Batch, Columns, Sql, batch},
};

/// What the tasks of runs name; a run that goes on has one row more, without an output.
const NAMED: Sql = batch!(
    [run_id run]
    "SELECT r.id, r.finished_at, NULL FROM input AS i CROSS JOIN runs AS r WHERE r.id = i.run_id",
    "UNION ALL SELECT t.run_id, NULL, t.output FROM input AS i CROSS JOIN tasks AS t",
    "WHERE t.run_id = i.run_id AND t.output IS NOT NULL"
);

const SEEN: Sql = batch!(
    [name text, at int]
    "INSERT INTO garbage (name, seen_at, looked_at) SELECT name, at, at FROM input WHERE true",
    "ON CONFLICT (name) DO UPDATE SET looked_at = excluded.looked_at RETURNING name, seen_at"
);

const KNOWN: Sql = batch!(
    [name text] "SELECT g.name, g.seen_at FROM input AS i CROSS JOIN garbage AS g WHERE g.name = i.name"
);

const REMOVED: Sql = batch!([name text] "DELETE FROM garbage WHERE name IN (SELECT name FROM input)");

/// Noted, and no longer there or no longer garbage.
const PASSED: &str = "DELETE FROM garbage WHERE looked_at < $1";

const AT_ONCE: usize = 1_000;

#[cfg(test)]
pub(super) const BATCHES: [Sql; 3] = [NAMED, SEEN, KNOWN];

/// What the database knows of a run.
#[derive(Default)]
struct Known {
    ended: bool,
    names: HashSet<String>,
}

fn run_of(name: &str) -> Option<RunId> {
    name.strip_prefix("runs/")?.split('/').next()?.parse().ok()
}

impl Pass<'_> {
    /// Looks at every blob of every run.
    pub(super) async fn sweep_garbage(&mut self) -> Result<(), StoreError> {
        let mut some = Vec::with_capacity(AT_ONCE);
        let mut all = self.blobs.list("runs/");
        while let Some(blob) = all.try_next().await? {
            some.push(blob);
            if some.len() == AT_ONCE {
                self.look_at(std::mem::take(&mut some)).await?;
            }
        }
        self.look_at(some).await?;
        if !self.dry {
            self.store.desk.db.change("tidy up", PASSED, &[self.now.into()]).await?;
        }
        Ok(())
    }

    /// The blobs were listed before the database is asked; the other way round a blob could be named in between.
    async fn look_at(&mut self, blobs: Vec<BlobInfo>) -> Result<(), StoreError> {
        let mut input = Batch::default();
        let runs: HashSet<RunId> = blobs.iter().filter_map(|blob| run_of(&blob.name)).collect();
        if runs.is_empty() {
            return Ok(());
        }
        for run in runs {
            input.row().set("run_id", run);
        }
        let mut known: BTreeMap<RunId, Known> = BTreeMap::new();
        for row in &self.store.desk.db.read("look at what runs name", NAMED, &[input.arg()]).await? {
            let mut columns = Columns::of(row, "tasks");
            let run = known.entry(columns.next("run_id")?).or_default();
            let ended: Option<Timestamp> = columns.next("finished_at")?;
            run.ended |= ended.is_some();
            if let Some(output) = columns.maybe_json::<Value>("output")? {
                let mut found = Vec::new();
                names(&output, &mut found);
                run.names.extend(found.into_iter().map(str::to_owned));
            }
        }
        let garbage = |blob: &BlobInfo| {
            let Some(run) = run_of(&blob.name) else { return false };
            !self.lent.contains(&blob.name)
                && known.get(&run).is_none_or(|run| run.ended && !run.names.contains(&blob.name))
        };
        let (garbage, _): (Vec<_>, Vec<_>) = blobs.into_iter().partition(garbage);
        self.note(garbage).await
    }

    /// Garbage that was seen long enough ago goes; the rest is noted.
    async fn note(&mut self, garbage: Vec<BlobInfo>) -> Result<(), StoreError> {
        let mut input = Batch::default();
        for blob in &garbage {
            input.row().set("name", blob.name.as_str()).set("at", self.now);
        }
        if garbage.is_empty() {
            return Ok(());
        }
        let db = &self.store.desk.db;
        let rows = match self.dry {
            true => db.read("look at known garbage", KNOWN, &[input.arg()]).await?,
            false => db.change("note garbage", SEEN, &[input.arg()]).await?,
        };
        let mut seen: BTreeMap<String, Timestamp> = BTreeMap::new();
        for row in &rows {
            let mut columns = Columns::of(row, "garbage");
            seen.insert(columns.next("name")?, columns.next("seen_at")?);
        }
        let ripe = before(self.now, self.retention.grace);
        let mut removed = Batch::default();
        for blob in garbage {
            match seen.get(&blob.name) {
                Some(at) if *at <= ripe && *at < self.now => {
                    if !self.dry {
                        self.blobs.delete_prefix(&blob.name).await?;
                    }
                    removed.row().set("name", blob.name.as_str());
                    self.done.blobs += 1;
                    self.done.bytes += blob.size;
                }
                Some(at) if *at < self.now => {}
                Some(_) | None => self.done.garbage_seen += 1,
            }
        }
        if !self.dry && !removed.is_empty() {
            self.store.desk.db.change("forget removed garbage", REMOVED, &[removed.arg()]).await?;
        }
        Ok(())
    }
}

//! Log lines and events.

use tidemill_dag::id::RunId;

use super::{Pass, before};
use crate::{
    StoreError,
    db::{Columns, Sql, tried},
};

/// Ids grow with time, so the oldest lines are the first ones; a line that is told late is caught by a later pass.
const LINES: Sql = Sql {
    sqlite: "DELETE FROM logs WHERE id IN (SELECT id FROM (SELECT id, at FROM logs ORDER BY id LIMIT $2) AS oldest WHERE at < $1) \
             RETURNING id",
    postgres: "DELETE FROM logs USING (SELECT id AS old FROM (SELECT id, at FROM logs ORDER BY id LIMIT $2) AS oldest WHERE at < $1) AS o \
               WHERE logs.id = o.old RETURNING id",
};

const OLD_LINES: &str = "SELECT COUNT(*) FROM logs WHERE at < $1";

/// Runs that ended before `$1` and still have their events, the oldest first. A sink that nobody has served since then holds
/// nothing back any more.
const WITH_EVENTS: &str = "SELECT r.id, (SELECT COUNT(*) FROM events AS e WHERE e.run_id = r.id) FROM runs AS r \
                           WHERE r.finished_at < $1 AND NOT EXISTS (SELECT 1 FROM aged_runs AS a WHERE a.run_id = r.id \
                           AND a.events_removed_at IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM event_sinks AS sinks WHERE sinks.seen_at >= $1 \
                           AND EXISTS (SELECT 1 FROM events AS u WHERE u.run_id = r.id AND (u.tx, u.id) > (sinks.tx, sinks.id))) \
                           ORDER BY r.finished_at, r.id LIMIT $2";

const LOCK: Sql = Sql {
    sqlite: "SELECT id FROM runs WHERE id = $1 AND finished_at < $2",
    postgres: "SELECT id FROM runs WHERE id = $1 AND finished_at < $2 FOR NO KEY UPDATE",
};

const EVENTS: &str = "DELETE FROM events WHERE run_id = $1";

const NOTE: &str = "INSERT INTO aged_runs (run_id, removing, events_removed_at) VALUES ($1, 0, $2) \
                    ON CONFLICT (run_id) DO UPDATE SET events_removed_at = excluded.events_removed_at";

const AT_ONCE: u32 = 5_000;
const RUNS_AT_ONCE: u32 = 200;

#[cfg(test)]
pub(super) fn statements() -> Vec<(Sql, u8)> {
    vec![(WITH_EVENTS.into(), 2), (LOCK, 2), (EVENTS.into(), 1), (NOTE.into(), 2)]
}

impl Pass<'_> {
    /// Log lines, some thousands per transaction.
    pub(super) async fn forget_lines(&mut self) -> Result<(), StoreError> {
        let Some(kept) = self.retention.logs else { return Ok(()) };
        let cutoff = before(self.now, kept);
        let db = &self.store.desk.db;
        if self.dry {
            let rows = db.read("count old lines", OLD_LINES, &[cutoff.into()]).await?;
            let count: i64 = rows.first().map_or(Ok(0), |row| Columns::of(row, "logs").next("count"))?;
            self.done.logs = u64::try_from(count).unwrap_or(0);
            return Ok(());
        }
        loop {
            let gone = tried!(db.change("remove old lines", LINES, &[cutoff.into(), AT_ONCE.into()]).await)?.len();
            self.done.logs += gone as u64;
            if gone < AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    /// Events, run by run.
    pub(super) async fn forget_events(&mut self) -> Result<(), StoreError> {
        let Some(kept) = self.retention.events else { return Ok(()) };
        let cutoff = before(self.now, kept);
        loop {
            let limit = if self.dry { u32::MAX } else { RUNS_AT_ONCE };
            let args = [cutoff.into(), limit.into()];
            let rows = self.store.desk.db.read("look for old events", WITH_EVENTS, &args).await?;
            let mut forgotten = 0;
            for row in &rows {
                let mut columns = Columns::of(row, "runs");
                let run: RunId = columns.next("id")?;
                let count: i64 = columns.next("count")?;
                let count = u64::try_from(count).unwrap_or(0);
                let gone = if self.dry { Some(count) } else { tried!(self.forget_one(run, cutoff).await)? };
                if let Some(gone) = gone {
                    forgotten += 1;
                    self.done.runs_forgotten += 1;
                    self.done.events += gone;
                }
            }
            if self.dry || rows.len() < RUNS_AT_ONCE as usize || forgotten == 0 {
                return Ok(());
            }
        }
    }

    /// None if the run goes on again.
    async fn forget_one(&self, run: RunId, cutoff: tidemill_dag::time::Timestamp) -> Result<Option<u64>, StoreError> {
        let mut tx = self.store.desk.db.begin().await?;
        if tx.rows("lock an old run", LOCK, &[run.into(), cutoff.into()]).await?.is_empty() {
            return Ok(None);
        }
        let gone = tx.run("remove the events of a run", EVENTS, &[run.into()]).await?;
        tx.run("note that a run has no events", NOTE, &[run.into(), self.now.into()]).await?;
        tx.commit().await?;
        Ok(Some(gone))
    }
}

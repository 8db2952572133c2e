//! Queued runs that take a place that became free.

use std::collections::BTreeSet;

use tidemill_dag::{
    id::RunId,
    state::{RunEvent, RunState, may_start},
};

use super::{Door, run_columns, run_record};
use crate::{
    StoreError,
    db::{Columns, Sql},
};

const PAUSED: &str = "SELECT paused_at FROM pipelines WHERE name = $1";

const TRY_LOCK: &str = "SELECT name FROM pipelines WHERE name = $1 FOR NO KEY UPDATE SKIP LOCKED";

const LOCK: Sql = Sql {
    sqlite: "SELECT name FROM pipelines WHERE name = $1",
    postgres: "SELECT name FROM pipelines WHERE name = $1 FOR NO KEY UPDATE",
};

const RUNNING: &str = "SELECT r.id FROM runs AS r WHERE r.pipeline = $1 AND r.state = 'running'";

const QUEUED: Sql = Sql {
    sqlite: concat!(
        "SELECT ",
        run_columns!(),
        " FROM runs AS r WHERE r.pipeline = $1 AND r.state = 'queued' ORDER BY r.priority, r.created_at, r.id LIMIT $2"
    ),
    postgres: concat!(
        "SELECT ",
        run_columns!(),
        " FROM runs AS r WHERE r.pipeline = $1 AND r.state = 'queued' ORDER BY r.priority, r.created_at, r.id LIMIT $2",
        " FOR NO KEY UPDATE SKIP LOCKED"
    ),
};

const RUN: &str = concat!("SELECT ", run_columns!(), " FROM runs AS r WHERE r.id = $1");

/// At most so many runs start in one transaction; the rest follows with the next free place or the sweep.
const AT_ONCE: u32 = 100;

impl Door<'_> {
    /// Locks a pipeline: whoever counts its runs must. Only before any run is locked.
    pub async fn lock_pipeline(&mut self, pipeline: &str) -> Result<bool, StoreError> {
        let found = !self.tx.rows("lock a pipeline", LOCK, &[pipeline.into()]).await?.is_empty();
        self.held.insert(pipeline.to_owned());
        Ok(found)
    }

    pub(super) async fn start_successors(&mut self, of: &[RunId]) -> Result<(), StoreError> {
        let pipelines: BTreeSet<String> =
            of.iter().filter_map(|run| self.runs.get(run)).map(|run| run.pipeline.clone()).collect();
        for pipeline in pipelines {
            if self.try_hold(&pipeline).await? {
                self.start_queued(&pipeline).await?;
            } else {
                self.later.push(pipeline);
            }
        }
        Ok(())
    }

    /// Runs are locked here already, so waiting for a pipeline could close a ring; it is tried only.
    async fn try_hold(&mut self, pipeline: &str) -> Result<bool, StoreError> {
        if self.held.contains(pipeline) {
            return Ok(true);
        }
        let free = match self.tx {
            crate::db::Tx::Sqlite(_) => true,
            crate::db::Tx::Postgres(_) => {
                !self.tx.rows("lock a pipeline", TRY_LOCK, &[pipeline.into()]).await?.is_empty()
            }
        };
        if free {
            self.held.insert(pipeline.to_owned());
        }
        Ok(free)
    }

    /// Lets queued runs of a pipeline start, oldest first, as many as `dag` says.
    pub async fn start_queued(&mut self, pipeline: &str) -> Result<u32, StoreError> {
        let rows = self.tx.rows("look for queued runs", QUEUED, &[pipeline.into(), AT_ONCE.into()]).await?;
        let Some(oldest) = rows.first() else { return Ok(0) };
        let (_, concurrency) = run_record(&mut Columns::of(oldest, "runs"))?;
        let running = self.count_running(pipeline).await?;
        let mut places = may_start(&concurrency, running, self.is_paused(pipeline).await?);
        let mut started = 0;
        for row in rows {
            let (run, _) = run_record(&mut Columns::of(&row, "runs"))?;
            let known = self.work.run(run.id).map(|row| row.state);
            if places == 0 {
                break;
            }
            if known.is_none_or(|state| state == RunState::Queued) {
                self.give_runs(vec![row])?;
                self.move_run(run.id, RunEvent::Admit, None)?;
                places -= 1;
                started += 1;
            }
        }
        Ok(started)
    }

    /// Lets a run that was just resumed start, if it has a place. Its row is queued only in this transaction, so no look into the
    /// table would find it.
    pub async fn start_resumed(&mut self, pipeline: &str, run: RunId) -> Result<(), StoreError> {
        let rows = self.tx.rows("load a run", RUN, &[run.into()]).await?;
        let row = rows.first().ok_or(StoreError::NoRun(run))?;
        let (_, concurrency) = run_record(&mut Columns::of(row, "runs"))?;
        let paused = self.is_paused(pipeline).await?;
        if may_start(&concurrency, self.count_running(pipeline).await?, paused) > 0 {
            self.move_run(run, RunEvent::Admit, None)?;
        }
        Ok(())
    }

    /// Whether no new runs of a pipeline start. Its row is locked.
    async fn is_paused(&mut self, pipeline: &str) -> Result<bool, StoreError> {
        let rows = self.tx.rows("look whether a pipeline is paused", PAUSED, &[pipeline.into()]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let paused: Option<tidemill_dag::time::Timestamp> = Columns::of(row, "pipelines").next("paused_at")?;
        Ok(paused.is_some())
    }

    /// Counts what runs in the table, corrected by what this transaction decided and has not written yet.
    async fn count_running(&mut self, pipeline: &str) -> Result<u32, StoreError> {
        let rows = self.tx.rows("count runs", RUNNING, &[pipeline.into()]).await?;
        let mut running = BTreeSet::new();
        for row in &rows {
            running.insert(Columns::of(row, "runs").next::<RunId>("id")?);
        }
        for (id, _) in self.runs.iter().filter(|(_, run)| run.pipeline == pipeline) {
            match self.work.run(*id).map(|run| run.state) {
                Some(RunState::Running) => running.insert(*id),
                Some(_) => running.remove(id),
                None => false,
            };
        }
        Ok(u32::try_from(running.len()).unwrap_or(u32::MAX))
    }
}

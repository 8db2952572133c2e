//! What the door loads.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tidemill_dag::{
    id::{Ordinal, RunId, TaskKey, VersionId},
    spec::{Concurrency, OnOverlap, Priority},
    state::{RunView, TaskState, TaskView, Upstream},
};

use super::{About, Door, Limits};
use crate::{
    StoreError,
    db::{Batch, Columns, Row, Sql, batch},
    run::{Interval, RunRecord},
};

macro_rules! run_columns {
    () => {
        "r.id, r.pipeline, r.version, r.state, r.trigger_kind, r.trigger_key, r.trigger_data, r.params, \
         r.interval_start, r.interval_end, r.max_runs, r.on_overlap, r.tasks_total, r.tasks_left, r.tasks_failed, \
         r.reason, r.created_at, r.started_at, r.finished_at, r.parent_run, r.parent_ordinal, r.depth, r.deadline_at, \
         r.late_since, r.tenant, r.started_by, r.priority, r.rerun_of"
    };
}
pub(crate) use run_columns;

macro_rules! task_columns {
    () => {
        "t.run_id, t.ordinal, t.state, t.attempt, t.owner, t.lease_until, t.wake_at, t.failures, t.crashes, \
         t.up_pending, t.up_succeeded, t.up_failed, t.up_skipped, t.policy, t.name, t.queue, t.priority, t.ready_at, \
         t.parent, t.items, t.asks, t.pool, t.pool_slots, t.lane, t.lane_slots, t.standby, t.tenant, \
         (SELECT l.max_tasks FROM tenants AS l WHERE l.name = t.tenant) AS tenant_slots"
    };
}
pub(crate) use task_columns;

// `CROSS JOIN` is a plain join to PostgreSQL and an order of march to SQLite, which would otherwise
// now and then rather scan a table than start from the few rows of the batch.

/// In the order of ids, so that two transactions that lock the same runs wait and never block each other for good.
const LOCK_RUNS: Sql = batch!(
    [run_id run] "SELECT", run_columns!(), "FROM input AS i CROSS JOIN runs AS r WHERE r.id = i.run_id ORDER BY r.id"
    ; postgres "FOR NO KEY UPDATE OF r"
);

/// Tasks, and the readers of those that may end.
const NEIGHBOURHOOD: Sql = batch!(
    [run_id run, ordinal int, readers int]
    "SELECT CAST(NULL AS BIGINT),", task_columns!(),
    "FROM input AS i CROSS JOIN tasks AS t WHERE t.run_id = i.run_id AND t.ordinal = i.ordinal",
    "UNION ALL SELECT e.from_ordinal,", task_columns!(), "FROM input AS i CROSS JOIN edges AS e CROSS JOIN tasks AS t",
    "WHERE i.readers = 1 AND e.run_id = i.run_id AND e.from_ordinal = i.ordinal",
    "AND t.run_id = e.run_id AND t.ordinal = e.to_ordinal"
);

/// Readers of tasks, of their readers while these are blocked, and so on.
const DESCENDANTS: Sql = batch!(
    [run_id run, ordinal int]
    ", down (run_id, ordinal) AS (SELECT run_id, ordinal FROM input",
    "UNION SELECT t.run_id, t.ordinal FROM down AS d CROSS JOIN edges AS e CROSS JOIN tasks AS t",
    "WHERE e.run_id = d.run_id AND e.from_ordinal = d.ordinal",
    "AND t.run_id = e.run_id AND t.ordinal = e.to_ordinal AND t.state = 'blocked')",
    "SELECT e.from_ordinal,", task_columns!(), "FROM down AS d CROSS JOIN edges AS e CROSS JOIN tasks AS t",
    "WHERE e.run_id = d.run_id AND e.from_ordinal = d.ordinal AND t.run_id = e.run_id AND t.ordinal = e.to_ordinal"
);

/// Blocked tasks that wait for nothing.
pub(super) const ROOTS: Sql = batch!(
    [run_id run] "SELECT", task_columns!(), "FROM input AS i CROSS JOIN tasks AS t",
    "WHERE t.run_id = i.run_id AND t.state = 'blocked' AND t.up_pending = 0"
);

/// Tasks that have not finished.
pub(super) const UNFINISHED: Sql = batch!(
    [run_id run] "SELECT", task_columns!(), "FROM input AS i CROSS JOIN tasks AS t",
    "WHERE t.run_id = i.run_id AND t.finished_at IS NULL"
);

/// Every task.
const ALL: Sql = batch!(
    [run_id run] "SELECT", task_columns!(), "FROM input AS i CROSS JOIN tasks AS t",
    "WHERE t.run_id = i.run_id ORDER BY t.run_id, t.ordinal"
);

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 6] = [LOCK_RUNS, NEIGHBOURHOOD, DESCENDANTS, ROOTS, UNFINISHED, ALL];

impl Door<'_> {
    /// Locks runs and gives them to the work.
    pub async fn lock_runs(&mut self, runs: BTreeSet<RunId>) -> Result<(), StoreError> {
        let mut input = Batch::default();
        for run in runs {
            input.row().set("run_id", run);
        }
        let rows = self.tx.rows("lock runs", LOCK_RUNS, &[input.arg()]).await?;
        self.give_runs(rows)
    }

    /// Gives runs to the work that a statement locked.
    pub fn give_runs(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        let mut views = Vec::with_capacity(rows.len());
        for row in &rows {
            let (run, _) = run_record(&mut Columns::of(row, "runs"))?;
            views.push(run_view(&run));
            self.runs.entry(run.id).or_insert(run);
        }
        self.work.give_runs(views).map_err(super::inconsistent)
    }

    /// Loads tasks, and the readers of those marked with `true`.
    pub(super) async fn load_neighbourhood(&mut self, tasks: &BTreeMap<TaskKey, bool>) -> Result<(), StoreError> {
        let known = self.known();
        let mut input = Batch::default();
        for (task, readers) in tasks {
            input.row().set("run_id", task.run).set("ordinal", task.ordinal).set("readers", i64::from(*readers));
        }
        let rows = self.tx.rows("load tasks", NEIGHBOURHOOD, &[input.arg()]).await?;
        self.take_readers(&rows, &known)?;
        for (task, _) in tasks.iter().filter(|(_, readers)| **readers) {
            self.readers.entry(*task).or_default();
        }
        Ok(())
    }

    /// Loads everything that bad news from these tasks can reach.
    pub(super) async fn load_descendants(&mut self, of: &[TaskKey]) -> Result<(), StoreError> {
        let known = self.known();
        let mut input = Batch::default();
        for task in of {
            input.row().set("run_id", task.run).set("ordinal", task.ordinal);
        }
        let rows = self.tx.rows("load what follows", DESCENDANTS, &[input.arg()]).await?;
        let blocked = self.take_readers(&rows, &known)?;
        for task in blocked.iter().chain(of) {
            self.readers.entry(*task).or_default();
        }
        Ok(())
    }

    /// Tasks whose readers are here already; to take them again would tell these twice.
    fn known(&self) -> HashSet<TaskKey> {
        self.readers.keys().copied().collect()
    }

    /// Takes rows that begin with the ordinal of the task they read, and returns the blocked ones.
    fn take_readers(&mut self, rows: &[Row], known: &HashSet<TaskKey>) -> Result<Vec<TaskKey>, StoreError> {
        let mut blocked = Vec::new();
        for row in rows {
            let mut columns = Columns::of(row, "tasks");
            let of: Option<Ordinal> = columns.next("from_ordinal")?;
            let view = self.take(&mut columns)?;
            let of = of.map(|ordinal| TaskKey { ordinal, ..view.key }).filter(|of| !known.contains(of));
            if let Some(of) = of {
                self.readers.entry(of).or_default().push(view.key);
            }
            if view.state == TaskState::Blocked {
                blocked.push(view.key);
            }
            self.work.give_tasks([view]);
        }
        Ok(blocked)
    }

    pub(super) async fn load_of_runs(&mut self, sql: Sql, runs: &[RunId]) -> Result<Vec<TaskView>, StoreError> {
        let mut input = Batch::default();
        for run in runs {
            input.row().set("run_id", *run);
        }
        let rows = self.tx.rows("load tasks of runs", sql, &[input.arg()]).await?;
        rows.iter().map(|row| self.take(&mut Columns::of(row, "tasks"))).collect()
    }

    /// Loads every task of a run.
    pub async fn load_all(&mut self, run: RunId) -> Result<Vec<TaskView>, StoreError> {
        let views = self.load_of_runs(ALL, &[run]).await?;
        self.work.give_tasks(views.iter().cloned());
        Ok(views)
    }

    pub(super) fn take(&mut self, columns: &mut Columns<'_>) -> Result<TaskView, StoreError> {
        let (view, about) = task_view(columns)?;
        self.about.entry(view.key).or_insert(about);
        Ok(view)
    }
}

/// Reads `task_columns!`.
pub(crate) fn task_view(columns: &mut Columns<'_>) -> Result<(TaskView, About), StoreError> {
    let mut view = TaskView {
        key: TaskKey { run: columns.next("run_id")?, ordinal: columns.next("ordinal")? },
        state: columns.word("state")?,
        attempt: columns.next("attempt")?,
        owner: columns.next("owner")?,
        lease_until: columns.next("lease_until")?,
        wake_at: columns.next("wake_at")?,
        asks: None,
        failures: columns.next("failures")?,
        crashes: columns.next("crashes")?,
        upstream: Upstream {
            pending: columns.next("up_pending")?,
            succeeded: columns.next("up_succeeded")?,
            failed: columns.next("up_failed")?,
            skipped: columns.next("up_skipped")?,
        },
        policy: columns.json("policy")?,
        parent: None,
        items: None,
    };
    let about = About {
        name: columns.next("name")?,
        queue: columns.next("queue")?,
        priority: priority(columns.next("priority")?),
        ready_at: columns.next("ready_at")?,
        limits: Limits::default(),
    };
    (view.parent, view.items) = (columns.next("parent")?, columns.next("items")?);
    view.asks = columns.maybe_named("asks")?;
    let about = About { limits: Limits::read(columns)?, ..about };
    Ok((view, about))
}

/// Priorities as numbers; the table admits only these.
pub(crate) const fn priority(number: u32) -> Priority {
    match number {
        0 => Priority::High,
        1 => Priority::Normal,
        _ => Priority::Low,
    }
}

fn run_view(run: &RunRecord) -> RunView {
    RunView {
        id: run.id,
        state: run.state,
        tasks: run.tasks_total,
        tasks_left: run.tasks_left,
        failed: run.tasks_failed,
    }
}

fn parent(columns: &mut Columns<'_>) -> Result<Option<TaskKey>, StoreError> {
    let (run, ordinal) = (columns.next("parent_run")?, columns.next("parent_ordinal")?);
    Ok(Option::zip(run, ordinal).map(|(run, ordinal)| TaskKey { run, ordinal }))
}

/// Reads `run_columns!`.
pub(crate) fn run_record(columns: &mut Columns<'_>) -> Result<(RunRecord, Concurrency), StoreError> {
    let id = columns.next("id")?;
    let pipeline = columns.next("pipeline")?;
    let version: String = columns.next("version")?;
    let state = columns.word("state")?;
    let trigger = columns.named("trigger_kind")?;
    let trigger_key = columns.next("trigger_key")?;
    let trigger_data = columns.json("trigger_data")?;
    let params = columns.json("params")?;
    let start = columns.next("interval_start")?;
    let end = columns.next("interval_end")?;
    let max_runs = columns.next("max_runs")?;
    let on_overlap: OnOverlap = columns.named("on_overlap")?;
    let run = RunRecord {
        id,
        pipeline,
        version: VersionId(version),
        state,
        trigger,
        trigger_key,
        trigger_data,
        params,
        interval: Option::zip(start, end).map(|(start, end)| Interval { start, end }),
        tasks_total: columns.next("tasks_total")?,
        tasks_left: columns.next("tasks_left")?,
        tasks_failed: columns.next("tasks_failed")?,
        reason: columns.next("reason")?,
        created_at: columns.next("created_at")?,
        started_at: columns.next("started_at")?,
        finished_at: columns.next("finished_at")?,
        parent: parent(columns)?,
        depth: columns.next("depth")?,
        deadline_at: columns.next("deadline_at")?,
        late_since: columns.next("late_since")?,
        tenant: columns.next("tenant")?,
        started_by: columns.next("started_by")?,
        priority: priority(columns.next("priority")?),
        rerun_of: columns.next("rerun_of")?,
    };
    Ok((run, Concurrency { max_runs, on_overlap, max_tasks: None }))
}

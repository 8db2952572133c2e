//! What people and programs look at.

use tidemill_dag::id::{Ordinal, RunId};

use crate::{
    EventRecord, Page, RunFilter, RunRecord, Store, StoreError, TaskRecord,
    db::{Arg, Columns, Row},
    door::{run_columns, run_record, task_columns, task_view},
};

const RUN: &str = concat!("SELECT ", run_columns!(), " FROM runs AS r WHERE r.id = $1");

/// `$2` is a list of states as text between commas, or empty for all.
macro_rules! run_list {
    ($more:literal) => {
        concat!(
            "SELECT ",
            run_columns!(),
            " FROM runs AS r WHERE r.id < $1 AND ($2 = '' OR $2 LIKE '%,' || r.state || ',%')",
            $more,
            " ORDER BY r.id DESC LIMIT $3"
        )
    };
}
const RUNS: &str = run_list!("");
const RUNS_OF: &str = run_list!(" AND r.pipeline = $4");

macro_rules! task_list {
    () => {
        concat!(
            "SELECT ",
            task_columns!(),
            ", t.offered_at, t.started_at, t.finished_at, t.output, t.error, t.reason FROM tasks AS t"
        )
    };
}
const TASKS: &str = concat!(task_list!(), " WHERE t.run_id = $1 ORDER BY t.ordinal");

const EVENTS: &str = "SELECT id, run_id, ordinal, attempt, at, event, from_state, to_state, owner, detail FROM events \
                      WHERE run_id = $1 AND id > $2 ORDER BY id LIMIT $3";

const EDGES: &str = "SELECT from_ordinal, to_ordinal FROM edges WHERE run_id = $1 ORDER BY to_ordinal, from_ordinal";

impl Store {
    /// Runs, newest first.
    pub async fn runs(&self, filter: &RunFilter, page: Page) -> Result<Vec<RunRecord>, StoreError> {
        let before = page.before.unwrap_or(RunId(uuid::Uuid::max()));
        let states: String = filter.states.iter().map(|state| format!(",{state},")).collect();
        let mut args = vec![Arg::from(before), states.as_str().into(), page.limit.into()];
        let sql = match &filter.pipeline {
            Some(pipeline) => {
                args.push(pipeline.as_str().into());
                RUNS_OF
            }
            None => RUNS,
        };
        self.desk.db.read("list runs", sql, &args).await?.iter().map(record).collect()
    }

    /// A run.
    pub async fn run(&self, id: RunId) -> Result<RunRecord, StoreError> {
        let rows = self.desk.db.read("load a run", RUN, &[id.into()]).await?;
        rows.first().map_or(Err(StoreError::NoRun(id)), record)
    }

    /// The tasks of a run, by ordinal.
    pub async fn tasks(&self, run: RunId) -> Result<Vec<TaskRecord>, StoreError> {
        self.desk.db.read("load tasks", TASKS, &[run.into()]).await?.iter().map(task_record).collect()
    }

    /// Which task of a run waits for which: pairs of (the one before, the one after).
    pub async fn edges(&self, run: RunId) -> Result<Vec<(Ordinal, Ordinal)>, StoreError> {
        let pair = |row| {
            let mut columns = Columns::of(row, "edges");
            Ok((columns.next("from_ordinal")?, columns.next("to_ordinal")?))
        };
        self.desk.db.read("load edges", EDGES, &[run.into()]).await?.iter().map(pair).collect()
    }

    /// The history of a run after an event, in order; 0 for the whole.
    pub async fn events(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        let args = [run.into(), after.into(), limit.into()];
        self.desk.db.read("load the history of a run", EVENTS, &args).await?.iter().map(event_record).collect()
    }
}

fn record(row: &Row) -> Result<RunRecord, StoreError> {
    run_record(&mut Columns::of(row, "runs")).map(|(run, _)| run)
}

fn task_record(row: &Row) -> Result<TaskRecord, StoreError> {
    let mut columns = Columns::of(row, "tasks");
    let (view, about) = task_view(&mut columns)?;
    Ok(TaskRecord {
        run: view.key.run,
        ordinal: view.key.ordinal,
        name: about.name,
        state: view.state,
        attempt: view.attempt,
        owner: view.owner,
        lease_until: view.lease_until,
        wake_at: view.wake_at,
        failures: view.failures,
        crashes: view.crashes,
        pending: view.upstream.pending,
        queue: about.queue,
        priority: about.priority,
        ready_at: about.ready_at,
        offered_at: columns.next("offered_at")?,
        started_at: columns.next("started_at")?,
        finished_at: columns.next("finished_at")?,
        output: columns.maybe_json("output")?,
        error: columns.maybe_json("error")?,
        reason: columns.next("reason")?,
    })
}

fn event_record(row: &Row) -> Result<EventRecord, StoreError> {
    let mut columns = Columns::of(row, "events");
    Ok(EventRecord {
        id: columns.next("id")?,
        run: columns.next("run_id")?,
        ordinal: columns.next("ordinal")?,
        attempt: columns.next("attempt")?,
        at: columns.next("at")?,
        event: columns.next("event")?,
        from: columns.next("from_state")?,
        to: columns.next("to_state")?,
        owner: columns.next("owner")?,
        detail: columns.maybe_json("detail")?,
    })
}

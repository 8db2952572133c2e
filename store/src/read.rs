//! What people and programs look at.

use std::collections::HashMap;

use tidemill_dag::{
    id::{Ordinal, RunId, TaskKey},
    limits::Gate,
    state::{RunState, TaskState},
};

use crate::{
    EventRecord, ItemCounts, Page, RunFilter, RunRecord, Store, StoreError, TaskRecord, Upstream,
    db::{Arg, Columns, Row},
    door::{run_columns, run_record, task_columns, task_view, upstream},
};

const RUN_OF_KEY: &str =
    concat!("SELECT ", run_columns!(), " FROM runs AS r WHERE r.pipeline = $1 AND r.trigger_key = $2");

const RUN: &str = concat!("SELECT ", run_columns!(), " FROM runs AS r WHERE r.id = $1");

/// Before `$1`, at most `$2`.
macro_rules! run_list {
    ($more:literal) => {
        concat!("SELECT ", run_columns!(), " FROM runs AS r WHERE r.id < $1", $more, " ORDER BY r.id DESC LIMIT $2")
    };
}
const RUNS: &str = run_list!("");
const RUNS_IN: &str = run_list!(" AND r.state = $3");
const RUNS_OF: &str = run_list!(" AND r.pipeline = $3");
const RUNS_OF_IN: &str = run_list!(" AND r.pipeline = $3 AND r.state = $4");

macro_rules! task_list {
    () => {
        concat!(
            "SELECT ",
            task_columns!(),
            ", t.offered_at, t.started_at, t.finished_at, t.output, t.error, t.reason, t.map_index FROM tasks AS t"
        )
    };
}
const TASKS: &str = concat!(task_list!(), " WHERE t.run_id = $1 AND t.parent IS NULL ORDER BY t.ordinal");

const ITEM_COUNTS: &str = "SELECT parent, state, COUNT(*) FROM tasks WHERE run_id = $1 AND parent IS NOT NULL \
                           GROUP BY parent, state";

/// `$5` is a list of states as text between commas, or empty for all.
const ITEMS: &str = concat!(
    task_list!(),
    " WHERE t.run_id = $1 AND t.parent = $2 AND t.parent IS NOT NULL AND t.map_index >= $3 \
     AND ($5 = '' OR $5 LIKE '%,' || t.state || ',%') ORDER BY t.map_index LIMIT $4"
);

const EVENTS: &str = "SELECT id, run_id, ordinal, attempt, at, event, from_state, to_state, owner, detail FROM events \
                      WHERE run_id = $1 AND id > $2 ORDER BY id LIMIT $3";

const EVENTS_OF_TASK: &str = "SELECT id, run_id, ordinal, attempt, at, event, from_state, to_state, owner, detail \
                              FROM events WHERE run_id = $1 AND ordinal = $2 ORDER BY id";

/// Items stand behind the task that waits for them, which no task of a plan does.
const EDGES: &str = "SELECT from_ordinal, to_ordinal FROM edges WHERE run_id = $1 AND from_ordinal < to_ordinal ORDER BY to_ordinal, from_ordinal";

impl Store {
    /// Runs, newest first. Each state is a short read of its own, whatever else there is.
    pub async fn runs(&self, filter: &RunFilter, page: Page) -> Result<Vec<RunRecord>, StoreError> {
        let states: Vec<Option<RunState>> = match filter.states.as_slice() {
            [] => vec![None],
            some => some.iter().copied().map(Some).collect(),
        };
        let mut found = Vec::new();
        for state in states {
            found.extend(self.runs_in(filter.pipeline.as_deref(), state, page).await?);
        }
        found.sort_unstable_by_key(|run: &RunRecord| std::cmp::Reverse(run.id));
        found.dedup_by_key(|run| run.id);
        found.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn runs_in(
        &self,
        pipeline: Option<&str>,
        state: Option<RunState>,
        page: Page,
    ) -> Result<Vec<RunRecord>, StoreError> {
        let before = page.before.unwrap_or(RunId(uuid::Uuid::max()));
        let mut args = vec![Arg::from(before), page.limit.into()];
        args.extend(pipeline.map(Arg::from));
        args.extend(state.map(|state| Arg::from(state.name())));
        let sql = match (pipeline, state) {
            (None, None) => RUNS,
            (None, Some(_)) => RUNS_IN,
            (Some(_), None) => RUNS_OF,
            (Some(_), Some(_)) => RUNS_OF_IN,
        };
        self.desk.db.read("list runs", sql, &args).await?.iter().map(record).collect()
    }

    /// A run.
    pub async fn run(&self, id: RunId) -> Result<RunRecord, StoreError> {
        let rows = self.desk.db.read("load a run", RUN, &[id.into()]).await?;
        rows.first().map_or(Err(StoreError::NoRun(id)), record)
    }

    /// The run that a cause made, if it made one.
    pub async fn run_of_key(&self, pipeline: &str, key: &str) -> Result<Option<RunRecord>, StoreError> {
        let rows = self.desk.db.read("look for a run by its key", RUN_OF_KEY, &[pipeline.into(), key.into()]).await?;
        rows.first().map(record).transpose()
    }

    /// The tasks of a run's plan, by ordinal. Items of a `for_each` are only counted; [`Store::items`] lists them.
    pub async fn tasks(&self, run: RunId) -> Result<Vec<TaskRecord>, StoreError> {
        let rows = self.desk.db.read("load tasks", TASKS, &[run.into()]).await?;
        let mut tasks = rows.iter().map(task_record).collect::<Result<Vec<_>, _>>()?;
        if tasks.iter().any(|task| task.items.is_some()) {
            let mut counts: HashMap<Ordinal, ItemCounts> = HashMap::new();
            for row in &self.desk.db.read("count items", ITEM_COUNTS, &[run.into()]).await? {
                let mut columns = Columns::of(row, "tasks");
                let counts = counts.entry(columns.next("parent")?).or_default();
                let (state, count) = (columns.word("state")?, columns.next("count")?);
                counts.states.insert(state, count);
                counts.total += count;
            }
            for task in &mut tasks {
                task.items = task.items.take().and_then(|_| counts.remove(&task.ordinal));
            }
        }
        Ok(tasks)
    }

    /// Items of a task with `for_each`, in the order of the list, from a place in it; only those in these states, or all
    /// if none is named.
    pub async fn items(
        &self,
        of: TaskKey,
        from: u32,
        limit: u32,
        states: &[TaskState],
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let states: String = states.iter().map(|state| format!(",{state},")).collect();
        let args = [of.run.into(), of.ordinal.into(), from.into(), limit.into(), states.as_str().into()];
        self.desk.db.read("load items", ITEMS, &args).await?.iter().map(task_record).collect()
    }

    /// What the tasks before a task gave, without its own items.
    pub async fn upstream(&self, of: TaskKey) -> Result<Vec<Upstream>, StoreError> {
        let mut tx = self.desk.db.begin_reading().await?;
        let found = upstream(&mut tx, &[of]).await?.remove(&of).unwrap_or_default();
        Ok(found.into_iter().filter(|task| task.index.is_none()).collect())
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
        self.desk.db.read("load the history of a run", EVENTS, &args).await?.iter().map(event).collect()
    }

    /// The history of one task, in order.
    pub async fn task_events(&self, task: TaskKey) -> Result<Vec<EventRecord>, StoreError> {
        let args = [task.run.into(), task.ordinal.into()];
        self.desk.db.read("load the history of a task", EVENTS_OF_TASK, &args).await?.iter().map(event).collect()
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
        pool: about.limits.pool,
        pool_slots: about.limits.slots,
        standby: about.limits.standby.as_deref().and_then(Gate::parse),
        asks: view.asks,
        offered_at: columns.next("offered_at")?,
        started_at: columns.next("started_at")?,
        finished_at: columns.next("finished_at")?,
        output: columns.maybe_json("output")?,
        error: columns.maybe_json("error")?,
        reason: columns.next("reason")?,
        index: columns.next("map_index")?,
        parent: view.parent,
        items: view.items.map(|total| ItemCounts { total, ..ItemCounts::default() }),
    })
}

fn event(row: &Row) -> Result<EventRecord, StoreError> {
    event_record(&mut Columns::of(row, "events"))
}

/// The columns of an event, from `id` to `detail`.
pub(crate) fn event_record(columns: &mut Columns<'_>) -> Result<EventRecord, StoreError> {
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

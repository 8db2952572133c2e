//! Runs that have no rows yet: decided in memory, then inserted as they are.

use std::collections::{HashMap, HashSet};

use tidemill_dag::{
    id::{Ordinal, RunId, TaskKey},
    spec::OnOverlap,
    state::{IllegalMove, Move, Policy, RunEvent, RunState, RunView, TaskState, TaskView, Want, Work},
    time::Timestamp,
};

use crate::{
    DEFAULT_QUEUE, NewRun, NewTask, StoreError,
    db::{Arg, Batch, Sql, Tx, batch, json},
    door::{After, EventRows, Limits, Offer, first_ready, started},
};

const RUNS: Sql = batch!(
    [id run, pipeline text, version text, state text, trigger_kind text, trigger_key text, trigger_data text, params text,
     interval_start int, interval_end int, max_runs int, on_overlap text, tasks_total int, tasks_left int,
     tasks_failed int, reason text, created_at int, started_at int, finished_at int, parent_run run, parent_ordinal int,
     depth int, timeout int, deadline_at int, late_at int, tenant text, started_by text, priority int,
     rerun_of run]
    "INSERT INTO runs (id, pipeline, version, state, trigger_kind, trigger_key, trigger_data, params, interval_start,",
    "interval_end, max_runs, on_overlap, tasks_total, tasks_left, tasks_failed, reason, created_at, started_at,",
    "finished_at, parent_run, parent_ordinal, depth, timeout, deadline_at, late_at, tenant, started_by, priority, rerun_of)",
    "SELECT id, pipeline, version, state, trigger_kind, trigger_key, trigger_data, params, interval_start,",
    "interval_end, max_runs, on_overlap, tasks_total, tasks_left, tasks_failed, reason, created_at, started_at,",
    "finished_at, parent_run, parent_ordinal, depth, timeout, deadline_at, late_at, tenant, started_by, priority,",
    "rerun_of FROM input"
);

const TASKS: Sql = batch!(
    [run_id run, ordinal int, name text, state text, attempt int, up_pending int, up_succeeded int, up_failed int,
     up_skipped int, policy text, queue text, priority int, offered_at int, ready_at int, finished_at int,
     pool text, pool_slots int, tenant text, lane text, lane_slots int, standby text, output text]
    "INSERT INTO tasks (run_id, ordinal, name, state, attempt, failures, crashes, up_pending, up_succeeded, up_failed,",
    "up_skipped, policy, queue, priority, offered_at, ready_at, finished_at, pool, pool_slots, tenant, lane, lane_slots,",
    "standby, output) SELECT run_id, ordinal, name, state, attempt,",
    "0, 0, up_pending, up_succeeded, up_failed, up_skipped, policy, queue, priority, offered_at, ready_at, finished_at,",
    "pool, pool_slots, tenant, lane, lane_slots, standby, output FROM input"
);

const EDGES: Sql = batch!(
    [run_id run, from_ordinal int, to_ordinal int]
    "INSERT INTO edges (run_id, from_ordinal, to_ordinal) SELECT run_id, from_ordinal, to_ordinal FROM input"
);

/// Rows to be inserted.
pub(super) struct Newborn {
    now: Timestamp,
    runs: Batch,
    tasks: Batch,
    edges: Batch,
    events: EventRows,
    after: After,
    states: HashMap<RunId, RunState>,
}

impl Newborn {
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            runs: Batch::default(),
            tasks: Batch::default(),
            edges: Batch::default(),
            events: EventRows::at(now),
            after: After::default(),
            states: HashMap::new(),
        }
    }

    /// A run that is about to be born.
    pub fn state(&self, id: RunId) -> Option<RunState> {
        self.states.get(&id).copied()
    }

    /// Decides what becomes of a run's rows on arrival, and keeps them.
    pub fn add(&mut self, run: &NewRun, event: Option<RunEvent>, home: &Home) -> Result<RunState, StoreError> {
        let refuse = |why| StoreError::Refused { what: format!("the creation of {}", run.id), why };
        misplaced(run).map_or(Ok(()), |name| {
            Err(refuse(format!("task `{name}` must stand behind all it needs and name each of them once")))
        })?;
        let born = Born::of(run, event, self.now).map_err(|why| refuse(why.to_string()))?;
        for step in &born.moves {
            self.events.plain(step);
        }
        self.add_run(run, &born.run, home);
        for (task, view) in run.tasks.iter().zip(&born.tasks) {
            self.add_task(task, view, limits_of(run, task, home));
        }
        self.states.insert(run.id, born.run.state);
        Ok(born.run.state)
    }

    fn add_run(&mut self, run: &NewRun, view: &RunView, home: &Home) {
        let skipped = (view.state == RunState::Cancelled).then_some("another run of the pipeline was running");
        self.runs
            .row()
            .set("id", run.id)
            .set("pipeline", run.pipeline.as_str())
            .set("version", run.version.0.as_str())
            .set("state", view.state.name())
            .set("trigger_kind", run.trigger.name())
            .set("trigger_key", run.trigger_key.as_deref())
            .set("trigger_data", Arg::json(&run.trigger_data))
            .set("params", Arg::json(&run.params))
            .set("interval_start", run.interval.map(|it| it.start))
            .set("interval_end", run.interval.map(|it| it.end))
            .set("max_runs", run.concurrency.max_runs)
            .set("on_overlap", overlap(run.concurrency.on_overlap))
            .set("tasks_total", i64::try_from(run.tasks.len()).unwrap_or(i64::MAX))
            .set("tasks_left", view.tasks_left)
            .set("tasks_failed", view.failed)
            .set("reason", skipped)
            .set("created_at", self.now)
            .set("started_at", started(view, self.now))
            .set("finished_at", view.state.is_finished().then_some(self.now))
            .set("parent_run", run.bounds.parent.map(|parent| parent.run))
            .set("parent_ordinal", run.bounds.parent.map(|parent| parent.ordinal))
            .set("depth", run.bounds.depth)
            .set("timeout", run.bounds.timeout.map(|length| i64::try_from(length.as_micros()).unwrap_or(i64::MAX)))
            .set("deadline_at", run.bounds.timeout.map(|length| self.now.after(length)))
            .set("late_at", run.bounds.expect_within.map(|length| self.now.after(length)))
            .set("tenant", home.tenant.as_str())
            .set("started_by", run.started_by.as_deref())
            .set("priority", run.priority as u32)
            .set("rerun_of", run.rerun_of);
    }

    fn add_task(&mut self, task: &NewTask, view: &TaskView, limits: Limits) {
        let queue = task.queue.as_deref().unwrap_or(DEFAULT_QUEUE);
        let ready = view.state == TaskState::Ready;
        let gates = limits.gates();
        let output = task.output.as_ref().map(json);
        let standby = gates.first().filter(|_| ready).map(|(gate, _)| gate.text());
        self.tasks
            .row()
            .set("run_id", view.key.run)
            .set("ordinal", view.key.ordinal)
            .set("name", task.name.as_str())
            .set("state", view.state.name())
            .set("attempt", view.attempt)
            .set("up_pending", view.upstream.pending)
            .set("up_succeeded", view.upstream.succeeded)
            .set("up_failed", view.upstream.failed)
            .set("up_skipped", view.upstream.skipped)
            .set("policy", Arg::json(&view.policy))
            .set("queue", queue)
            .set("priority", task.priority as u32)
            .set("offered_at", ready.then_some(self.now))
            .set("ready_at", first_ready(view, None, self.now))
            .set("finished_at", view.state.is_finished().then_some(self.now))
            .set("pool", limits.pool.as_deref())
            .set("pool_slots", limits.slots)
            .set("tenant", limits.tenant.as_str())
            .set("lane", limits.lane.as_ref().map(|lane| lane.0.as_str()))
            .set("lane_slots", limits.lane.as_ref().map(|lane| lane.1))
            .set("standby", standby.as_deref())
            .set("output", output.as_deref());
        for from in &task.needs {
            self.edges.row().set("run_id", view.key.run).set("from_ordinal", *from).set("to_ordinal", view.key.ordinal);
        }
        if ready && gates.is_empty() {
            self.after.offers.push(Offer { queue: queue.to_owned(), priority: task.priority, ticket: view.ticket() });
        } else if ready {
            self.after.gates.extend(gates.into_iter().map(|(gate, _)| gate));
        }
    }

    /// Inserts the rows; returns what is to be done after the commit.
    pub async fn write(self, tx: &mut Tx) -> Result<After, StoreError> {
        let inserts = [
            ("insert runs", RUNS, &self.runs),
            ("insert tasks", TASKS, &self.tasks),
            ("insert edges", EDGES, &self.edges),
        ];
        for (action, sql, input) in inserts {
            if !input.is_empty() {
                tx.run(action, sql, &[input.arg()]).await?;
            }
        }
        self.events.write(tx).await?;
        Ok(self.after)
    }
}

/// Where a run is born.
pub(super) struct Home {
    pub tenant: String,
    /// How many tasks the tenant may run.
    pub tenant_slots: Option<u32>,
    /// Whether no new runs start.
    pub paused: bool,
}

fn limits_of(run: &NewRun, task: &NewTask, home: &Home) -> Limits {
    Limits {
        pool: task.pool.clone(),
        slots: task.pool_slots.max(1),
        lane: run.concurrency.max_tasks.map(|most| (run.pipeline.clone(), most.max(1))),
        tenant: home.tenant.clone(),
        tenant_slots: home.tenant_slots,
        standby: None,
    }
}

/// The first task that needs one that does not stand before it, or one twice: it would wait for ever.
fn misplaced(run: &NewRun) -> Option<&str> {
    let well = |(ordinal, task): &(u32, &NewTask)| {
        let mut seen = HashSet::new();
        task.needs.iter().all(|before| before.0 < *ordinal && seen.insert(before))
    };
    (0..).zip(&run.tasks).find(|task| !well(task)).map(|(_, task)| task.name.as_str())
}

const fn overlap(on_overlap: OnOverlap) -> &'static str {
    match on_overlap {
        OnOverlap::Queue => "queue",
        OnOverlap::Skip => "skip",
        OnOverlap::CancelRunning => "cancel_running",
        OnOverlap::Allow => "allow",
    }
}

/// A run as it looks once its arrival is dealt with.
struct Born {
    run: RunView,
    tasks: Vec<TaskView>,
    moves: Vec<Move>,
}

impl Born {
    fn of(new: &NewRun, event: Option<RunEvent>, now: Timestamp) -> Result<Self, IllegalMove> {
        let key = |ordinal| TaskKey { run: new.id, ordinal: Ordinal(ordinal) };
        let mut readers: HashMap<Ordinal, Vec<usize>> = HashMap::new();
        let mut first = Vec::with_capacity(new.tasks.len());
        for ((ordinal, place), task) in (0..).zip(0..).zip(&new.tasks) {
            let policy = Policy {
                run_if: task.run_if,
                retries: task.retries,
                backoff: task.backoff,
                max_parallel: task.max_parallel,
                hook: task.hook,
                taken: task.taken,
            };
            first.push(TaskView::first(key(ordinal), u32::try_from(task.needs.len()).unwrap_or(u32::MAX), policy));
            for from in &task.needs {
                readers.entry(*from).or_default().push(place);
            }
        }
        let mut work = Work::new(now);
        let count = u32::try_from(first.len()).unwrap_or(u32::MAX);
        work.give_runs([RunView::first(new.id, count)])?;
        if let Some(event) = event {
            work.apply_run(new.id, event)?;
        }
        while let Some(want) = work.wants() {
            match want {
                Want::Roots(_) => work.give_roots(first.iter().filter(|row| row.upstream.pending == 0).cloned())?,
                Want::Unfinished(_) => work.give_unfinished(first.iter().cloned())?,
                Want::Readers(ended) => {
                    let of = |task: &TaskKey| readers.get(&task.ordinal).map_or(&[][..], Vec::as_slice);
                    let pairs =
                        ended.iter().flat_map(|task| of(task).iter().map(|place| (*task, first[*place].clone())));
                    work.give_readers(pairs.collect::<Vec<_>>())?;
                }
                // It is the only run here, and nobody waits for the place of a run that never began.
                Want::Runs(_) | Want::Successors(_) | Want::Items(_) => {}
            }
        }
        let run = work.run(new.id).copied().unwrap_or(RunView::first(new.id, count));
        let tasks = first.into_iter().map(|row| work.task(row.key).cloned().unwrap_or(row)).collect();
        Ok(Self { run, tasks, moves: work.finish().moves })
    }
}

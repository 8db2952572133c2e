//! Everything that lasts, as one moment saw it, for the invariants.

use std::collections::BTreeMap;

use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket},
    invariants::{AnswerRow, Lease, LimitRow, RunRow, World},
    limits::Gate,
    spec::OnOverlap,
    state::{EventKind, Move, RunEventKind, RunState, RunView, TaskState},
};

use crate::{
    Store, StoreError,
    db::{Arg, Columns, Row, Tx},
    door::{run_columns, run_record, task_columns, task_view},
};

/// With `$1` one run, without it all.
macro_rules! of_run {
    ($select:expr, $column:literal, $order:literal) => {
        [concat!($select, " ORDER BY ", $order), concat!($select, " WHERE ", $column, " = $1 ORDER BY ", $order)]
    };
}

const RUNS: [&str; 2] = of_run!(
    concat!("SELECT ", run_columns!(), ", p.paused_at FROM runs AS r JOIN pipelines AS p ON p.name = r.pipeline"),
    "r.id",
    "r.id"
);

const TASKS: [&str; 2] =
    of_run!(concat!("SELECT ", task_columns!(), ", t.output FROM tasks AS t"), "t.run_id", "t.run_id, t.ordinal");

const EVENTS: [&str; 2] =
    of_run!("SELECT run_id, ordinal, attempt, event, from_state, to_state FROM events", "run_id", "id");

/// A pool's slots, unless it was changed after the last of them was given away.
const POOL_SIZE: &str = "SELECT p.slots FROM pools AS p WHERE p.name = $1 AND p.updated_at <= \
                         (SELECT MAX(t.started_at) FROM tasks AS t WHERE t.pool = p.name AND t.finished_at IS NULL \
                         AND t.state = 'running')";
const TENANT_SIZE: &str = "SELECT l.max_tasks FROM tenants AS l WHERE l.name = $1 AND l.updated_at <= \
                           (SELECT MAX(t.started_at) FROM tasks AS t WHERE t.tenant = l.name AND t.state = 'running')";

const ANSWERS: &str = "SELECT a.run_id, a.ordinal, a.attempt, a.required, \
                       (SELECT COUNT(*) FROM answers AS w WHERE w.run_id = a.run_id AND w.ordinal = a.ordinal \
                       AND w.attempt = a.attempt AND w.approve = 1), \
                       (SELECT COUNT(*) FROM answers AS w WHERE w.run_id = a.run_id AND w.ordinal = a.ordinal \
                       AND w.attempt = a.attempt AND w.approve = 0) FROM approvals AS a";

impl Store {
    /// One moment of everything, or of one run without the runs beside it. What only the transport knows, its tickets, is left empty.
    pub async fn snapshot(&self, only: Option<RunId>) -> Result<World, StoreError> {
        let mut tx = self.desk.db.begin_reading().await?;
        let mut world = World::default();
        for row in &rows(&mut tx, RUNS, only).await? {
            let mut columns = Columns::of(row, "runs");
            let (run, concurrency) = run_record(&mut columns)?;
            let paused: Option<tidemill_dag::time::Timestamp> = columns.next("paused_at")?;
            world.accepted.extend(run.trigger_key.clone().map(|key| (run.pipeline.clone(), key)));
            world.runs.push(RunRow {
                view: RunView {
                    id: run.id,
                    state: run.state,
                    tasks: run.tasks_total,
                    tasks_left: run.tasks_left,
                    failed: run.tasks_failed,
                },
                pipeline: run.pipeline,
                max_runs: (concurrency.on_overlap != OnOverlap::Allow).then_some(concurrency.max_runs),
                trigger_key: run.trigger_key,
                paused: paused.is_some(),
            });
        }
        let forgotten = crate::collect::without_history(&mut tx).await?;
        world.runs.retain(|run| !forgotten.contains(&run.view.id));
        let mut held: BTreeMap<Gate, Vec<(Ticket, u32, Option<u32>)>> = BTreeMap::new();
        for row in rows(&mut tx, TASKS, only).await? {
            let mut columns = Columns::of(&row, "tasks");
            let (task, about) = task_view(&mut columns)?;
            if forgotten.contains(&task.key.run) {
                continue;
            }
            let output: Option<serde_json::Value> = columns.maybe_json("output")?;
            let published = output.is_some_and(|output| output.get("manifest").is_some());
            world.data_sets.extend((published && task.state == TaskState::Succeeded).then(|| task.ticket()));
            world.leases.extend(task.owner.clone().map(|owner| Lease { ticket: task.ticket(), owner }));
            if task.state == TaskState::Running {
                for (gate, slots) in about.limits.gates() {
                    held.entry(gate).or_default().push((task.ticket(), slots, about.limits.lane_slots()));
                }
            }
            world.tasks.push(task);
        }
        for row in rows(&mut tx, EVENTS, only).await? {
            world.audit.push(step(&mut Columns::of(&row, "events"))?);
        }
        if only.is_none() {
            world.limits = limits(&mut tx, held).await?;
        }
        world.answers = answers(&mut tx).await?;
        Ok(world)
    }
}

/// Limits and who holds them. A limit that was changed after the last slot was given away is not judged by its size.
async fn limits(
    tx: &mut Tx,
    held: BTreeMap<Gate, Vec<(Ticket, u32, Option<u32>)>>,
) -> Result<Vec<LimitRow>, StoreError> {
    let mut limits = Vec::new();
    for (gate, held) in held {
        let size = match &gate {
            // Versions may differ; none of those that run may have been let in beyond the largest.
            Gate::Pipeline(_) => held.iter().filter_map(|(_, _, lane)| *lane).max(),
            Gate::Pool(name) => size(tx, POOL_SIZE, name).await?,
            Gate::Tenant(name) => size(tx, TENANT_SIZE, name).await?,
        };
        let held = held.into_iter().map(|(ticket, slots, _)| (ticket, slots)).collect();
        limits.push(LimitRow { name: gate.text(), size, held });
    }
    Ok(limits)
}

async fn size(tx: &mut Tx, sql: &'static str, name: &str) -> Result<Option<u32>, StoreError> {
    let rows = tx.rows("take a snapshot of limits", sql, &[name.into()]).await?;
    rows.first().map_or(Ok(None), |row| Columns::of(row, "pools").next("slots"))
}

async fn answers(tx: &mut Tx) -> Result<Vec<AnswerRow>, StoreError> {
    let read = |row: &Row| {
        let mut columns = Columns::of(row, "approvals");
        let task = crate::control::key(&mut columns)?;
        Ok(AnswerRow {
            ticket: Ticket { task, attempt: columns.next("attempt")? },
            required: columns.next("required")?,
            approved: columns.next("approved")?,
            rejected: columns.next("rejected")?,
        })
    };
    tx.rows("take a snapshot of answers", ANSWERS, &[]).await?.iter().map(read).collect()
}

async fn rows(tx: &mut Tx, sql: [&'static str; 2], only: Option<RunId>) -> Result<Vec<Row>, StoreError> {
    match only {
        Some(run) => tx.rows("take a snapshot", sql[1], &[Arg::from(run)]).await,
        None => tx.rows("take a snapshot", sql[0], &[]).await,
    }
}

fn step(columns: &mut Columns<'_>) -> Result<Move, StoreError> {
    let run: RunId = columns.next("run_id")?;
    let ordinal: Option<Ordinal> = columns.next("ordinal")?;
    let attempt: Attempt = columns.next("attempt")?;
    Ok(match ordinal {
        Some(ordinal) => Move::Task {
            task: TaskKey { run, ordinal },
            attempt,
            on: columns.one_of("event", EventKind::ALL, EventKind::name)?,
            from: columns.word("from_state")?,
            to: columns.word("to_state")?,
        },
        None => Move::Run {
            run,
            on: columns.one_of("event", RunEventKind::ALL, RunEventKind::name)?,
            from: columns.word::<RunState>("from_state")?,
            to: columns.word("to_state")?,
        },
    })
}

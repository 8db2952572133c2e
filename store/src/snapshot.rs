//! Everything that lasts, as one moment saw it, for the invariants.

use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey},
    invariants::{Lease, RunRow, World},
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

const RUNS: [&str; 2] = of_run!(concat!("SELECT ", run_columns!(), " FROM runs AS r"), "r.id", "r.id");

const TASKS: [&str; 2] =
    of_run!(concat!("SELECT ", task_columns!(), ", t.output FROM tasks AS t"), "t.run_id", "t.run_id, t.ordinal");

const EVENTS: [&str; 2] =
    of_run!("SELECT run_id, ordinal, attempt, event, from_state, to_state FROM events", "run_id", "id");

impl Store {
    /// One moment of everything, or of one run without the runs beside it. What only the transport knows, its tickets, is left empty.
    pub async fn snapshot(&self, only: Option<RunId>) -> Result<World, StoreError> {
        let mut tx = self.desk.db.begin_reading().await?;
        let mut world = World::default();
        for row in &rows(&mut tx, RUNS, only).await? {
            let (run, concurrency) = run_record(&mut Columns::of(row, "runs"))?;
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
            });
        }
        let forgotten = crate::collect::without_history(&mut tx).await?;
        world.runs.retain(|run| !forgotten.contains(&run.view.id));
        for row in rows(&mut tx, TASKS, only).await? {
            let mut columns = Columns::of(&row, "tasks");
            let (task, _) = task_view(&mut columns)?;
            if forgotten.contains(&task.key.run) {
                continue;
            }
            let output: Option<serde_json::Value> = columns.maybe_json("output")?;
            let published = output.is_some_and(|output| output.get("manifest").is_some());
            world.data_sets.extend((published && task.state == TaskState::Succeeded).then(|| task.ticket()));
            world.leases.extend(task.owner.clone().map(|owner| Lease { ticket: task.ticket(), owner }));
            world.tasks.push(task);
        }
        for row in rows(&mut tx, EVENTS, only).await? {
            world.audit.push(step(&mut Columns::of(&row, "events"))?);
        }
        Ok(world)
    }
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

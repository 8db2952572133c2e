//! What people and dead workers do to runs: cancel, resume, expire.

use std::collections::BTreeMap;

use tidemill_dag::{
    id::{Ordinal, RunId, TaskKey, Ticket, WorkerId},
    state::{Event, RunEvent, RunState, TaskState, hold_back, resets},
};

use crate::{
    RunRecord, Store, StoreError,
    db::{Columns, Row, Tx, tried},
    door::{After, Door},
};

const NEEDS: &str = "SELECT to_ordinal, from_ordinal FROM edges WHERE run_id = $1";

const HELD_BY: &str =
    "SELECT run_id, ordinal FROM tasks WHERE owner = $1 AND state = 'running' ORDER BY run_id, ordinal LIMIT $2";

/// At most so many leases end in one transaction.
const AT_ONCE: u32 = 500;

impl Store {
    /// Stops a run: tasks that have not finished are cancelled, and workers learn it with their next heartbeat.
    /// To cancel a cancelled run changes nothing.
    pub async fn cancel_run(&self, run: RunId, reason: &str) -> Result<RunRecord, StoreError> {
        let after = tried!(self.desk.stop_once(run, reason, |state| state == RunState::Cancelled).await)?;
        self.desk.follow_up(after).await;
        self.run(run).await
    }

    /// Lets a failed or cancelled run go on: what succeeded stays, the rest runs again with new tries.
    /// It takes its place among the runs of its pipeline.
    pub async fn resume_run(&self, run: RunId) -> Result<RunRecord, StoreError> {
        let after = tried!(self.resume_once(run).await)?;
        self.desk.follow_up(after).await;
        self.run(run).await
    }

    async fn resume_once(&self, run: RunId) -> Result<After, StoreError> {
        let mut tx = self.desk.db.begin().await?;
        let needs = needs(&mut tx, run).await?;
        let mut door = self.desk.door_of(&mut tx, run).await?;
        // With the run locked, as the removal of what it needs locks it too.
        crate::collect::no_longer_aged(door.tx(), run).await?;
        let views = door.load_all(run).await?;
        let states: Vec<TaskState> = views.iter().map(|view| view.state).collect();
        let mut before = vec![Vec::new(); states.len()];
        for (to, from) in needs {
            before[to.0 as usize].push(from);
        }
        let mut resets = resets(&states, &before);
        hold_back(&mut resets, &views);
        // The run first: it refuses where the tasks could only stumble.
        let tasks_left = u32::try_from(resets.len()).unwrap_or(u32::MAX);
        door.move_run(run, RunEvent::Resume { tasks_left }, None)?;
        for reset in resets {
            door.tell(TaskKey { run, ordinal: reset.ordinal }, &Event::Resume(reset.upstream))?;
        }
        let pipeline = door.run(run)?.pipeline.clone();
        door.start_resumed(&pipeline, run).await?;
        door.settle().await?;
        let after = door.write().await?;
        tx.commit().await?;
        Ok(after)
    }

    /// A worker process is known to be dead: its leases end now. Returns how many.
    pub async fn expire_owner(&self, worker: &WorkerId) -> Result<usize, StoreError> {
        let mut expired = 0;
        loop {
            let args = [worker.0.as_str().into(), AT_ONCE.into()];
            let rows = self.desk.db.read("find what a worker holds", HELD_BY, &args).await?;
            let tasks = keys(&rows)?;
            let told = self.tell_all(&tasks, &Event::OwnerGone).await?;
            expired += told;
            if tasks.len() < AT_ONCE as usize || told == 0 {
                return Ok(expired);
            }
        }
    }

    /// Tells tasks what time or the world did to them, in one transaction. Returns how many it still concerned.
    pub(crate) async fn tell_all(&self, tasks: &[TaskKey], event: &Event) -> Result<usize, StoreError> {
        if tasks.is_empty() {
            return Ok(0);
        }
        let (told, after) = tried!(self.tell_once(tasks, event).await)?;
        self.desk.follow_up(after).await;
        Ok(told)
    }

    async fn tell_once(&self, tasks: &[TaskKey], event: &Event) -> Result<(usize, After), StoreError> {
        let mut tx = self.desk.db.begin().await?;
        let mut door = Door::new(&mut tx, self.desk.clock.now());
        let tasks: BTreeMap<TaskKey, bool> = tasks.iter().map(|task| (*task, false)).collect();
        door.open(&tasks).await?;
        let mut told = 0;
        for task in tasks.keys() {
            told += usize::from(door.tell(*task, event)?);
        }
        door.settle().await?;
        let after = door.write().await?;
        tx.commit().await?;
        Ok((told, after))
    }
}

/// Reads rows that begin with a task's key.
pub(crate) fn keys(rows: &[Row]) -> Result<Vec<TaskKey>, StoreError> {
    rows.iter().map(|row| key(&mut Columns::of(row, "tasks"))).collect()
}

pub(crate) fn key(columns: &mut Columns<'_>) -> Result<TaskKey, StoreError> {
    Ok(TaskKey { run: columns.next("run_id")?, ordinal: columns.next("ordinal")? })
}

/// Reads rows that begin with a ticket.
pub(crate) fn tickets(rows: &[Row]) -> Result<Vec<Ticket>, StoreError> {
    let ticket = |row| {
        let mut columns = Columns::of(row, "tasks");
        Ok(Ticket { task: key(&mut columns)?, attempt: columns.next("attempt")? })
    };
    rows.iter().map(ticket).collect()
}

async fn needs(tx: &mut Tx, run: RunId) -> Result<Vec<(Ordinal, Ordinal)>, StoreError> {
    let rows = tx.rows("load a run's edges", NEEDS, &[run.into()]).await?;
    let edge = |row| {
        let mut columns = Columns::of(row, "edges");
        Ok((columns.next("to_ordinal")?, columns.next("from_ordinal")?))
    };
    rows.iter().map(edge).collect()
}

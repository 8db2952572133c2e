//! What a worker gets with a claim.

use std::{collections::HashMap, time::Duration};

use tidemill_dag::{
    id::{Ordinal, TaskKey, Ticket, WorkerId},
    state::{Event, EventKind, Holder, TaskState},
};

use super::{Door, contradicts, refused};
use crate::{
    StoreError,
    db::{Batch, Columns, Sql, batch},
    work::{Claimed, ClaimedRun, Upstream},
};

pub(crate) const UPSTREAM: Sql = batch!(
    [run_id run, ordinal int]
    "SELECT i.run_id, i.ordinal, t.ordinal, t.name, t.map_index, t.state, t.attempt, t.output FROM input AS i",
    "CROSS JOIN edges AS e CROSS JOIN tasks AS t WHERE e.run_id = i.run_id AND e.to_ordinal = i.ordinal",
    "AND t.run_id = e.run_id AND t.ordinal = e.from_ordinal ORDER BY t.run_id, t.ordinal"
);

impl Door<'_> {
    /// Gives a task to a worker, if the ticket is still good.
    pub fn claim(&mut self, ticket: Ticket, worker: &WorkerId, lease: Duration) -> Result<bool, StoreError> {
        if !self.admits(ticket) {
            return Ok(false);
        }
        let by = Holder { attempt: ticket.attempt, owner: worker.clone() };
        let start = Event::Start { by, lease_until: self.now.after(lease) };
        match self.work.apply(ticket.task, &start, 0.0) {
            Ok(()) => {
                self.note_owner(ticket.task, EventKind::Start);
                Ok(true)
            }
            Err(why) if contradicts(&why) => Err(refused(format!("the claim of {ticket}"), &why)),
            // Stale, repeated or cancelled: tickets may be that.
            Err(_) => Ok(false),
        }
    }

    /// The one task that the end of this one made ready, if it can go to the same worker without
    /// passing over anybody: same queue, same priority.
    pub fn only_heir(&self, of: TaskKey, before: &[TaskKey]) -> Option<Ticket> {
        let mut ready =
            before.iter().filter_map(|key| self.work.task(*key)).filter(|row| row.state == TaskState::Ready);
        let heir = ready.next().filter(|_| ready.next().is_none())?.ticket();
        let (from, to) = (self.about.get(&of)?, self.about.get(&heir.task)?);
        let same = from.queue == to.queue && from.priority == to.priority;
        (same && to.limits.gates().is_empty()).then_some(heir)
    }

    /// The readers of a task that are blocked now.
    pub fn blocked_readers(&self, of: TaskKey) -> Vec<TaskKey> {
        let readers = self.readers.get(&of).map_or(&[][..], Vec::as_slice);
        let blocked = |key: &&TaskKey| self.work.task(**key).is_some_and(|row| row.state == TaskState::Blocked);
        readers.iter().filter(blocked).copied().collect()
    }

    /// All that a worker needs to know of a task it now holds; what it reads comes with [`Door::upstream`].
    pub fn claimed(&self, key: TaskKey) -> Result<Claimed, StoreError> {
        let missing = || StoreError::Row { table: "tasks", column: "owner", problem: format!("{key} is not held") };
        let row = self.work.task(key).ok_or_else(missing)?;
        let about = self.about.get(&key).ok_or_else(missing)?;
        let run = self.run(key.run)?;
        Ok(Claimed {
            ticket: row.ticket(),
            name: about.name.clone(),
            lease_until: row.lease_until.ok_or_else(missing)?,
            ready_at: about.ready_at.unwrap_or(self.now),
            failures: row.failures,
            run: ClaimedRun {
                id: run.id,
                pipeline: run.pipeline.clone(),
                version: run.version.clone(),
                trigger: run.trigger,
                trigger_data: run.trigger_data.clone(),
                params: run.params.clone(),
                interval: run.interval,
                started_by: run.started_by.clone(),
                started_at: run.started_at.unwrap_or(self.now),
                depth: run.depth,
            },
            upstream: Vec::new(),
            item: None,
            items: row.items,
        })
    }

    /// How many tasks stand before a task that has none unfinished.
    pub fn upstream_count(&self, key: TaskKey) -> u32 {
        let count = |before: tidemill_dag::state::Upstream| before.succeeded + before.failed + before.skipped;
        self.work.task(key).map_or(0, |row| count(row.upstream))
    }

    /// Whether a task is an item.
    pub fn is_item(&self, key: TaskKey) -> bool {
        self.work.task(key).is_some_and(|row| row.parent.is_some())
    }

    /// A task's name in the definition.
    pub fn name(&self, key: TaskKey) -> Option<&str> {
        self.about.get(&key).map(|about| about.name.as_str())
    }
}

/// What the tasks before these gave.
pub(crate) async fn upstream(
    tx: &mut crate::db::Tx,
    of: &[TaskKey],
) -> Result<HashMap<TaskKey, Vec<Upstream>>, StoreError> {
    let mut found: HashMap<TaskKey, Vec<Upstream>> = HashMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let mut input = Batch::default();
    for task in of {
        input.row().set("run_id", task.run).set("ordinal", task.ordinal);
    }
    for row in tx.rows("load what a task reads", UPSTREAM, &[input.arg()]).await? {
        let mut columns = Columns::of(&row, "tasks");
        let reader = TaskKey { run: columns.next("run_id")?, ordinal: columns.next::<Ordinal>("ordinal")? };
        found.entry(reader).or_default().push(Upstream {
            ordinal: columns.next("ordinal")?,
            name: columns.next("name")?,
            index: columns.next("map_index")?,
            state: columns.word("state")?,
            attempt: columns.next("attempt")?,
            output: columns.maybe_json("output")?,
        });
    }
    Ok(found)
}

//! Rows of items: inserted when a list is known, found when a place among them becomes free.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::Value;
use tidemill_dag::{
    id::{Ordinal, TaskKey},
    state::{TaskState, TaskView},
};

use super::{About, Door, Limits, load::task_columns};
use crate::{
    StoreError,
    db::{Arg, Batch, Columns, Sql, batch, json},
    work::Item,
};

const INSERT: Sql = batch!(
    [run_id run, ordinal int, name text, state text, attempt int, up_pending int, policy text, queue text, priority int,
     offered_at int, ready_at int, finished_at int, parent int, map_index int, item text, pool text, pool_slots int,
     tenant text, lane text, lane_slots int, standby text]
    "INSERT INTO tasks (run_id, ordinal, name, state, attempt, failures, crashes, up_pending, up_succeeded, up_failed,",
    "up_skipped, policy, queue, priority, offered_at, ready_at, finished_at, parent, map_index, item, pool, pool_slots,",
    "tenant, lane, lane_slots, standby)",
    "SELECT run_id, ordinal, name, state, attempt, 0, 0, up_pending, 0, 0, 0, policy, queue, priority, offered_at,",
    "ready_at, finished_at, parent, map_index, item, pool, pool_slots, tenant, lane, lane_slots, standby FROM input"
);

const EDGES: Sql = batch!(
    [run_id run, from_ordinal int, to_ordinal int]
    "INSERT INTO edges (run_id, from_ordinal, to_ordinal) SELECT run_id, from_ordinal, to_ordinal FROM input"
);

/// Blocked items behind a place in the list.
const HELD: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM tasks AS t WHERE t.run_id = $1 AND t.parent = $2 AND t.parent IS NOT NULL AND t.state = 'blocked' \
     AND t.ordinal > $3 ORDER BY t.ordinal LIMIT $4"
);

const VALUES: Sql = batch!(
    [run_id run, ordinal int]
    "SELECT t.run_id, t.ordinal, t.parent, t.map_index, t.item FROM input AS i CROSS JOIN tasks AS t",
    "WHERE t.run_id = i.run_id AND t.ordinal = i.ordinal AND t.parent IS NOT NULL"
);

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 3] = [INSERT, EDGES, VALUES];

/// Held items are looked up so many at a time: many items may end in one transaction.
const AHEAD: u32 = 256;

/// The items of one task that wait for a place, as far as they were looked up.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Those not yet taken, the last one first.
    rows: Vec<TaskView>,
    /// Up to where the table was read; none before the first look.
    through: Option<Ordinal>,
    /// Whether there are no more.
    all: bool,
}

impl Door<'_> {
    /// Lets items take the places of those that ended.
    pub(super) async fn fill_places(&mut self, places: Vec<(TaskKey, u32)>) -> Result<(), StoreError> {
        for (parent, mut left) in places {
            let mut held = self.held_items.remove(&parent).unwrap_or_default();
            while left > 0 {
                let Some(row) = held.rows.pop() else {
                    if held.all {
                        break;
                    }
                    self.look_for_held(parent, &mut held).await?;
                    continue;
                };
                left = self.work.give_items([row], left).map_err(super::inconsistent)?;
            }
            self.held_items.insert(parent, held);
        }
        Ok(())
    }

    async fn look_for_held(&mut self, parent: TaskKey, held: &mut Held) -> Result<(), StoreError> {
        let after = held.through.unwrap_or(parent.ordinal);
        let args = [parent.run.into(), parent.ordinal.into(), after.into(), AHEAD.into()];
        let rows = self.tx.rows("look for items that wait", HELD, &args).await?;
        held.all = rows.len() < AHEAD as usize;
        for row in rows.iter().rev() {
            held.rows.push(self.take(&mut Columns::of(row, "tasks"))?);
        }
        held.through = held.rows.first().map(|row| row.key.ordinal).or(held.through);
        Ok(())
    }

    /// Inserts the rows of items that came to be in this transaction.
    pub(super) async fn write_items(&mut self, born: &[TaskView]) -> Result<(), StoreError> {
        let (mut rows, mut edges) = (Batch::default(), Batch::default());
        let mut lists: BTreeMap<TaskKey, (About, std::vec::IntoIter<Value>, u32)> = BTreeMap::new();
        for view in born {
            let Some(ordinal) = view.parent else { continue };
            let parent = TaskKey { ordinal, ..view.key };
            let (about, list, next) = match lists.entry(parent) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let missing =
                        || StoreError::Row { table: "tasks", column: "item", problem: format!("{parent} has no list") };
                    let about = self.about.get(&parent).cloned().ok_or_else(missing)?;
                    let list = self.notes.lists.remove(&parent).ok_or_else(missing)?;
                    new.insert((about, list.into_iter(), 0))
                }
            };
            let (index, value) = (*next, list.next().unwrap_or_default());
            *next += 1;
            let name = format!("{}[{index}]", about.name);
            let ready = (view.state == TaskState::Ready).then_some(self.now);
            let limits = &about.limits;
            let standby = limits.gates().first().filter(|_| ready.is_some()).map(|(gate, _)| gate.text());
            rows.row()
                .set("run_id", view.key.run)
                .set("ordinal", view.key.ordinal)
                .set("name", name.as_str())
                .set("state", view.state.name())
                .set("attempt", view.attempt)
                .set("up_pending", view.upstream.pending)
                .set("policy", Arg::json(&view.policy))
                .set("queue", about.queue.as_str())
                .set("priority", about.priority as u32)
                .set("offered_at", ready)
                .set("ready_at", ready)
                .set("finished_at", view.state.is_finished().then_some(self.now))
                .set("parent", ordinal)
                .set("map_index", index)
                .set("item", json(&value).as_str())
                .set("pool", limits.pool.as_deref())
                .set("pool_slots", limits.slots.max(1))
                .set("tenant", limits.tenant.as_str())
                .set("lane", limits.lane.as_ref().map(|lane| lane.0.as_str()))
                .set("lane_slots", limits.lane_slots())
                .set("standby", standby.as_deref());
            edges.row().set("run_id", view.key.run).set("from_ordinal", view.key.ordinal).set("to_ordinal", ordinal);
            let limits = Limits { standby, ..about.limits.clone() };
            let about = About { name, ready_at: ready, limits, ..about.clone() };
            self.about.insert(view.key, about);
        }
        if !rows.is_empty() {
            self.tx.run("insert items", INSERT, &[rows.arg()]).await?;
            self.tx.run("insert edges of items", EDGES, &[edges.arg()]).await?;
        }
        Ok(())
    }
}

/// What stands in the lists at the places of these items; tasks that are no items are left out.
pub(crate) async fn values(tx: &mut crate::db::Tx, of: &[TaskKey]) -> Result<BTreeMap<TaskKey, Item>, StoreError> {
    let mut found = BTreeMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let mut input = Batch::default();
    for task in of {
        input.row().set("run_id", task.run).set("ordinal", task.ordinal);
    }
    for row in tx.rows("load items", VALUES, &[input.arg()]).await? {
        let mut columns = Columns::of(&row, "tasks");
        let key = TaskKey { run: columns.next("run_id")?, ordinal: columns.next("ordinal")? };
        let item =
            Item { of: columns.next("parent")?, index: columns.next("map_index")?, value: columns.json("item")? };
        found.insert(key, item);
    }
    Ok(found)
}

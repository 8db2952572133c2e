//! Whose turn it is when a limit has a slot to give.
//!
//! What counts against a limit here is what runs and what was let in and has not been claimed yet. The claim counts
//! again, under the same lock; so a limit is never exceeded, and this here only decides the order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidemill_dag::{
    id::{Attempt, TaskKey, Ticket},
    limits::{Gate, Room, Share, turns},
    time::Timestamp,
};

use super::Desk;
use crate::{
    StoreError,
    control::key,
    db::{Batch, Columns, Row, Sql, Tx, batch, tried},
    door::{Limits, Offer, limits, priority, publish},
};

/// Who has slots of a limit or was let in: tenant and slots.
const POOL_HELD: &str = "SELECT t.tenant, CAST(SUM(t.pool_slots) AS BIGINT) FROM tasks AS t WHERE t.pool = $1 \
                         AND t.finished_at IS NULL AND (t.state = 'running' OR (t.state = 'ready' AND t.standby IS NULL)) \
                         GROUP BY t.tenant";
const LANE_HELD: &str = "SELECT t.tenant, COUNT(*) FROM tasks AS t WHERE t.lane = $1 \
                         AND t.finished_at IS NULL AND (t.state = 'running' OR (t.state = 'ready' AND t.standby IS NULL)) \
                         GROUP BY t.tenant";
const TENANT_HELD: &str = "SELECT $1, (SELECT COUNT(*) FROM tasks AS t WHERE t.tenant = $1 AND t.state = 'running') + \
                           (SELECT COUNT(*) FROM tasks AS t WHERE t.tenant = $1 AND t.state = 'ready' AND t.standby IS NULL)";

/// Each tenant that waits, found by steps through the index, and when it was served last.
const WAITING: &str = "WITH RECURSIVE w (tenant) AS (SELECT MIN(t.tenant) FROM tasks AS t WHERE t.standby = $1 \
                       UNION ALL SELECT (SELECT MIN(t.tenant) FROM tasks AS t WHERE t.standby = $1 AND t.tenant > w.tenant) \
                       FROM w WHERE w.tenant IS NOT NULL) \
                       SELECT w.tenant, (SELECT u.served_at FROM turns AS u WHERE u.gate = $1 AND u.tenant = w.tenant) \
                       FROM w WHERE w.tenant IS NOT NULL";

/// A tenant's first ones in line: by priority, then by age. What wants more slots than there are at all is not among them.
const LINE: &str = "SELECT t.run_id, t.ordinal, t.attempt, t.queue, t.priority, t.pool, t.pool_slots, t.lane, t.lane_slots, \
                    t.standby, t.tenant, (SELECT l.max_tasks FROM tenants AS l WHERE l.name = t.tenant) \
                    FROM tasks AS t WHERE t.standby = $1 AND t.tenant = $2 AND t.pool_slots <= $4 \
                    ORDER BY t.priority, t.ready_at, t.run_id, t.ordinal LIMIT $3";

/// Each limit that somebody waits for.
const GATES: &str = "WITH RECURSIVE g (gate) AS (SELECT MIN(t.standby) FROM tasks AS t WHERE t.standby IS NOT NULL \
                     UNION ALL SELECT (SELECT MIN(t.standby) FROM tasks AS t WHERE t.standby > g.gate) \
                     FROM g WHERE g.gate IS NOT NULL) SELECT g.gate FROM g WHERE g.gate IS NOT NULL";

/// No column of `input` is called like one of the table, so that both databases know which one is returned.
const LET_IN: Sql = batch!(
    [run run, place int, was_attempt int, was text, next text, at int]
    "UPDATE tasks AS t SET standby = i.next, offered_at = i.at FROM input AS i",
    "WHERE t.run_id = i.run AND t.ordinal = i.place",
    "AND t.state = 'ready' AND t.attempt = i.was_attempt AND t.standby = i.was RETURNING run_id, ordinal"
);

const SERVED: Sql = batch!(
    [gate text, tenant text, at int]
    "INSERT INTO turns (gate, tenant, served_at) SELECT gate, tenant, at FROM input WHERE true",
    "ON CONFLICT (gate, tenant) DO UPDATE SET served_at = excluded.served_at"
);

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 2] = [LET_IN, SERVED];

/// At most so many are let in at once; the rest follows at once, too, in the next step.
const AT_ONCE: u32 = 500;

/// One that waits.
struct Waiting {
    ticket: Ticket,
    offer: Offer,
    limits: Limits,
}

impl Desk {
    /// Lets in whoever's turn it is, for each of these limits, and sends their tickets.
    pub async fn take_turns(&self, gates: BTreeSet<Gate>) {
        let mut open = gates;
        // What passes one limit may wait for the next; there are three kinds of them.
        for _ in 0..3 {
            let mut next = BTreeSet::new();
            for gate in std::mem::take(&mut open) {
                match self.let_in(&gate).await {
                    Ok(further) => next.extend(further),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(gate = gate.text(), error, "those who wait for a slot are left to the sweep");
                    }
                }
            }
            open = next;
        }
    }

    /// Every limit that somebody waits for.
    pub async fn waited_for(&self) -> Result<BTreeSet<Gate>, StoreError> {
        let rows = self.db.read("look for limits that somebody waits for", GATES, &[]).await?;
        let mut gates = BTreeSet::new();
        for row in &rows {
            let text: String = Columns::of(row, "tasks").next("standby")?;
            gates.extend(Gate::parse(&text));
        }
        Ok(gates)
    }

    /// Fills one limit. Returns further limits that some of those wait for now. The number let in is in the second place.
    async fn let_in(&self, gate: &Gate) -> Result<BTreeSet<Gate>, StoreError> {
        let mut further = BTreeSet::new();
        loop {
            let step = tried!(self.let_in_once(gate).await)?;
            let more = step.offers.len() + step.moved > 0;
            publish(&*self.transport, step.offers).await;
            further.extend(step.further);
            if !more {
                return Ok(further);
            }
        }
    }

    async fn let_in_once(&self, gate: &Gate) -> Result<Step, StoreError> {
        let mut tx = self.db.begin().await?;
        let mut input = Batch::default();
        limits::gate_row(&mut input, gate);
        limits::lock(&mut tx, &input).await?;
        let text = gate.text();
        let shares = shares(&mut tx, gate).await?;
        if shares.is_empty() {
            return Ok(Step::default());
        }
        let held = shares.values().map(|(share, _)| share.held).sum();
        let size = limits::rooms(&mut tx, &input).await?.get(gate).and_then(|room| room.size);
        let mut room = Room { size, held };
        let largest = room.size.filter(|_| matches!(gate, Gate::Pool(_))).unwrap_or(u32::MAX);
        let mut shares = shares;
        for (tenant, (share, line)) in &mut shares {
            let most = room.free().min(AT_ONCE);
            // A pipeline's limit stands with its tasks.
            let most = if matches!(gate, Gate::Pipeline(_)) { AT_ONCE } else { most };
            if most > 0 {
                *line = waiting(&mut tx, (&text, tenant), most, largest).await?;
            }
            let slots = |it: &Waiting| if matches!(gate, Gate::Pool(_)) { it.limits.slots.max(1) } else { 1 };
            share.waiting = line.iter().map(slots).collect();
        }
        if let Gate::Pipeline(_) = gate {
            room.size =
                shares.values().flat_map(|(_, line)| line).find_map(|it| it.limits.lane.as_ref().map(|it| it.1));
        }
        let plain = shares.iter().map(|(tenant, (share, _))| (tenant.clone(), share.clone())).collect();
        let picked: Vec<&Waiting> =
            turns(room, &plain).into_iter().map(|(tenant, place)| &shares[&tenant].1[place]).collect();
        let step = self.admit(&mut tx, gate, &picked).await?;
        tx.commit().await?;
        Ok(step)
    }

    /// Gives tickets to those whose turn it is, unless another limit of theirs is full: then they wait for that one.
    async fn admit(&self, tx: &mut Tx, gate: &Gate, picked: &[&Waiting]) -> Result<Step, StoreError> {
        let now = self.clock.now();
        let mut others = other_rooms(tx, gate, picked).await?;
        let (mut input, mut served) = (Batch::default(), BTreeMap::new());
        let mut offers = HashMap::new();
        let mut step = Step::default();
        let text = gate.text();
        for (place, it) in (0..).zip(picked) {
            let gates = it.limits.gates();
            let full = gates.iter().filter(|(other, _)| other != gate).find(|(other, slots)| {
                others.get(other).is_some_and(|room| it.limits.room(other, *room).free() < *slots)
            });
            let row = input
                .row()
                .set("run", it.ticket.task.run)
                .set("place", it.ticket.task.ordinal)
                .set("was_attempt", it.ticket.attempt)
                .set("was", text.as_str())
                .set("at", now);
            if let Some((full, _)) = full {
                drop(row.set("next", full.text().as_str()));
                step.further.insert(full.clone());
                continue;
            }
            drop(row);
            for (other, slots) in &gates {
                if let Some(room) = others.get_mut(other) {
                    room.held += slots;
                }
            }
            served.insert(it.limits.tenant.as_str(), Timestamp(now.0 + place));
            offers.insert(it.ticket.task, it.offer.clone());
        }
        if input.is_empty() {
            return Ok(step);
        }
        for row in tx.rows("let tasks in", LET_IN, &[input.arg()]).await? {
            let task = key(&mut Columns::of(&row, "tasks"))?;
            match offers.remove(&task) {
                Some(offer) => step.offers.push(offer),
                None => step.moved += 1,
            }
        }
        let mut input = Batch::default();
        for (tenant, at) in served {
            drop(input.row().set("gate", text.as_str()).set("tenant", tenant).set("at", at));
        }
        if !input.is_empty() {
            tx.run("note whose turn it was", SERVED, &[input.arg()]).await?;
        }
        // In the order of turns, not in that of the table.
        let places: HashMap<TaskKey, usize> =
            picked.iter().enumerate().map(|(place, it)| (it.ticket.task, place)).collect();
        step.offers.sort_by_key(|offer| places.get(&offer.ticket.task).copied());
        Ok(step)
    }
}

/// What one step did.
#[derive(Default)]
struct Step {
    offers: Vec<Offer>,
    /// How many wait for another limit now.
    moved: usize,
    further: BTreeSet<Gate>,
}

/// Who shares a limit: what they hold and when they were served, for those who wait and those who do not.
async fn shares(tx: &mut Tx, gate: &Gate) -> Result<BTreeMap<String, (Share, Vec<Waiting>)>, StoreError> {
    let text = gate.text();
    let mut shares: BTreeMap<String, (Share, Vec<Waiting>)> = BTreeMap::new();
    for row in tx.rows("look who waits", WAITING, &[text.as_str().into()]).await? {
        let mut columns = Columns::of(&row, "tasks");
        let tenant: String = columns.next("tenant")?;
        shares.entry(tenant).or_default().0.served = columns.next("served_at")?;
    }
    if shares.is_empty() {
        return Ok(shares);
    }
    let sql = match gate {
        Gate::Pool(_) => POOL_HELD,
        Gate::Pipeline(_) => LANE_HELD,
        Gate::Tenant(_) => TENANT_HELD,
    };
    for row in tx.rows("look who holds slots", sql, &[gate.name().into()]).await? {
        let mut columns = Columns::of(&row, "tasks");
        let tenant: String = columns.next("tenant")?;
        shares.entry(tenant).or_default().0.held = columns.next("held")?;
    }
    Ok(shares)
}

async fn waiting(
    tx: &mut Tx,
    (gate, tenant): (&str, &str),
    most: u32,
    largest: u32,
) -> Result<Vec<Waiting>, StoreError> {
    let args = [gate.into(), tenant.into(), most.into(), largest.into()];
    let rows = tx.rows("look at a line", LINE, &args).await?;
    rows.iter().map(read_waiting).collect()
}

fn read_waiting(row: &Row) -> Result<Waiting, StoreError> {
    let mut columns = Columns::of(row, "tasks");
    let task = key(&mut columns)?;
    let ticket = Ticket { task, attempt: columns.next::<Attempt>("attempt")? };
    let offer = Offer { ticket, queue: columns.next("queue")?, priority: priority(columns.next("priority")?) };
    Ok(Waiting { ticket, offer, limits: Limits::read(&mut columns)? })
}

/// The other limits of those whose turn it is.
async fn other_rooms(tx: &mut Tx, gate: &Gate, picked: &[&Waiting]) -> Result<BTreeMap<Gate, Room>, StoreError> {
    let gates: BTreeSet<Gate> =
        picked.iter().flat_map(|it| it.limits.gates()).map(|(other, _)| other).filter(|other| other != gate).collect();
    if gates.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut input = Batch::default();
    gates.iter().for_each(|gate| limits::gate_row(&mut input, gate));
    limits::rooms(tx, &input).await
}

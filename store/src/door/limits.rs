//! Slots of pools and other limits, as one transaction sees them; and questions to people.
//!
//! A task with limits gets no ticket when it becomes ready: it stands by, and is let in when it is its turn
//! (`desk/turns.rs`). What was let in may still find the limit full, as when a pool was made smaller; then the claim
//! is refused and the task stands by again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tidemill_dag::{
    approval::{Answer, Question, Verdict},
    codes::tm12,
    id::{TaskKey, Ticket, WorkerId},
    limits::{Gate, Room},
    spec::OnExpiry,
    state::{Change, Event, EventKind, Holder, TaskState, TaskView},
};

use super::{Door, Note};
use crate::{
    StoreError, TaskFailure,
    db::{Arg, Batch, Columns, Sql, Tx, batch, json},
};

/// Whoever counts a limit to give a slot away holds its lock until the end of the transaction. In one order, so that
/// nobody waits in a ring; SQLite has one writer anyway.
const LOCK: Sql = batch!(
    [gate text, pool text, tenant text, lane text]
    "SELECT 1 FROM input WHERE n < 0"
);

const LOCK_ON_POSTGRES: &str = "SELECT pg_advisory_xact_lock(s.id) FROM (SELECT hashtextextended(i.gate, 0) AS id \
                                FROM jsonb_to_recordset($1::jsonb) AS i (gate text) ORDER BY 1) AS s";

/// How many slots there are, and how many those have that run.
const HELD: Sql = batch!(
    [gate text, pool text, tenant text, lane text]
    "SELECT i.gate, CASE WHEN i.pool IS NOT NULL THEN (SELECT p.slots FROM pools AS p WHERE p.name = i.pool)",
    "WHEN i.tenant IS NOT NULL THEN (SELECT l.max_tasks FROM tenants AS l WHERE l.name = i.tenant) END,",
    "CASE WHEN i.pool IS NOT NULL THEN",
    "(SELECT CAST(COALESCE(SUM(t.pool_slots), 0) AS BIGINT) FROM tasks AS t",
    "WHERE t.pool = i.pool AND t.finished_at IS NULL AND t.state = 'running')",
    "WHEN i.tenant IS NOT NULL THEN (SELECT COUNT(*) FROM tasks AS t WHERE t.tenant = i.tenant AND t.state = 'running')",
    "ELSE (SELECT COUNT(*) FROM tasks AS t WHERE t.lane = i.lane AND t.finished_at IS NULL AND t.state = 'running') END",
    "FROM input AS i"
);

const STAND_BY: Sql = batch!(
    [run_id run, ordinal int, attempt int, standby text]
    "UPDATE tasks AS t SET standby = i.standby FROM input AS i WHERE t.run_id = i.run_id AND t.ordinal = i.ordinal",
    "AND t.state = 'ready' AND t.attempt = i.attempt"
);

const ASK: Sql = batch!(
    [run_id run, ordinal int, attempt int, message text, subject text, approvers text, required int, excluded text,
     asked_at int, expires_at int, on_expiry text]
    "INSERT INTO approvals (run_id, ordinal, attempt, message, subject, approvers, required, excluded, asked_at,",
    "expires_at, on_expiry) SELECT run_id, ordinal, attempt, message, subject, approvers, required, excluded, asked_at,",
    "expires_at, on_expiry FROM input"
);

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 3] = [HELD, STAND_BY, ASK];

/// The limits of one task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    pub pool: Option<String>,
    /// How many slots of the pool.
    pub slots: u32,
    /// The pipeline, where it limits its tasks, and to how many.
    pub lane: Option<(String, u32)>,
    pub tenant: String,
    /// How many tasks the tenant may run.
    pub tenant_slots: Option<u32>,
    /// The limit it waits for.
    pub standby: Option<String>,
}

impl Limits {
    /// Reads the end of `task_columns!`.
    pub fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        let pool = columns.next("pool")?;
        let slots = columns.next("pool_slots")?;
        let lane: Option<String> = columns.next("lane")?;
        let lane_slots: Option<u32> = columns.next("lane_slots")?;
        Ok(Self {
            pool,
            slots,
            lane: lane.zip(lane_slots),
            standby: columns.next("standby")?,
            tenant: columns.next("tenant")?,
            tenant_slots: columns.next("tenant_slots")?,
        })
    }

    /// What it must pass, in the order in which it waits, and how many slots it takes of each.
    pub fn gates(&self) -> Vec<(Gate, u32)> {
        let pool = self.pool.clone().map(|name| (Gate::Pool(name), self.slots.max(1)));
        let lane = self.lane.clone().map(|(name, _)| (Gate::Pipeline(name), 1));
        let tenant = self.tenant_slots.map(|_| (Gate::Tenant(self.tenant.clone()), 1));
        pool.into_iter().chain(lane).chain(tenant).collect()
    }

    /// How many tasks its pipeline may run, where that is limited.
    pub fn lane_slots(&self) -> Option<u32> {
        self.lane.as_ref().map(|lane| lane.1)
    }

    /// A limit as it stands for this task: how large a pipeline's is, its own version says.
    pub fn room(&self, gate: &Gate, room: Room) -> Room {
        match (gate, &self.lane) {
            (Gate::Pipeline(_), Some((_, size))) => Room { size: Some(*size), ..room },
            _ => room,
        }
    }
}

/// The columns by which statements find what a limit counts.
pub(crate) fn gate_row(input: &mut Batch, gate: &Gate) {
    let text = gate.text();
    let row = input.row().set("gate", text.as_str());
    match gate {
        Gate::Pool(name) => drop(row.set("pool", name.as_str())),
        Gate::Tenant(name) => drop(row.set("tenant", name.as_str())),
        Gate::Pipeline(name) => drop(row.set("lane", name.as_str())),
    }
}

/// Locks limits for as long as the transaction lasts.
pub(crate) async fn lock(tx: &mut Tx, input: &Batch) -> Result<(), StoreError> {
    let sql = Sql { sqlite: LOCK.sqlite, postgres: LOCK_ON_POSTGRES };
    tx.rows("lock limits", sql, &[input.arg()]).await.map(drop)
}

/// Limits as the table has them.
pub(crate) async fn rooms(tx: &mut Tx, input: &Batch) -> Result<BTreeMap<Gate, Room>, StoreError> {
    let mut rooms = BTreeMap::new();
    for row in tx.rows("count slots", HELD, &[input.arg()]).await? {
        let mut columns = Columns::of(&row, "tasks");
        let gate: String = columns.next("gate")?;
        let size: Option<u32> = columns.next("slots")?;
        let held = columns.next("held")?;
        if let Some(gate) = Gate::parse(&gate) {
            rooms.insert(gate.clone(), Room { size: unlimited(&gate, size), held });
        }
    }
    Ok(rooms)
}

/// A tenant that nobody limits has room for all; a pool that nobody defined has none.
pub(crate) fn unlimited(gate: &Gate, size: Option<u32>) -> Option<u32> {
    match gate {
        Gate::Tenant(_) => Some(size.unwrap_or(u32::MAX)),
        Gate::Pool(_) | Gate::Pipeline(_) => size,
    }
}

impl Door<'_> {
    /// Locks and counts the limits of what is to be claimed. Behind every other lock of the transaction.
    pub async fn open_gates(&mut self, tickets: impl Iterator<Item = Ticket>) -> Result<(), StoreError> {
        let limits = tickets.filter_map(|ticket| self.about.get(&ticket.task)).map(|about| about.limits.gates());
        let gates: BTreeSet<Gate> = limits.flatten().map(|(gate, _)| gate).collect();
        if gates.is_empty() {
            return Ok(());
        }
        let mut input = Batch::default();
        gates.iter().for_each(|gate| gate_row(&mut input, gate));
        lock(self.tx, &input).await?;
        self.gates = rooms(self.tx, &input).await?;
        Ok(())
    }

    /// Takes the slots that a claim needs; without them the task stands by again.
    pub(super) fn admits(&mut self, ticket: Ticket) -> bool {
        let Some(about) = self.about.get(&ticket.task) else { return true };
        let gates = about.limits.gates();
        let current = self
            .work
            .task(ticket.task)
            .is_some_and(|row| row.state == TaskState::Ready && row.attempt == ticket.attempt);
        // A ticket that is stale takes nothing: the state machine refuses it.
        if gates.is_empty() || !current {
            return true;
        }
        let room = |gate: &Gate| {
            let room = self.gates.get(gate).copied().unwrap_or(Room { size: None, held: 0 });
            about.limits.room(gate, room)
        };
        if let Some((full, _)) = gates.iter().find(|(gate, slots)| room(gate).free() < *slots) {
            self.refused.push((ticket, full.clone()));
            return false;
        }
        for (gate, slots) in &gates {
            if let Some(room) = self.gates.get_mut(gate) {
                room.held += slots;
            }
        }
        true
    }

    /// Gives back the slots of a task that no longer runs, for claims in the same transaction.
    pub(super) fn leave(&mut self, key: TaskKey) {
        let Some(about) = self.about.get(&key) else { return };
        for (gate, slots) in about.limits.gates() {
            if let Some(room) = self.gates.get_mut(&gate) {
                room.give(slots);
            }
        }
    }

    /// The limit that a task waits for after a change. What becomes ready with limits stands by.
    pub(super) fn standby(&self, before: &TaskView, after: &TaskView) -> Option<String> {
        let limits = &self.about.get(&after.key)?.limits;
        match (after.state == TaskState::Ready, before.ticket() == after.ticket()) {
            (false, _) => None,
            (true, true) => limits.standby.clone(),
            (true, false) => limits.gates().first().map(|(gate, _)| gate.text()),
        }
    }

    /// Lets refused claims stand by; returns the limits that may have a slot to give.
    pub(super) async fn write_standby(&mut self, changes: &[Change<TaskView>]) -> Result<BTreeSet<Gate>, StoreError> {
        let mut gates = BTreeSet::new();
        for Change { before, after } in changes {
            let Some(about) = self.about.get(&after.key) else { continue };
            let holds = |row: &TaskView| matches!(row.state, TaskState::Running | TaskState::Ready);
            if holds(before) != holds(after) || before.attempt != after.attempt {
                gates.extend(about.limits.gates().into_iter().map(|(gate, _)| gate));
            }
        }
        if self.refused.is_empty() {
            return Ok(gates);
        }
        let mut input = Batch::default();
        for (ticket, gate) in &self.refused {
            let text = gate.text();
            let row = input.row().set("run_id", ticket.task.run).set("ordinal", ticket.task.ordinal);
            drop(row.set("attempt", ticket.attempt).set("standby", text.as_str()));
            tracing::debug!(%ticket, gate = text, "no slot is free; the task stands by");
            gates.insert(gate.clone());
        }
        self.tx.run("let tasks stand by", STAND_BY, &[input.arg()]).await?;
        Ok(gates)
    }

    pub(super) async fn write_questions(&mut self) -> Result<(), StoreError> {
        let mut input = Batch::default();
        for (ticket, question) in &self.notes.questions {
            input
                .row()
                .set("run_id", ticket.task.run)
                .set("ordinal", ticket.task.ordinal)
                .set("attempt", ticket.attempt)
                .set("message", question.message.as_str())
                .set("subject", Arg::json(&question.subject))
                .set("approvers", Arg::json(&question.approvers))
                .set("required", question.required)
                .set("excluded", question.excluded.as_deref())
                .set("asked_at", self.now)
                .set("expires_at", question.expires_at)
                .set("on_expiry", question.on_expiry.name());
        }
        if input.is_empty() {
            return Ok(());
        }
        self.tx.run("ask people", ASK, &[input.arg()]).await.map(drop)
    }

    /// What a task gives or why it failed when nobody answered in time.
    pub(super) fn note_expiry(&mut self, key: TaskKey, on_expiry: OnExpiry) {
        const SILENCE: &str = "nobody answered in time";
        match on_expiry {
            OnExpiry::Approve => {
                let output = json!({ "result": { "approved": true, "by": [], "expired": true } });
                self.notes.outputs.insert(key, json(&output));
            }
            OnExpiry::Skip => drop(self.notes.reasons.insert(key, SILENCE.to_owned())),
            OnExpiry::Fail => {
                let help = Some("resume the run: it asks again".to_owned());
                let failure =
                    TaskFailure { code: tm12::EXPIRED.into(), message: SILENCE.into(), help, retryable: false };
                self.notes.errors.insert(key, json(&failure));
            }
        }
        let detail = Some(json(&json!({ "reason": SILENCE })));
        self.notes.events.insert((key, EventKind::Due), Note { owner: None, detail });
    }
}

impl Door<'_> {
    /// What a verdict of people does to the task that asked.
    pub fn decide(&mut self, of: Ticket, verdict: Verdict, before: &[Answer], last: &Answer) -> Result<(), StoreError> {
        let approved = match verdict {
            Verdict::Counted { .. } => return Ok(()),
            Verdict::Approved => true,
            Verdict::Rejected => false,
        };
        let by = Holder { attempt: of.attempt, owner: WorkerId(last.who.clone()) };
        self.work
            .apply(of.task, &Event::Answer { by, approved }, 0.0)
            .map_err(|why| super::refused(format!("the answer to {of}"), &why))?;
        let names: Vec<&str> = before.iter().chain([last]).filter(|it| it.approve).map(|it| it.who.as_str()).collect();
        if approved {
            let output = json!({ "result": { "approved": true, "by": names, "expired": false } });
            self.notes.outputs.insert(of.task, json(&output));
        } else {
            let why = last.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let failure = TaskFailure {
                code: tm12::REJECTED.into(),
                message: format!("`{}` refused{why}", last.who),
                help: Some("mend it, then resume the run: it asks again".to_owned()),
                retryable: false,
            };
            self.notes.errors.insert(of.task, json(&failure));
        }
        let detail = Some(json(&json!({ "by": names, "last": last.who, "approve": approved, "reason": last.reason })));
        self.notes.events.insert((of.task, EventKind::Answer), Note { owner: None, detail });
        Ok(())
    }
}

/// What a question waits for, as a part of a sentence.
pub(super) fn waits_for(question: &Question) -> String {
    let who = match question.approvers.as_slice() {
        [] => "anybody".to_owned(),
        names => names.join(" or "),
    };
    let people =
        if question.required == 1 { String::new() } else { format!(" ({} different people)", question.required) };
    format!("the approval of {who}{people}, until {}: {}", question.expires_at, question.message)
}

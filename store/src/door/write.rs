//! What the door writes.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket, VersionId},
    spec::{OnExpiry, Priority},
    state::{
        Change, Event, EventKind, IllegalMove, Move, RunState, RunView, TaskState, TaskView, VersionEvent, VersionState,
    },
    time::Timestamp,
};

use super::{After, Door, Ended, Note, limits::waits_for};
use crate::{
    StoreError, Transport,
    db::{Arg, Batch, Columns, Sql, Tx, batch, json},
    work::{Outcome, Report},
};

/// A version's state; the row must still be what the decision was made on.
const VERSION: &str = "UPDATE versions SET state = $1 WHERE id = $2 AND pipeline = $3 AND state = $4";

/// The pipeline's word for its active version follows.
const ACTIVE: &str = "UPDATE pipelines SET active_version = CASE WHEN $1 = 'active' THEN $2 END WHERE name = $3";

const VERSION_EVENT: &str = "INSERT INTO version_events (pipeline, version, at, event, from_state, to_state, actor) \
                             VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Writes one move of a version of a locked pipeline, with its audit row.
pub(crate) async fn write_version(
    tx: &mut Tx,
    (pipeline, version): (&str, &VersionId),
    (from, event, to): (VersionState, VersionEvent, VersionState),
    (now, actor): (Timestamp, &str),
) -> Result<(), StoreError> {
    let id = || Arg::from(version.0.as_str());
    let args = [to.name().into(), id(), pipeline.into(), from.name().into()];
    if tx.run("move a version", VERSION, &args).await? != 1 {
        return Err(StoreError::Contended { action: "move a version" });
    }
    if from == VersionState::Active || to == VersionState::Active {
        let args = [to.name().into(), id(), pipeline.into()];
        tx.run("name the active version", ACTIVE, &args).await?;
    }
    let words = [event.name(), from.name(), to.name(), actor].map(Arg::from);
    let [event, from, to, actor] = words;
    let args = [pipeline.into(), id(), now.into(), event, from, to, actor];
    tx.run("write the audit trail of versions", VERSION_EVENT, &args).await.map(drop)
}

/// A ticket to send, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub queue: String,
    pub priority: Priority,
    pub ticket: Ticket,
}

/// What was not decided anew keeps its value; the row must still be what the decision was made on.
const TASKS: Sql = batch!(
    [run_id run, ordinal int, was text, was_attempt int, was_pending int, state text, attempt int, owner text,
     lease_until int, wake_at int, failures int, crashes int, up_pending int, up_succeeded int, up_failed int,
     up_skipped int, offered_at int, ready_at int, started_at int, finished_at int, output text, error text,
     reason text, items int, standby text, asks text]
    "UPDATE tasks AS t SET state = i.state, attempt = i.attempt, owner = i.owner, lease_until = i.lease_until,",
    "wake_at = i.wake_at, failures = i.failures, crashes = i.crashes, up_pending = i.up_pending,",
    "up_succeeded = i.up_succeeded, up_failed = i.up_failed, up_skipped = i.up_skipped, offered_at = i.offered_at,",
    "ready_at = i.ready_at, started_at = COALESCE(i.started_at, t.started_at), finished_at = i.finished_at,",
    "output = COALESCE(i.output, t.output), error = COALESCE(i.error, t.error), reason = i.reason,",
    "items = COALESCE(i.items, t.items), standby = i.standby, asks = i.asks",
    "FROM input AS i WHERE t.run_id = i.run_id AND t.ordinal = i.ordinal AND t.state = i.was",
    "AND t.attempt = i.was_attempt AND t.up_pending = i.was_pending"
);

const RUNS: Sql = batch!(
    [run_id run, was text, was_left int, state text, tasks int, tasks_left int, tasks_failed int, started_at int, finished_at int,
     reason text, at int]
    "UPDATE runs AS r SET state = i.state, tasks_total = i.tasks, tasks_left = i.tasks_left, tasks_failed = i.tasks_failed,",
    "started_at = COALESCE(r.started_at, i.started_at), finished_at = i.finished_at, reason = i.reason,",
    "deadline_at = CASE WHEN i.was IN ('failed', 'cancelled') THEN i.at + r.timeout ELSE r.deadline_at END",
    "FROM input AS i WHERE r.id = i.run_id AND r.state = i.was AND r.tasks_left = i.was_left"
);

const EVENTS: Sql = batch!(
    [run_id run, ordinal int, attempt int, at int, event text, from_state text, to_state text, owner text, detail text]
    "INSERT INTO events (run_id, ordinal, attempt, at, event, from_state, to_state, owner, detail)",
    "SELECT run_id, ordinal, attempt, at, event, from_state, to_state, owner, detail FROM input ORDER BY n"
);

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 3] = [TASKS, RUNS, EVENTS];

impl Door<'_> {
    /// A worker's report. An error of the inner kind refuses the report and nothing else.
    pub fn report(&mut self, report: &Report, chance: f64) -> Result<(), IllegalMove> {
        let event = report.event();
        self.work.apply(report.ticket.task, &event, chance)?;
        let key = report.ticket.task;
        self.leave(key);
        let mut note = Note { owner: Some(report.owner.clone()), detail: None };
        match &report.outcome {
            Outcome::Succeeded { output } => {
                self.notes.loaded.add(key, output, self.now);
                self.notes.outputs.insert(key, json(output));
            }
            Outcome::Failed { error } => {
                let error = json(error);
                note.detail = Some(error.clone());
                self.notes.errors.insert(key, error);
            }
            Outcome::Parked { wake_at, reason } => {
                note.detail = Some(json(&serde_json::json!({ "reason": reason, "wake_at": wake_at })));
                self.notes.reasons.insert(key, reason.clone());
            }
            Outcome::Asked { question } => {
                note.detail = Some(json(question));
                self.notes.reasons.insert(key, waits_for(question));
                self.notes.questions.push((report.ticket, (**question).clone()));
            }
            Outcome::Skipped { reason } => {
                note.detail = Some(json(&serde_json::json!({ "reason": reason })));
                self.notes.reasons.insert(key, reason.clone());
            }
            Outcome::Expanded { items } => {
                note.detail = Some(json(&serde_json::json!({ "items": items.len() })));
                self.notes.lists.insert(key, items.clone());
            }
            Outcome::Cancelled => {}
        }
        self.notes.events.insert((key, event.kind()), note);
        Ok(())
    }

    /// Notes who an event concerns, for the audit row.
    pub fn note_owner(&mut self, key: TaskKey, event: EventKind) {
        let owner = self.work.task(key).and_then(|row| row.owner.clone());
        self.notes.events.insert((key, event), Note { owner, detail: None });
    }

    /// Writes everything that was decided.
    pub async fn write(mut self) -> Result<After, StoreError> {
        let settled = std::mem::replace(&mut self.work, tidemill_dag::state::Work::new(self.now)).finish();
        let rows = Rows {
            tasks: self.task_rows(&settled.tasks),
            runs: self.run_rows(&settled.runs),
            events: self.event_rows(&settled.moves).input,
        };
        rows.write(self.tx).await?;
        self.write_items(&settled.born).await?;
        std::mem::take(&mut self.notes.loaded).write(self.tx).await?;
        self.write_questions().await?;
        let mut gates = self.write_standby(&settled.tasks).await?;
        let offered = settled.tickets.iter().filter_map(|ticket| self.about.get(&ticket.task));
        gates.extend(offered.flat_map(|about| about.limits.gates()).map(|(gate, _)| gate));
        let offers = settled.tickets.into_iter().filter_map(|ticket| {
            let about = self.about.get(&ticket.task).filter(|about| about.limits.gates().is_empty())?;
            Some(Offer { queue: about.queue.clone(), priority: about.priority, ticket })
        });
        let ended = settled.runs.iter().filter(|run| run.after.state.is_finished());
        let ended = ended.map(|run| Ended {
            run: run.after.id,
            parent: self.runs.get(&run.after.id).and_then(|record| record.parent),
            cancelled: run.after.state == RunState::Cancelled,
        });
        let ended = ended.filter(|it| it.parent.is_some() || it.cancelled).collect();
        Ok(After { offers: offers.collect(), later: self.later, gates, ended })
    }

    fn event_rows(&mut self, moves: &[Move]) -> EventRows {
        let mut events = EventRows::at(self.now);
        for step in moves {
            let note = match step {
                Move::Task { task, on, .. } => self.notes.events.remove(&(*task, *on)).unwrap_or_default(),
                Move::Run { run, .. } => {
                    let detail = self.notes.runs.get(run).map(|reason| json(&serde_json::json!({ "reason": reason })));
                    Note { owner: None, detail }
                }
            };
            events.add(step, &note);
        }
        events
    }

    fn task_rows(&self, changes: &[Change<TaskView>]) -> Batch {
        let mut input = Batch::default();
        for Change { before, after } in changes {
            let key = after.key;
            let entered = |state| (after.state == state && before.state != state).then_some(self.now);
            // What is resumed may be ready again in the same breath, and begins anew all the same.
            let resumed = before.state.is_finished();
            let ready_at = self.about.get(&key).and_then(|about| about.ready_at).filter(|_| !resumed);
            let offered_at = (after.state == TaskState::Ready).then_some(self.now);
            input
                .row()
                .set("run_id", key.run)
                .set("ordinal", key.ordinal)
                .set("was", before.state.name())
                .set("was_attempt", before.attempt)
                .set("was_pending", before.upstream.pending)
                .set("state", after.state.name())
                .set("attempt", after.attempt)
                .set("owner", after.owner.as_ref().map(|owner| owner.0.as_str()))
                .set("lease_until", after.lease_until)
                .set("wake_at", after.wake_at)
                .set("failures", after.failures)
                .set("crashes", after.crashes)
                .set("up_pending", after.upstream.pending)
                .set("up_succeeded", after.upstream.succeeded)
                .set("up_failed", after.upstream.failed)
                .set("up_skipped", after.upstream.skipped)
                .set("offered_at", offered_at)
                .set("ready_at", first_ready(after, ready_at, self.now))
                .set("started_at", entered(TaskState::Running))
                .set("finished_at", after.state.is_finished().then_some(self.now))
                .set("output", self.notes.outputs.get(&key).map(String::as_str))
                .set("error", self.notes.errors.get(&key).map(String::as_str))
                .set("reason", self.notes.reasons.get(&key).map(String::as_str))
                .set("items", after.items)
                .set("standby", self.standby(before, after).as_deref())
                .set("asks", after.asks.map(OnExpiry::name));
        }
        input
    }

    fn run_rows(&self, changes: &[Change<RunView>]) -> Batch {
        let mut input = Batch::default();
        for Change { before, after } in changes {
            let reason = self.notes.runs.get(&after.id).filter(|_| after.state == RunState::Cancelled);
            input
                .row()
                .set("run_id", after.id)
                .set("was", before.state.name())
                .set("was_left", before.tasks_left)
                .set("state", after.state.name())
                .set("tasks", after.tasks)
                .set("tasks_left", after.tasks_left)
                .set("tasks_failed", after.failed)
                .set("started_at", started(after, self.now))
                .set("finished_at", after.state.is_finished().then_some(self.now))
                .set("reason", reason.map(String::as_str))
                .set("at", self.now);
        }
        input
    }
}

/// A wait or a retry keeps the moment of the first offer; a resume begins anew.
pub(crate) fn first_ready(after: &TaskView, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    match after.state {
        TaskState::Blocked if after.items.is_none() => None,
        TaskState::Blocked => before,
        TaskState::Ready | TaskState::Running => before.or(Some(now)),
        TaskState::Waiting | TaskState::Succeeded | TaskState::Failed => before,
        TaskState::Cancelled | TaskState::Skipped | TaskState::UpstreamFailed => before,
    }
}

/// When a run that is in this state began, if it had not before.
pub(crate) fn started(run: &RunView, now: Timestamp) -> Option<Timestamp> {
    match run.state {
        RunState::Running | RunState::Succeeded | RunState::Failed => Some(now),
        RunState::Queued | RunState::Cancelled => None,
    }
}

/// What one transaction of the door writes.
struct Rows {
    tasks: Batch,
    runs: Batch,
    events: Batch,
}

/// PostgreSQL writes all three in one round trip. Each part is one of the statements above, with a parameter of its own.
static TOGETHER: LazyLock<Sql> = LazyLock::new(|| {
    let part = |sql: Sql, place: &str| format!("({} RETURNING 1)", sql.postgres.replace("$1", place));
    let text = format!(
        "WITH tasks_written AS {}, runs_written AS {}, events_written AS {} \
         SELECT (SELECT count(*) FROM tasks_written), (SELECT count(*) FROM runs_written)",
        part(TASKS, "$1"),
        part(RUNS, "$2"),
        part(EVENTS, "$3")
    );
    Sql { sqlite: "", postgres: text.leak() }
});

impl Rows {
    /// Fewer rows than expected mean that somebody else changed one of them meanwhile.
    async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let Self { tasks, runs, events } = self;
        if tasks.is_empty() && runs.is_empty() && events.is_empty() {
            return Ok(());
        }
        if let Tx::Sqlite(_) = tx {
            exactly(tx, "write tasks", TASKS, tasks).await?;
            exactly(tx, "write runs", RUNS, runs).await?;
            return write_events(tx, events).await;
        }
        let args = [tasks.arg(), runs.arg(), events.arg()];
        let written = tx.rows("write tasks, runs and events", *TOGETHER, &args).await?;
        let row = written.first().ok_or(StoreError::Contended { action: "write tasks" })?;
        let mut counts = Columns::of(row, "tasks");
        let (some, others): (i64, i64) = (counts.next("tasks")?, counts.next("runs")?);
        if u64::try_from(some) == Ok(tasks.len()) && u64::try_from(others) == Ok(runs.len()) {
            Ok(())
        } else {
            Err(StoreError::Contended { action: "write tasks and runs" })
        }
    }
}

async fn write_events(tx: &mut Tx, events: &Batch) -> Result<(), StoreError> {
    if !events.is_empty() {
        tx.run("write the audit trail", EVENTS, &[events.arg()]).await?;
    }
    Ok(())
}

/// Runs a guarded update; fewer rows than expected mean that somebody else changed one of them meanwhile.
async fn exactly(tx: &mut Tx, action: &'static str, sql: Sql, input: &Batch) -> Result<(), StoreError> {
    if input.is_empty() || tx.run(action, sql, &[input.arg()]).await? == input.len() {
        Ok(())
    } else {
        Err(StoreError::Contended { action })
    }
}

/// Audit rows being put together.
pub(crate) struct EventRows {
    at: Timestamp,
    input: Batch,
}

impl EventRows {
    pub fn at(at: Timestamp) -> Self {
        Self { at, input: Batch::default() }
    }

    /// One change of state.
    pub(super) fn add(&mut self, step: &Move, note: &Note) {
        match *step {
            Move::Task { task, attempt, from, to, on } => {
                self.push((task.run, Some(task.ordinal), attempt), (on.name(), from.name(), to.name()), note);
            }
            Move::Run { run, from, to, on } => {
                self.push((run, None, Attempt(0)), (on.name(), from.name(), to.name()), note);
            }
        }
    }

    /// One change of state that needs no words.
    pub fn plain(&mut self, step: &Move) {
        self.add(step, &Note::default());
    }

    fn push(&mut self, what: (RunId, Option<Ordinal>, Attempt), how: (&str, &str, &str), note: &Note) {
        self.input
            .row()
            .set("run_id", what.0)
            .set("ordinal", what.1)
            .set("attempt", what.2)
            .set("at", self.at)
            .set("event", how.0)
            .set("from_state", how.1)
            .set("to_state", how.2)
            .set("owner", note.owner.as_ref().map(|owner| owner.0.as_str()))
            .set("detail", note.detail.as_deref());
    }

    pub async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        write_events(tx, &self.input).await
    }
}

impl Report {
    /// What the report means to the state machine.
    pub(crate) fn event(&self) -> Event {
        let by = tidemill_dag::state::Holder { attempt: self.ticket.attempt, owner: self.owner.clone() };
        match &self.outcome {
            Outcome::Succeeded { .. } => Event::Succeed(by),
            Outcome::Failed { error } => Event::Fail { by, retryable: error.retryable },
            Outcome::Parked { wake_at, .. } => Event::Park { by, until: *wake_at },
            Outcome::Asked { question } => Event::Ask { by, until: question.expires_at, on_expiry: question.on_expiry },
            Outcome::Skipped { .. } => Event::Skip(by),
            Outcome::Expanded { items } => Event::Expand { by, items: u32::try_from(items.len()).unwrap_or(u32::MAX) },
            Outcome::Cancelled => Event::Release(by),
        }
    }
}

/// A transport that does not answer must not keep reports from being committed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends tickets, one call per queue and priority. What cannot be sent now is sent by the sweep.
pub(crate) async fn publish(transport: &dyn Transport, offers: Vec<Offer>) {
    let mut shelves: BTreeMap<(Priority, String), Vec<Ticket>> = BTreeMap::new();
    for Offer { queue, priority, ticket } in offers {
        shelves.entry((priority, queue)).or_default().push(ticket);
    }
    for ((priority, queue), tickets) in shelves {
        let sent = tokio::time::timeout(PATIENCE, transport.publish(&queue, priority, &tickets));
        let Ok(sent) = sent.await else {
            tracing::warn!(queue, tickets = tickets.len(), "tickets were not sent in time");
            return;
        };
        if let Err(error) = sent {
            tracing::warn!(
                queue,
                tickets = tickets.len(),
                error = &error as &dyn std::error::Error,
                "tickets were not sent"
            );
        }
    }
}

//! Runs and their tasks as rows: what goes in when a run is created, what comes out when people look.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidemill_dag::{
    compile::Compiled,
    id::{Attempt, Ordinal, RunId, TaskKey, VersionId, WorkerId},
    limits::Gate,
    spec::{Backoff, Concurrency, OnExpiry, Pipeline, Priority, RunIf},
    state::{RunState, Taken, TaskState},
    time::{Span, Timestamp},
};

/// What made a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// A person at a terminal.
    Manual,
    /// A schedule.
    Cron,
    /// A call of the API.
    Api,
    /// A request in plain English.
    Ask,
    /// A partition of a backfill.
    Backfill,
    /// A webhook.
    Webhook,
    /// Fresh data.
    Dataset,
    /// A task of another run.
    Run,
}

/// The stretch of time a scheduled run stands for: from `start` up to and without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

/// A run to be created.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id, made by the caller.
    pub id: RunId,
    /// The pipeline; it must have been saved.
    pub pipeline: String,
    /// The version that runs.
    pub version: VersionId,
    /// What made it.
    pub trigger: TriggerKind,
    /// Names the cause, so that one cause makes one run however often it is told; unique per pipeline.
    pub trigger_key: Option<String>,
    /// What the cause said, for templates.
    pub trigger_data: Value,
    /// Its parameters, bound and typed.
    pub params: Value,
    /// The stretch of time it stands for.
    pub interval: Option<Interval>,
    /// How many runs of the pipeline at once.
    pub concurrency: Concurrency,
    /// Who asked for it: a name, until identities come.
    pub started_by: Option<String>,
    /// Its place among the queued runs of its pipeline.
    pub priority: Priority,
    /// The run that it does again, all or in part.
    pub rerun_of: Option<RunId>,
    /// Its tasks in the order of the plan; the index is the ordinal.
    pub tasks: Vec<NewTask>,
    /// Who waits for it, and how long it may take.
    pub bounds: Bounds,
}

impl NewRun {
    /// A run without tasks, parameters, cause or limits.
    pub fn new(id: RunId, pipeline: impl Into<String>, version: VersionId, trigger: TriggerKind) -> Self {
        Self {
            id,
            pipeline: pipeline.into(),
            version,
            trigger,
            trigger_key: None,
            trigger_data: Value::Object(Map::new()),
            params: Value::Object(Map::new()),
            interval: None,
            concurrency: Concurrency::default(),
            started_by: None,
            priority: Priority::default(),
            rerun_of: None,
            tasks: Vec::new(),
            bounds: Bounds::default(),
        }
    }

    /// A run of a definition as it is: all of its tasks, its limits and times.
    pub fn of(id: RunId, compiled: &Compiled, trigger: TriggerKind) -> Self {
        Self {
            concurrency: compiled.pipeline.concurrency.clone(),
            tasks: compiled.plan.tasks.iter().map(NewTask::from).collect(),
            bounds: Bounds::of(&compiled.pipeline),
            ..Self::new(id, &compiled.pipeline.pipeline, compiled.version.clone(), trigger)
        }
    }
}

/// What bounds a run besides its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The task of another run that waits for its end.
    pub parent: Option<TaskKey>,
    /// How many runs started each other up to this one.
    pub depth: u32,
    /// It is cancelled if it takes longer, counted from now.
    pub timeout: Option<Duration>,
    /// It counts as late if it takes longer, counted from now.
    pub expect_within: Option<Duration>,
}

impl Bounds {
    /// What a definition says about time.
    pub fn of(pipeline: &Pipeline) -> Self {
        let length = |span: Option<Span>| span.map(|span| span.0);
        Self { timeout: length(pipeline.timeout), expect_within: length(pipeline.expect_within), ..Self::default() }
    }
}

/// A task of a run to be created.
#[derive(Debug, Clone, Default)]
pub struct NewTask {
    /// Its name in the definition.
    pub name: String,
    /// The tasks that must finish first, each once.
    pub needs: Vec<Ordinal>,
    /// Which of their outcomes let it run.
    pub run_if: RunIf,
    /// How often a failed attempt is tried again.
    pub retries: u32,
    /// How long to wait between tries.
    pub backoff: Backoff,
    /// With `for_each`: at most so many items at once.
    pub max_parallel: Option<u32>,
    /// Only tells people how the run ended.
    pub hook: bool,
    /// Its place among ready tasks.
    pub priority: Priority,
    /// The worker queue; the default one if unset.
    pub queue: Option<String>,
    /// The pool whose slots it takes.
    pub pool: Option<String>,
    /// How many of them; 0 counts as 1.
    pub pool_slots: u32,
    /// It is not done, but ends as it did in the run that is done again.
    pub taken: Option<Taken>,
    /// What it gave there.
    pub output: Option<Value>,
}

/// What became of a request to create a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// The run: the new one, or the one that the same trigger key made before.
    pub run: RunId,
    /// Whether it was there already.
    pub existed: bool,
    /// Its state now.
    pub state: RunState,
}

/// A run as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// The pipeline.
    pub pipeline: String,
    /// The version that runs.
    pub version: VersionId,
    /// Where it is in its life.
    pub state: RunState,
    /// What made it.
    pub trigger: TriggerKind,
    /// Names the cause.
    pub trigger_key: Option<String>,
    /// What the cause said.
    pub trigger_data: Value,
    /// Its parameters.
    pub params: Value,
    /// The stretch of time it stands for.
    pub interval: Option<Interval>,
    /// How many tasks it has.
    pub tasks_total: u32,
    /// How many of them have not finished.
    pub tasks_left: u32,
    /// How many of them failed.
    pub tasks_failed: u32,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it first ran.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The task of another run that waits for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskKey>,
    /// How many runs started each other up to this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// When it is stopped if it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<Timestamp>,
    /// Since when it is later than its definition expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_since: Option<Timestamp>,
    /// Whose it is.
    pub tenant: String,
    /// Who asked for it: a name, until identities come.
    pub started_by: Option<String>,
    /// Its place among the queued runs of its pipeline.
    pub priority: Priority,
    /// The run that it does again, all or in part.
    pub rerun_of: Option<RunId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Which runs to list; empty means all.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only of this pipeline.
    pub pipeline: Option<String>,
    /// Only in one of these states.
    pub states: Vec<RunState>,
}

/// A page of a list, newest first.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Continue after this one: the last of the page before.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { before: None, limit: 50 }
    }
}

/// Why an attempt failed, for people and for the retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// Public code, as in `TM0701`.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether trying again may help.
    pub retryable: bool,
}

/// A task as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The run.
    pub run: RunId,
    /// Its place in the plan.
    pub ordinal: Ordinal,
    /// Its name in the definition.
    pub name: String,
    /// Where it is in its life.
    pub state: TaskState,
    /// The current attempt; 0 before the first.
    pub attempt: Attempt,
    /// Who holds its lease.
    pub owner: Option<WorkerId>,
    /// Until when.
    pub lease_until: Option<Timestamp>,
    /// When it wakes up.
    pub wake_at: Option<Timestamp>,
    /// Failed attempts so far.
    pub failures: u32,
    /// Lost leases so far.
    pub crashes: u32,
    /// Tasks before it that have not finished.
    pub pending: u32,
    /// The worker queue it goes to.
    pub queue: String,
    /// Its place among ready tasks.
    pub priority: Priority,
    /// The pool whose slots it takes.
    pub pool: Option<String>,
    /// How many of them.
    pub pool_slots: u32,
    /// The limit it waits for, ready but without a ticket.
    pub standby: Option<Gate>,
    /// It waits for people to answer; this happens if they do not.
    pub asks: Option<OnExpiry>,
    /// When its ticket was last sent.
    pub offered_at: Option<Timestamp>,
    /// When it first became ready.
    pub ready_at: Option<Timestamp>,
    /// When the current or last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it produced.
    pub output: Option<Value>,
    /// Why its last failed attempt failed.
    pub error: Option<TaskFailure>,
    /// Why it waits or was skipped.
    pub reason: Option<String>,
    /// For an item of a `for_each`: the task whose item it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Ordinal>,
    /// For an item: its place in the list, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// For a task with `for_each` whose list is known: its items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
}

/// The items of one task, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ItemCounts {
    /// How many there are.
    pub total: u32,
    /// How many of them stand where; a state without items is left out.
    pub states: BTreeMap<TaskState, u32>,
}

impl ItemCounts {
    /// How many have finished, however.
    pub fn finished(&self) -> u32 {
        self.states.iter().filter(|(state, _)| state.is_finished()).map(|(_, count)| count).sum()
    }

    /// How many stand in this state.
    pub fn of(&self, state: TaskState) -> u32 {
        self.states.get(&state).copied().unwrap_or(0)
    }
}

impl TaskRecord {
    /// The row's key.
    pub fn key(&self) -> TaskKey {
        TaskKey { run: self.run, ordinal: self.ordinal }
    }
}

/// One transition of a run or of one of its tasks: the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Grows with time within one run.
    pub id: i64,
    /// The run.
    pub run: RunId,
    /// The task; none where the run itself moved.
    pub ordinal: Option<Ordinal>,
    /// The attempt after the move.
    pub attempt: Attempt,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// The state before; none at creation.
    pub from: Option<String>,
    /// The state after.
    pub to: String,
    /// The worker it concerns.
    pub owner: Option<WorkerId>,
    /// What else is worth knowing: an error, a reason, a wake-up time.
    pub detail: Option<Value>,
}

impl TriggerKind {
    /// The word that databases store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Cron => "cron",
            Self::Api => "api",
            Self::Ask => "ask",
            Self::Backfill => "backfill",
            Self::Webhook => "webhook",
            Self::Dataset => "dataset",
            Self::Run => "run",
        }
    }
}

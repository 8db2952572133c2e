use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tidemill_dag::id::{Attempt, Ordinal, RunId, WorkerId};
use tidemill_dag::spec::Priority;
use tidemill_dag::state::TaskState;
use tidemill_store::{ItemCounts, TaskFailure, TaskRecord};
use utoipa::ToSchema;

use super::{moment, seconds, task_state};

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Failure)]
pub struct FailureView {
    /// Public code, as in `TM0701`.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether trying again may help.
    pub retryable: bool,
}

impl From<TaskFailure> for FailureView {
    fn from(failure: TaskFailure) -> Self {
        let TaskFailure { code, message, help, retryable } = failure;
        Self { code, message, help, retryable }
    }
}

/// The items of a task, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ItemCounts)]
pub struct ItemsView {
    /// How many there are.
    pub total: u32,
    /// How many of them stand where; a state without items is left out.
    pub states: BTreeMap<String, u32>,
}

impl From<ItemCounts> for ItemsView {
    fn from(counts: ItemCounts) -> Self {
        let states = counts.states.into_iter().map(|(state, count)| (state.name().to_owned(), count)).collect();
        Self { total: counts.total, states }
    }
}

/// A task of a run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Task)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// The run.
    #[schema(value_type = String)]
    pub run: RunId,
    /// Its place in the plan, from 0.
    #[schema(value_type = u32)]
    pub ordinal: Ordinal,
    /// Its name in the definition.
    pub name: String,
    /// Where it is in its life.
    #[schema(schema_with = task_state)]
    pub state: TaskState,
    /// The current attempt; 0 before the first.
    #[schema(value_type = u32)]
    pub attempt: Attempt,
    /// The worker that has it.
    #[schema(value_type = Option<String>)]
    pub owner: Option<WorkerId>,
    /// Until when, without a heartbeat.
    #[schema(format = DateTime)]
    pub lease_until: Option<String>,
    /// When it wakes up.
    #[schema(format = DateTime)]
    pub wake_at: Option<String>,
    /// Failed attempts so far.
    pub failures: u32,
    /// Lost workers so far.
    pub crashes: u32,
    /// Tasks before it that have not finished.
    pub pending: u32,
    /// The worker queue it goes to.
    pub queue: String,
    /// Its place among ready tasks: `high`, `normal` or `low`.
    #[schema(value_type = String)]
    pub priority: Priority,
    /// The pool whose slots it takes.
    pub pool: Option<String>,
    /// How many of them.
    pub pool_slots: u32,
    /// The limit it waits for, ready but without a ticket, as in `pool:gpu`.
    pub standby: Option<String>,
    /// When its ticket was last sent.
    #[schema(format = DateTime)]
    pub offered_at: Option<String>,
    /// When it first became ready.
    #[schema(format = DateTime)]
    pub ready_at: Option<String>,
    /// When the current or last attempt began.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
    /// What it produced: a manifest, a result, a receipt or a report.
    pub output: Option<Value>,
    /// Why its last failed attempt failed.
    pub error: Option<FailureView>,
    /// Why it waits or was skipped.
    pub reason: Option<String>,
    /// For an item of a `for_each`: the place of the task whose item it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub parent: Option<Ordinal>,
    /// For an item: its place in the list, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// For a task with `for_each` whose list is known: its items, counted by state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemsView>,
    /// How many rows it wrote, where it wrote any.
    pub rows: Option<u64>,
    /// How long its last attempt took, in seconds, once it has ended.
    pub seconds: Option<f64>,
}

impl From<TaskRecord> for TaskView {
    fn from(task: TaskRecord) -> Self {
        let (id, rows) = (task.key().to_string(), rows(&task));
        let mut output = task.output;
        // The encoded Arrow schema says nothing to people, and the columns stand beside it.
        if let Some(manifest) = output.as_mut().and_then(|o| o.get_mut("manifest")).and_then(Value::as_object_mut) {
            manifest.remove("arrow");
        }
        Self {
            id,
            run: task.run,
            ordinal: task.ordinal,
            name: task.name,
            state: task.state,
            attempt: task.attempt,
            owner: task.owner,
            lease_until: moment(task.lease_until),
            wake_at: moment(task.wake_at),
            failures: task.failures,
            crashes: task.crashes,
            pending: task.pending,
            queue: task.queue,
            priority: task.priority,
            pool: task.pool,
            pool_slots: task.pool_slots,
            standby: task.standby.map(|gate| gate.text()),
            offered_at: moment(task.offered_at),
            ready_at: moment(task.ready_at),
            started_at: moment(task.started_at),
            finished_at: moment(task.finished_at),
            output,
            error: task.error.map(FailureView::from),
            reason: task.reason,
            parent: task.parent,
            index: task.index,
            items: task.items.map(ItemsView::from),
            rows,
            seconds: seconds(task.started_at, task.finished_at),
        }
    }
}

/// How many rows a task wrote, where it wrote any.
pub fn rows(task: &TaskRecord) -> Option<u64> {
    let output = task.output.as_ref()?;
    ["/manifest/rows", "/receipt/rows", "/check/rows"].iter().find_map(|at| output.pointer(at)).and_then(Value::as_u64)
}

//! The JSON shapes of the API and of `--json`: times as ISO 8601 text, states as words.

use serde::Serialize;
use serde_json::Value;
use tidemill_dag::id::{Ordinal, RunId, VersionId, WorkerId};
use tidemill_dag::state::{RunState, TaskState};
use tidemill_dag::time::Timestamp;
use tidemill_store::{
    EventRecord, LogStream, PipelineRecord, RunRecord, StoredLine, TaskFailure, TaskRecord, TriggerKind,
};

fn text(moment: Timestamp) -> String {
    moment.to_string()
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "as in the record of the store")]
pub struct RunView {
    pub id: RunId,
    pub pipeline: String,
    pub version: VersionId,
    pub state: RunState,
    pub trigger: TriggerKind,
    pub trigger_key: Option<String>,
    pub params: Value,
    pub interval: Option<IntervalView>,
    pub tasks_total: u32,
    pub tasks_left: u32,
    pub tasks_failed: u32,
    pub reason: Option<String>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub seconds: Option<f64>,
}

/// The stretch of time a run stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct IntervalView {
    pub start: String,
    pub end: String,
}

impl From<RunRecord> for RunView {
    fn from(run: RunRecord) -> Self {
        Self {
            seconds: seconds(run.started_at, run.finished_at),
            id: run.id,
            pipeline: run.pipeline,
            version: run.version,
            state: run.state,
            trigger: run.trigger,
            trigger_key: run.trigger_key,
            params: run.params,
            interval: run.interval.map(|i| IntervalView { start: text(i.start), end: text(i.end) }),
            tasks_total: run.tasks_total,
            tasks_left: run.tasks_left,
            tasks_failed: run.tasks_failed,
            reason: run.reason,
            created_at: text(run.created_at),
            started_at: run.started_at.map(text),
            finished_at: run.finished_at.map(text),
        }
    }
}

fn seconds(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<f64> {
    Some(end?.since(start?).as_secs_f64())
}

/// A task of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "as in the record of the store")]
pub struct TaskView {
    pub id: String,
    pub name: String,
    pub ordinal: Ordinal,
    pub state: TaskState,
    pub attempt: u32,
    pub owner: Option<WorkerId>,
    pub lease_until: Option<String>,
    pub wake_at: Option<String>,
    pub failures: u32,
    pub crashes: u32,
    pub pending: u32,
    pub rows: Option<u64>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub seconds: Option<f64>,
    pub output: Option<Value>,
    pub error: Option<TaskFailure>,
    pub reason: Option<String>,
}

impl From<TaskRecord> for TaskView {
    fn from(task: TaskRecord) -> Self {
        Self {
            id: task.key().to_string(),
            rows: rows(&task),
            seconds: seconds(task.started_at, task.finished_at),
            name: task.name,
            ordinal: task.ordinal,
            state: task.state,
            attempt: task.attempt.0,
            owner: task.owner,
            lease_until: task.lease_until.map(text),
            wake_at: task.wake_at.map(text),
            failures: task.failures,
            crashes: task.crashes,
            pending: task.pending,
            started_at: task.started_at.map(text),
            finished_at: task.finished_at.map(text),
            output: task.output.map(without_schema),
            error: task.error,
            reason: task.reason,
        }
    }
}

/// How many rows a task wrote, where it wrote any.
pub fn rows(task: &TaskRecord) -> Option<u64> {
    let output = task.output.as_ref()?;
    ["/manifest/rows", "/receipt/rows", "/check/rows"].iter().find_map(|at| output.pointer(at)).and_then(Value::as_u64)
}

/// An output without the encoded Arrow schema, which says nothing to people.
fn without_schema(mut output: Value) -> Value {
    if let Some(manifest) = output.get_mut("manifest").and_then(Value::as_object_mut) {
        manifest.remove("schema");
    }
    output
}

/// One transition.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "as in the record of the store")]
pub struct EventView {
    pub id: i64,
    pub ordinal: Option<Ordinal>,
    pub attempt: u32,
    pub at: String,
    pub event: String,
    pub from: Option<String>,
    pub to: String,
    pub owner: Option<WorkerId>,
    pub detail: Option<Value>,
}

impl From<EventRecord> for EventView {
    fn from(event: EventRecord) -> Self {
        Self {
            id: event.id,
            ordinal: event.ordinal,
            attempt: event.attempt.0,
            at: text(event.at),
            event: event.event,
            from: event.from,
            to: event.to,
            owner: event.owner,
            detail: event.detail,
        }
    }
}

/// One line that a task printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "as in the record of the store")]
pub struct LogView {
    pub cursor: i64,
    pub ordinal: Ordinal,
    pub attempt: u32,
    pub seq: u32,
    pub at: String,
    pub stream: LogStream,
    pub text: String,
}

impl From<StoredLine> for LogView {
    fn from(stored: StoredLine) -> Self {
        let line = stored.line;
        Self {
            cursor: stored.cursor,
            ordinal: line.task.ordinal,
            attempt: line.attempt.0,
            seq: line.seq,
            at: text(line.at),
            stream: line.stream,
            text: line.text,
        }
    }
}

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "as in the record of the store")]
pub struct PipelineView {
    pub name: String,
    pub active: Option<VersionId>,
    pub created_at: String,
}

impl From<PipelineRecord> for PipelineView {
    fn from(pipeline: PipelineRecord) -> Self {
        Self { name: pipeline.name, active: pipeline.active, created_at: text(pipeline.created_at) }
    }
}

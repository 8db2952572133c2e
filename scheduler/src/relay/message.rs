//! What is told outside, as JSON. `docs/events.md` describes it; whoever changes a shape so that readers break raises
//! [`SHAPE`].

use serde::Serialize;
use serde_json::{Value, json};
use tidemill_dag::state::{RunState, TaskState};
use tidemill_store::OutEvent;

/// The version of the shapes.
pub const SHAPE: u32 = 1;

/// What an event says about lengths of time; milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Measured {
    /// A run ended.
    Run {
        /// From its acceptance to its beginning.
        wait_ms: u64,
        /// From its beginning to its end.
        duration_ms: u64,
        /// How many tasks it has.
        tasks: u32,
        /// How many of them failed.
        failed: u32,
    },
    /// An attempt of a task ended.
    Task {
        /// From its beginning to its end.
        duration_ms: u64,
        /// The code of its failure.
        error: Option<String>,
    },
    /// A worker took a task.
    Wait {
        /// From when it could be taken; only for the first attempt, later ones wait on purpose.
        wait_ms: u64,
    },
}

fn millis(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// The lengths of time that an event tells, if it tells any.
pub fn measured(out: &OutEvent) -> Option<Measured> {
    let event = &out.event;
    let Some(task) = &out.task else {
        let ended = event.to.parse::<RunState>().is_ok_and(RunState::is_finished);
        let began = out.started_at.unwrap_or(event.at);
        return ended.then(|| Measured::Run {
            wait_ms: millis(began.since(out.created_at)),
            duration_ms: millis(event.at.since(began)),
            tasks: out.tasks_total,
            failed: out.tasks_failed,
        });
    };
    let running = TaskState::Running.name();
    if event.to == running && event.attempt.0 == 1 {
        return Some(Measured::Wait { wait_ms: millis(event.at.since(task.ready_at?)) });
    }
    // A row that has moved on since tells about a later attempt.
    let began = task.started_at.filter(|began| *began <= event.at)?;
    let error = event.detail.as_ref().and_then(|detail| detail.get("code")).and_then(Value::as_str).map(str::to_owned);
    (event.from.as_deref() == Some(running))
        .then(|| Measured::Task { duration_ms: millis(event.at.since(began)), error })
}

fn head(out: &OutEvent) -> Value {
    let event = &out.event;
    json!({
        "version": SHAPE,
        "id": format!("evt_{}", event.id),
        "at": event.at.to_string(),
        "run": event.run,
        "pipeline": out.pipeline,
        "task": out.task.as_ref().map(|task| json!({
            "name": task.name,
            "ordinal": event.ordinal,
            "attempt": event.attempt,
            "queue": task.queue,
        })),
    })
}

/// What happens to runs and tasks, for whoever acts on it.
pub fn pipeline_event(out: &OutEvent) -> Value {
    let mut value = head(out);
    value["type"] = kind(out).into();
    value["from"] = json!(out.event.from);
    value["to"] = out.event.to.as_str().into();
    value["trigger"] = json!(out.trigger);
    value["pipeline_version"] = out.version.0.as_str().into();
    value["detail"] = json!(out.event.detail);
    value
}

/// `run.failed`, `task.succeeded`: what webhooks choose by.
pub(super) fn kind(out: &OutEvent) -> String {
    let subject = if out.event.ordinal.is_some() { "task" } else { "run" };
    format!("{subject}.{}", out.event.to)
}

/// Who did what to what, for whoever keeps records of that.
pub fn audit_event(out: &OutEvent) -> Value {
    let mut value = head(out);
    value["action"] = out.event.event.as_str().into();
    value["actor"] = json!(out.event.owner);
    value["from"] = json!(out.event.from);
    value["to"] = out.event.to.as_str().into();
    value["detail"] = json!(out.event.detail);
    value
}

/// How long it took, where that is known.
pub fn metrics_event(out: &OutEvent) -> Option<Value> {
    let measured = measured(out)?;
    let mut value = head(out);
    value["state"] = out.event.to.as_str().into();
    value["measured"] = json!(measured);
    Some(value)
}

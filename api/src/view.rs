//! The JSON shapes of the API and of `--json`: the store's records with their moments as ISO 8601 text, states
//! as words, and what follows from them.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tidemill_dag::time::Timestamp;
use tidemill_store::{EventRecord, PipelineRecord, RunRecord, StoredLine, TaskRecord};

/// Keys that hold moments, wherever they stand.
const MOMENTS: [&str; 10] = [
    "created_at",
    "started_at",
    "finished_at",
    "ready_at",
    "offered_at",
    "lease_until",
    "wake_at",
    "at",
    "start",
    "end",
];

/// A record as JSON with readable moments.
fn told<T: Serialize>(record: &T) -> Map<String, Value> {
    match serde_json::to_value(record) {
        Ok(Value::Object(mut map)) => {
            readable(&mut map);
            map
        }
        Ok(_) | Err(_) => Map::new(),
    }
}

fn readable(map: &mut Map<String, Value>) {
    for (key, value) in map.iter_mut() {
        if let (true, Some(micros)) = (MOMENTS.contains(&key.as_str()), value.as_i64()) {
            *value = Value::String(Timestamp(micros).to_string());
        }
    }
}

fn seconds(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<f64> {
    Some(end?.since(start?).as_secs_f64())
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct RunView(Map<String, Value>);

impl From<RunRecord> for RunView {
    fn from(run: RunRecord) -> Self {
        let mut map = told(&run);
        if let Some(interval) = map.get_mut("interval").and_then(Value::as_object_mut) {
            readable(interval);
        }
        map.insert("seconds".into(), json!(seconds(run.started_at, run.finished_at)));
        Self(map)
    }
}

/// A task of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct TaskView(Map<String, Value>);

impl From<TaskRecord> for TaskView {
    fn from(task: TaskRecord) -> Self {
        let mut map = told(&task);
        map.insert("id".into(), json!(task.key().to_string()));
        map.insert("rows".into(), json!(rows(&task)));
        map.insert("seconds".into(), json!(seconds(task.started_at, task.finished_at)));
        // The encoded Arrow schema says nothing to people, and the columns stand beside it.
        if let Some(manifest) = map.get_mut("output").and_then(|o| o.get_mut("manifest")).and_then(Value::as_object_mut)
        {
            manifest.remove("arrow");
        }
        Self(map)
    }
}

/// How many rows a task wrote, where it wrote any.
pub fn rows(task: &TaskRecord) -> Option<u64> {
    let output = task.output.as_ref()?;
    ["/manifest/rows", "/receipt/rows", "/check/rows"].iter().find_map(|at| output.pointer(at)).and_then(Value::as_u64)
}

/// One transition.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct EventView(Map<String, Value>);

impl From<EventRecord> for EventView {
    fn from(event: EventRecord) -> Self {
        Self(told(&event))
    }
}

/// One line that a task printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct LogView(Map<String, Value>);

impl From<StoredLine> for LogView {
    fn from(stored: StoredLine) -> Self {
        let mut map = told(&stored);
        map.remove("task");
        map.insert("ordinal".into(), json!(stored.line.task.ordinal));
        Self(map)
    }
}

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PipelineView(Map<String, Value>);

impl From<PipelineRecord> for PipelineView {
    fn from(pipeline: PipelineRecord) -> Self {
        Self(told(&pipeline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_become_text_and_nothing_else_does() {
        let record = PipelineRecord { name: "p".into(), active: None, created_at: Timestamp(0) };
        let view = PipelineView::from(record);
        assert_eq!(json!(view), json!({"name": "p", "active": null, "created_at": "1970-01-01T00:00:00.000Z"}));
    }
}

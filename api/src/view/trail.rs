use serde::Serialize;
use serde_json::Value;
use tidemill_dag::id::{Attempt, Ordinal, RunId, WorkerId};
use tidemill_dag::time::Timestamp;
use tidemill_store::{EventRecord, LogStream, StoredLine};
use utoipa::ToSchema;

use super::word;

/// One transition of a run or of one of its tasks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Grows with time within one run.
    pub id: i64,
    /// The run.
    #[schema(value_type = String)]
    pub run: RunId,
    /// The task's place in the plan; none where the run itself moved.
    #[schema(value_type = Option<u32>)]
    pub ordinal: Option<Ordinal>,
    /// The attempt after the move.
    #[schema(value_type = u32)]
    pub attempt: Attempt,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// What happened.
    pub event: String,
    /// The state before; none at creation.
    pub from: Option<String>,
    /// The state after.
    pub to: String,
    /// The worker it concerns.
    #[schema(value_type = Option<String>)]
    pub owner: Option<WorkerId>,
    /// What else is worth knowing: an error, a reason, a wake-up time.
    pub detail: Option<Value>,
}

impl From<EventRecord> for EventView {
    fn from(event: EventRecord) -> Self {
        Self {
            id: event.id,
            run: event.run,
            ordinal: event.ordinal,
            attempt: event.attempt,
            at: event.at.to_string(),
            event: event.event,
            from: event.from,
            to: event.to,
            owner: event.owner,
            detail: event.detail.map(readable),
        }
    }
}

/// Details hold moments as the database has them.
fn readable(mut detail: Value) -> Value {
    if let Some(at) = detail.get_mut("wake_at")
        && let Some(micros) = at.as_i64()
    {
        *at = Value::String(Timestamp(micros).to_string());
    }
    detail
}

fn stream() -> utoipa::openapi::schema::Object {
    word(["stdout", "stderr", "system"])
}

/// One line that a task printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LogLine)]
pub struct LogView {
    /// Grows with time within one run.
    pub cursor: i64,
    /// The task's place in the plan.
    #[schema(value_type = u32)]
    pub ordinal: Ordinal,
    /// The attempt that printed it.
    #[schema(value_type = u32)]
    pub attempt: Attempt,
    /// Counts from 1 within the attempt.
    pub seq: u32,
    /// When it was printed.
    #[schema(format = DateTime)]
    pub at: String,
    /// Where it came from.
    #[schema(schema_with = stream)]
    pub stream: LogStream,
    /// The text without its line end.
    pub text: String,
}

impl From<StoredLine> for LogView {
    fn from(stored: StoredLine) -> Self {
        let line = stored.line;
        Self {
            cursor: stored.cursor,
            ordinal: line.task.ordinal,
            attempt: line.attempt,
            seq: line.seq,
            at: line.at.to_string(),
            stream: line.stream,
            text: line.text,
        }
    }
}

use serde::Serialize;
use serde_json::Value;
use tidemill_dag::state::{EventKind, TaskState};
use tidemill_store::{EventRecord, TaskRecord};
use utoipa::ToSchema;

use super::word;

fn outcome() -> utoipa::openapi::schema::Object {
    word(["offered", "running", "succeeded", "failed", "lost", "released", "waiting", "skipped", "cancelled"])
}

/// One attempt at a task, read from the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What became of it. `lost` means that its worker was; `released` that its worker handed it back.
    #[schema(schema_with = outcome)]
    pub outcome: String,
    /// The worker that had it.
    pub owner: Option<String>,
    /// When a worker began it.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
    /// What else is known: an error, a reason, a wake-up time.
    pub detail: Option<Value>,
}

impl AttemptView {
    fn new(attempt: u32) -> Self {
        let outcome = "offered".to_owned();
        Self { attempt, outcome, owner: None, started_at: None, finished_at: None, detail: None }
    }
}

/// The attempts at a task, oldest first, from its events in order.
pub fn attempts(task: &TaskRecord, events: &[EventRecord]) -> Vec<AttemptView> {
    let mut list: Vec<AttemptView> = Vec::new();
    let is = |event: &EventRecord, kind: EventKind| event.event == kind.name();
    for event in events.iter().filter(|event| event.ordinal == Some(task.ordinal)) {
        if is(event, EventKind::Start) {
            let mut begun = AttemptView::new(event.attempt.0);
            begun.outcome = TaskState::Running.name().to_owned();
            begun.owner = event.owner.as_ref().map(ToString::to_string);
            begun.started_at = Some(event.at.to_string());
            list.push(begun);
            continue;
        }
        // Whatever leaves `running` ends the attempt that was begun last.
        if event.from.as_deref() != Some(TaskState::Running.name()) {
            continue;
        }
        let Some(last) = list.last_mut().filter(|last| last.finished_at.is_none()) else { continue };
        last.outcome = match event.event.as_str() {
            text if text == EventKind::LeaseOver.name() || text == EventKind::OwnerGone.name() => "lost".to_owned(),
            text if text == EventKind::Release.name() => "released".to_owned(),
            text if text == EventKind::Fail.name() => TaskState::Failed.name().to_owned(),
            _ => event.to.clone(),
        };
        last.finished_at = Some(event.at.to_string());
        last.owner = last.owner.take().or_else(|| event.owner.as_ref().map(ToString::to_string));
        last.detail.clone_from(&event.detail);
    }
    let begun = list.last().map_or(0, |last| last.attempt);
    if task.state == TaskState::Ready && task.attempt.0 > begun {
        list.push(AttemptView::new(task.attempt.0));
    }
    list
}

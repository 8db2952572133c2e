//! The JSON shapes of the API and of `--json`: records with their moments as ISO 8601 text, states as words, and
//! what follows from them.

mod attempt;
mod change;
mod pipeline;
mod run;
mod task;
mod trail;

use tidemill_dag::state::{RunState, TaskState, VersionState};
use tidemill_dag::time::Timestamp;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

pub use attempt::{AttemptView, attempts};
pub use change::ChangeView;
pub use pipeline::{PipelineView, VersionMoveView, VersionSummaryView, VersionView};
pub use run::{IntervalView, RunView};
pub use task::{FailureView, ItemsView, TaskView, rows};
pub use trail::{EventView, LogView};

pub(crate) fn moment(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

fn seconds(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<f64> {
    Some(end?.since(start?).as_secs_f64())
}

/// A word out of a list, for the OpenAPI document.
pub(crate) fn word<'a>(all: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(all)).build()
}

pub(crate) fn run_state() -> Object {
    word(RunState::ALL.iter().map(|state| state.name()))
}

pub(crate) fn task_state() -> Object {
    word(TaskState::ALL.iter().map(|state| state.name()))
}

/// The states that a version may be saved in.
pub(crate) fn saved_state() -> Object {
    let saved = VersionState::ALL.iter().filter(|state| **state != VersionState::Archived);
    word(saved.map(|state| state.name()))
}

pub(crate) fn version_state() -> Object {
    word(VersionState::ALL.iter().map(|state| state.name()))
}

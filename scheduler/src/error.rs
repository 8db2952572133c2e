use std::io;
use std::path::PathBuf;

use tidemill_dag::diagnostic::Diagnostic;
use tidemill_dag::schedule::ScheduleError;
use tidemill_store::StoreError;

/// One cause each. Display does not print its source.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The state failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored definition can no longer be planned, as when its connection was taken out of the project.
    #[error("pipeline `{pipeline}` can no longer be planned: {}", found.first().map_or("", |d| d.message.as_str()))]
    Definition {
        /// The pipeline.
        pipeline: String,
        /// What is wrong.
        found: Vec<Diagnostic>,
    },
    /// A stored definition has another shape than this program reads.
    #[error("the stored definition of pipeline `{pipeline}` cannot be read")]
    Stored {
        /// The pipeline.
        pipeline: String,
        /// What happened.
        source: serde_json::Error,
    },
    /// A stored trigger is not understood.
    #[error("a trigger of pipeline `{pipeline}` is not understood")]
    Trigger {
        /// The pipeline.
        pipeline: String,
        /// What happened.
        source: ScheduleError,
    },
    /// The sign of life of this process could not be written.
    #[error("cannot write {}", path.display())]
    Presence {
        /// Where.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

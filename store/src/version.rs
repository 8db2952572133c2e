//! Pipelines and the versions of their definitions, kept for ever.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::{
    id::{RunId, VersionId},
    time::Timestamp,
};

/// A version to be saved.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The pipeline's name.
    pub pipeline: String,
    /// The content hash.
    pub id: VersionId,
    /// The text as it was written.
    pub source: String,
    /// The definition as JSON.
    pub definition: Value,
    /// Where it came from: a file, a person, a request.
    pub origin: Value,
}

/// A stored version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The content hash.
    pub id: VersionId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Counts from 1 within the pipeline.
    pub number: u32,
    /// The text as it was written.
    pub source: String,
    /// The definition as JSON.
    pub definition: Value,
    /// Where it came from.
    pub origin: Value,
    /// When it was first saved.
    pub created_at: Timestamp,
}

/// A pipeline as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineRecord {
    /// Its name.
    pub name: String,
    /// The version that schedules and bare names run.
    pub active: Option<VersionId>,
    /// When it was first saved.
    pub created_at: Timestamp,
}

/// What a schedule has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// Moments up to this one are dealt with: fired, or skipped on purpose.
    pub through: Timestamp,
    /// The last run it made.
    pub last_run: Option<RunId>,
}

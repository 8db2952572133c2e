use serde::Serialize;
use serde_json::Value;
use tidemill_dag::id::VersionId;
use tidemill_dag::state::{VersionEvent, VersionState};
use tidemill_store::{PipelineRecord, VersionMove, VersionRecord, VersionSummary};
use utoipa::ToSchema;

use super::{moment, version_state, word};

fn version_event() -> utoipa::openapi::schema::Object {
    word(VersionEvent::ALL.iter().map(|event| event.name()))
}

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub struct PipelineView {
    /// Its name.
    pub name: String,
    /// The version that schedules and bare names run.
    #[schema(value_type = Option<String>)]
    pub active: Option<VersionId>,
    /// When it was first saved.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Whose it is.
    pub tenant: String,
    /// Since when no new runs of it start.
    #[schema(format = DateTime)]
    pub paused_at: Option<String>,
    /// Why it is paused.
    pub paused_reason: Option<String>,
}

impl From<PipelineRecord> for PipelineView {
    fn from(pipeline: PipelineRecord) -> Self {
        Self {
            name: pipeline.name,
            active: pipeline.active,
            created_at: pipeline.created_at.to_string(),
            tenant: pipeline.tenant,
            paused_at: moment(pipeline.paused_at),
            paused_reason: pipeline.paused_reason,
        }
    }
}

/// A version with its definition.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Version)]
pub struct VersionView {
    /// The pipeline.
    pub name: String,
    /// The version: the hash of what it says.
    #[schema(value_type = String)]
    pub version: VersionId,
    /// Counts from 1 within the pipeline.
    pub number: u32,
    /// Where it is in its life.
    #[schema(schema_with = version_state)]
    pub state: VersionState,
    /// When it was first saved.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Where it came from.
    pub origin: Value,
    /// The definition as JSON.
    pub definition: Value,
    /// The text as it was written.
    pub source: String,
}

impl From<VersionRecord> for VersionView {
    fn from(version: VersionRecord) -> Self {
        Self {
            name: version.pipeline,
            version: version.id,
            number: version.number,
            state: version.state,
            created_at: version.created_at.to_string(),
            origin: version.origin,
            definition: version.definition,
            source: version.source,
        }
    }
}

/// A version as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = VersionSummary)]
pub struct VersionSummaryView {
    /// The pipeline.
    pub name: String,
    /// The version.
    #[schema(value_type = String)]
    pub version: VersionId,
    /// Counts from 1 within the pipeline.
    pub number: u32,
    /// Where it is in its life.
    #[schema(schema_with = version_state)]
    pub state: VersionState,
    /// When it was first saved.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Where it came from.
    pub origin: Value,
}

impl From<VersionSummary> for VersionSummaryView {
    fn from(version: VersionSummary) -> Self {
        Self {
            name: version.pipeline,
            version: version.id,
            number: version.number,
            state: version.state,
            created_at: version.created_at.to_string(),
            origin: version.origin,
        }
    }
}

/// One change of state of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = VersionMove)]
pub struct VersionMoveView {
    /// The version.
    #[schema(value_type = String)]
    pub version: VersionId,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// What happened.
    #[schema(schema_with = version_event)]
    pub event: VersionEvent,
    /// The state before.
    #[schema(schema_with = version_state)]
    pub from: VersionState,
    /// The state after.
    #[schema(schema_with = version_state)]
    pub to: VersionState,
    /// Who did it.
    pub actor: String,
}

impl From<VersionMove> for VersionMoveView {
    fn from(step: VersionMove) -> Self {
        let VersionMove { version, at, event, from, to, actor, id: _ } = step;
        Self { version, at: at.to_string(), event, from, to, actor }
    }
}

use serde::Serialize;
use serde_json::Value;
use tidemill_dag::id::{RunId, VersionId};
use tidemill_dag::spec::Priority;
use tidemill_dag::state::RunState;
use tidemill_store::{Interval, RunRecord, TriggerKind};
use utoipa::ToSchema;

use super::{moment, run_state, seconds};

/// The stretch of time a scheduled run stands for: from `start` up to and without `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Interval)]
pub struct IntervalView {
    /// Its first moment.
    #[schema(format = DateTime)]
    pub start: String,
    /// The first moment after it.
    #[schema(format = DateTime)]
    pub end: String,
}

impl From<Interval> for IntervalView {
    fn from(interval: Interval) -> Self {
        Self { start: interval.start.to_string(), end: interval.end.to_string() }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Run)]
pub struct RunView {
    /// Its id; ids sort by creation.
    #[schema(value_type = String)]
    pub id: RunId,
    /// The pipeline.
    pub pipeline: String,
    /// The version that runs.
    #[schema(value_type = String)]
    pub version: VersionId,
    /// Where it is in its life.
    #[schema(schema_with = run_state)]
    pub state: RunState,
    /// What made it, as in `manual`, `cron` or `api`.
    #[schema(value_type = String)]
    pub trigger: TriggerKind,
    /// Names the cause; one cause makes one run.
    pub trigger_key: Option<String>,
    /// What the cause said.
    pub trigger_data: Value,
    /// Its parameters.
    pub params: Value,
    /// The stretch of time it stands for.
    pub interval: Option<IntervalView>,
    /// How many tasks it has.
    pub tasks_total: u32,
    /// How many of them have not finished.
    pub tasks_left: u32,
    /// How many of them failed.
    pub tasks_failed: u32,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// When it was accepted.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it first ran.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
    /// By when it must have ended, or it is stopped.
    #[schema(format = DateTime)]
    pub deadline_at: Option<String>,
    /// Since when it is later than it is expected to be.
    #[schema(format = DateTime)]
    pub late_since: Option<String>,
    /// Whose it is.
    pub tenant: String,
    /// Who asked for it, where somebody did.
    pub started_by: Option<String>,
    /// Its place among the queued runs of its pipeline: `high`, `normal` or `low`.
    #[schema(value_type = String)]
    pub priority: Priority,
    /// The run that it does again, in part or with another version.
    #[schema(value_type = Option<String>)]
    pub rerun_of: Option<RunId>,
    /// How long it ran, in seconds, once it has ended.
    pub seconds: Option<f64>,
}

impl From<RunRecord> for RunView {
    fn from(run: RunRecord) -> Self {
        Self {
            id: run.id,
            pipeline: run.pipeline,
            version: run.version,
            state: run.state,
            trigger: run.trigger,
            trigger_key: run.trigger_key,
            trigger_data: run.trigger_data,
            params: run.params,
            interval: run.interval.map(IntervalView::from),
            tasks_total: run.tasks_total,
            tasks_left: run.tasks_left,
            tasks_failed: run.tasks_failed,
            reason: run.reason,
            deadline_at: moment(run.deadline_at),
            late_since: moment(run.late_since),
            tenant: run.tenant,
            started_by: run.started_by,
            priority: run.priority,
            rerun_of: run.rerun_of,
            created_at: run.created_at.to_string(),
            started_at: moment(run.started_at),
            finished_at: moment(run.finished_at),
            seconds: seconds(run.started_at, run.finished_at),
        }
    }
}

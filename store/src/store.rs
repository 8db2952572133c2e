//! The store itself.

use std::{sync::Arc, time::Duration};

use tidemill_dag::{
    id::{RunId, Ticket, VersionId, WorkerId},
    time::{Chance, Clock, Timestamp},
};

use crate::{
    Claimed, Created, EventRecord, LogLine, LogQuery, NewRun, NewVersion, Page, PipelineRecord, Report, RunFilter,
    RunRecord, ScheduleState, StoreError, StoredLine, Swept, TaskRecord, Transport, Verdict, VersionRecord,
};

/// A handle to the state. Cheap to clone.
#[derive(Clone)]
pub struct Store {}

#[expect(clippy::todo, unused_variables, missing_docs, reason = "the signatures come first")]
impl Store {
    /// Opens `sqlite:PATH`, `sqlite::memory:` or `postgres://…` and brings its schema up to date.
    pub async fn open(
        url: &str,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StoreError> {
        todo!()
    }

    // Definitions.
    pub async fn save_version(&self, new: NewVersion) -> Result<VersionRecord, StoreError> {
        todo!()
    }
    pub async fn activate(&self, pipeline: &str, version: &VersionId) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn active(&self, pipeline: &str) -> Result<Option<VersionRecord>, StoreError> {
        todo!()
    }
    pub async fn version(&self, id: &VersionId) -> Result<VersionRecord, StoreError> {
        todo!()
    }
    pub async fn pipelines(&self) -> Result<Vec<PipelineRecord>, StoreError> {
        todo!()
    }
    pub async fn versions(&self, pipeline: &str) -> Result<Vec<VersionRecord>, StoreError> {
        todo!()
    }

    // The one door.
    pub async fn create_run(&self, new: NewRun) -> Result<Created, StoreError> {
        todo!()
    }
    pub async fn claim(
        &self,
        tickets: &[Ticket],
        worker: &WorkerId,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        todo!()
    }
    pub async fn heartbeat(&self, worker: &WorkerId, lease: Duration) -> Result<Vec<Ticket>, StoreError> {
        todo!()
    }
    pub async fn complete(&self, report: Report) -> Result<Verdict, StoreError> {
        todo!()
    }
    pub async fn cancel_run(&self, run: RunId, reason: &str) -> Result<RunRecord, StoreError> {
        todo!()
    }
    pub async fn resume_run(&self, run: RunId) -> Result<RunRecord, StoreError> {
        todo!()
    }
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        todo!()
    }
    /// Its process is known to be dead: its leases are over now. Returns how many.
    pub async fn expire_owner(&self, worker: &WorkerId) -> Result<usize, StoreError> {
        todo!()
    }
    /// Whether the attempt still holds its lease; asked right before a sink commits.
    pub async fn still_current(&self, ticket: Ticket, worker: &WorkerId) -> Result<bool, StoreError> {
        todo!()
    }

    // Schedules. The trigger key of the run is the moment, so one moment makes one run.
    pub async fn schedule_state(&self, pipeline: &str, trigger: u32) -> Result<Option<ScheduleState>, StoreError> {
        todo!()
    }
    /// Notes that moments up to this one are dealt with, without a run.
    pub async fn pass_schedule(&self, pipeline: &str, trigger: u32, through: Timestamp) -> Result<(), StoreError> {
        todo!()
    }
    /// Creates the run of one moment and notes the moment, in one transaction.
    pub async fn fire_schedule(&self, trigger: u32, moment: Timestamp, run: NewRun) -> Result<Created, StoreError> {
        todo!()
    }

    // Reads.
    pub async fn runs(&self, filter: &RunFilter, page: Page) -> Result<Vec<RunRecord>, StoreError> {
        todo!()
    }
    pub async fn run(&self, id: RunId) -> Result<RunRecord, StoreError> {
        todo!()
    }
    pub async fn tasks(&self, run: RunId) -> Result<Vec<TaskRecord>, StoreError> {
        todo!()
    }
    pub async fn events(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        todo!()
    }
    pub async fn append_logs(&self, lines: &[LogLine]) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn logs(&self, query: LogQuery) -> Result<Vec<StoredLine>, StoreError> {
        todo!()
    }
}

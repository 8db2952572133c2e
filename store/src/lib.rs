//! The platform's own state: rows in SQLite or PostgreSQL, blobs, tickets, and the **one door** by
//! which a run changes.
//!
//! Every operation that moves a run or a task locks the run, loads the finished task and its readers,
//! asks `dag` what follows, and writes states and audit events in one transaction; tickets of tasks
//! that became ready are sent after the commit. Nothing is decided here.
//!
//! To add a query: one text where both databases understand it, side by side in one place where not,
//! and a case in the suite that runs on both.

mod approvals;
mod backfills;
pub mod blobs;
mod causes;
mod clock;
mod collect;
mod control;
mod db;
mod desk;
mod door;
mod error;
mod leader;
mod limits;
mod log;
mod outbox;
mod planned;
mod read;
mod run;
mod snapshot;
mod status;
mod store;
mod sweep;
mod token;
pub mod transport;
mod version;
mod wakes;
mod work;
mod workers;

pub use approvals::{AnswerRecord, Answered, ApprovalFilter, ApprovalPlace, ApprovalRecord};
pub use backfills::{BackfillRecord, NewBackfill, PartitionRecord, Progress};
pub use causes::{LETTERS_KEPT, Letter, LetterKind, Named, NewLetter};
pub use collect::{Collected, Retention};
pub use error::StoreError;
pub use limits::{GateRecord, NewPool, PoolRecord, SlotHolder, TenantRecord};
pub use log::{LogLine, LogQuery, LogStream, StoredLine};
pub use outbox::{Cursor, LostDelivery, OutEvent, OutTask, SinkRecord, SinkState, Start};
pub use run::{
    Bounds, Created, EventRecord, Interval, ItemCounts, NewRun, NewTask, Page, RunFilter, RunRecord, TaskFailure,
    TaskRecord, TriggerKind,
};
pub use status::{Counts, DatabaseFacts, Pulse};
pub use store::Store;
pub use token::{NewToken, TokenRecord};
pub use transport::{Condition, DEFAULT_QUEUE, InProcess, Transport, TransportError};
pub use version::{
    Adopt, Adopted, NewVersion, PipelineRecord, ScheduleState, VersionMove, VersionRecord, VersionSummary,
};
pub use wakes::Watcher;
pub use work::{Claimed, ClaimedRun, Item, Outcome, Report, RunNext, Swept, Upstream, Verdict};
pub use workers::{KnownWorker, NewWorker};

#[cfg(test)]
mod tests;

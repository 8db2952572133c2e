//! What passes between the store and a worker.

use std::time::Duration;

use serde_json::Value;
use tidemill_dag::{
    approval::Question,
    id::{Attempt, Ordinal, RunId, Ticket, VersionId, WorkerId},
    state::TaskState,
    time::Timestamp,
};

use crate::run::{Interval, TaskFailure, TriggerKind};

/// A task that a worker now holds, with all it needs to know that the definition does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The task and the attempt, to be given back with the report.
    pub ticket: Ticket,
    /// Its name in the definition.
    pub name: String,
    /// Until when it is held without a heartbeat.
    pub lease_until: Timestamp,
    /// When the task first became ready, before any wait or retry.
    pub ready_at: Timestamp,
    /// Failed attempts before this one.
    pub failures: u32,
    /// The run it belongs to.
    pub run: ClaimedRun,
    /// The tasks it needs, in order of their ordinals: how they ended and what they gave. For a task whose list is known these
    /// are also its items, in the order of the list; an item has none of its own (see [`crate::Store::upstream`]).
    pub upstream: Vec<Upstream>,
    /// What it is for, if it is an item of a `for_each`.
    pub item: Option<Item>,
    /// How many items it has, if its list is known.
    pub items: Option<u32>,
}

/// One item of a `for_each`.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The task whose item it is.
    pub of: Ordinal,
    /// Its place in the list, from 0.
    pub index: u32,
    /// What stands there.
    pub value: Value,
}

/// The run of a claimed task.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedRun {
    /// Its id.
    pub id: RunId,
    /// The pipeline.
    pub pipeline: String,
    /// The version that runs; [`crate::Store::version`] has its definition.
    pub version: VersionId,
    /// What made it.
    pub trigger: TriggerKind,
    /// What the cause said.
    pub trigger_data: Value,
    /// Its parameters.
    pub params: Value,
    /// The stretch of time it stands for.
    pub interval: Option<Interval>,
    /// Who asked for it: a name, until identities come.
    pub started_by: Option<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// How many runs started each other up to this one.
    pub depth: u32,
}

/// A finished task that a claimed task needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Its place in the plan.
    pub ordinal: Ordinal,
    /// Its name.
    pub name: String,
    /// Its place in the list, if it is an item of the task that asks.
    pub index: Option<u32>,
    /// How it ended.
    pub state: TaskState,
    /// The attempt that ended it.
    pub attempt: Attempt,
    /// What it gave.
    pub output: Option<Value>,
}

/// What a worker says about an attempt it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The attempt.
    pub ticket: Ticket,
    /// Who held it.
    pub owner: WorkerId,
    /// What came of it.
    pub outcome: Outcome,
    /// Wants a task to go on with.
    pub run_next: Option<RunNext>,
}

impl Report {
    /// The ticket that was taken for the moment of this report.
    pub(crate) fn at_hand(&self) -> Option<Ticket> {
        self.run_next.and_then(|next| next.at_hand)
    }
}

/// The task that a worker goes on with, claimed together with its report: the one that the report makes ready, if there is
/// exactly one and it is of the same queue; else the one at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunNext {
    /// Under a lease of this length.
    pub lease: Duration,
    /// A ticket that was taken for this moment.
    pub at_hand: Option<Ticket>,
}

impl From<Duration> for RunNext {
    fn from(lease: Duration) -> Self {
        Self { lease, at_hand: None }
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It did what it should.
    Succeeded {
        /// `{"manifest": …}`, `{"result": …}`, `{"receipt": …}` or `{"check": …}`.
        output: Value,
    },
    /// It did not.
    Failed {
        /// Why.
        error: TaskFailure,
    },
    /// Nothing to do until later; the slot is given back.
    Parked {
        /// When to look again.
        wake_at: Timestamp,
        /// What it waits for.
        reason: String,
    },
    /// The list of its `for_each` is known: each item becomes a task, and this one waits for them.
    Expanded {
        /// What stands in the list; at least one thing.
        items: Vec<Value>,
    },
    /// People are asked; the slot is given back.
    Asked {
        /// What they are asked.
        question: Box<Question>,
    },
    /// Its `when` is false.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The worker stopped it before it ended, as when it shuts down. Somebody else may start it again.
    Cancelled,
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether it counted. False: somebody else holds or finished the task; what the attempt made must not be published.
    /// The same report told twice by the same owner is accepted twice and counts once.
    pub accepted: bool,
    /// The task to go on with, if one was asked for and there is one.
    pub next: Option<Claimed>,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Tickets of ready tasks that were sent again.
    pub offered: usize,
    /// Leases that were over.
    pub leases_lost: usize,
    /// Waiting tasks whose time had come.
    pub woken: usize,
    /// Queued runs that were started.
    pub runs_started: usize,
    /// Runs that were stopped: their time was over, or the run that waited for them was cancelled.
    pub stopped: usize,
}

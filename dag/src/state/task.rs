//! A task's life: a row, an event, a moment; out comes the next row or a refusal.

use serde::{Deserialize, Serialize};

use crate::{
    backoff,
    id::{Attempt, Ordinal, TaskKey, Ticket, WorkerId},
    spec::{OnExpiry, RunIf},
    state::{IllegalMove, Policy, Taken, TaskState, named, rules, table},
    time::Timestamp,
};

/// A task whose worker was lost this many times is taken for the cause and fails.
pub const MAX_CRASHES: u32 = 5;

/// The tasks before a task, counted by how they ended. `failed` includes those that failed because of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Upstream {
    pub pending: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub skipped: u32,
}

/// A task's row, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Which task.
    pub key: TaskKey,
    /// Where it is in its life.
    pub state: TaskState,
    /// The current attempt; grows with every offer and never falls, not even by a resume.
    pub attempt: Attempt,
    /// Who works on it; set exactly while it is running.
    pub owner: Option<WorkerId>,
    /// When the owner's claim ends unless renewed; set exactly while it is running.
    pub lease_until: Option<Timestamp>,
    /// When it is looked at again; set exactly while it is waiting.
    pub wake_at: Option<Timestamp>,
    /// It waits for people to answer, until it wakes up; then this decides. Only while it is waiting.
    pub asks: Option<OnExpiry>,
    /// Attempts that reported failure since the last resume.
    pub failures: u32,
    /// Attempts whose worker was lost since the last resume.
    pub crashes: u32,
    /// The tasks before it.
    pub upstream: Upstream,
    /// What its definition says.
    pub policy: Policy,
    /// For an item of a `for_each`: the task whose item it is.
    pub parent: Option<Ordinal>,
    /// For a task with `for_each`: how many items it has, once its list is known. They are tasks before it.
    pub items: Option<u32>,
}

impl TaskView {
    /// The row a run begins with.
    pub fn first(key: TaskKey, needs: u32, policy: Policy) -> Self {
        Self {
            key,
            state: TaskState::Blocked,
            attempt: Attempt(0),
            owner: None,
            lease_until: None,
            wake_at: None,
            asks: None,
            failures: 0,
            crashes: 0,
            upstream: Upstream { pending: needs, ..Upstream::default() },
            policy,
            parent: None,
            items: None,
        }
    }

    /// The row that an item of this task begins with. One that `waits` needs a place among those that may go at once.
    pub fn item(&self, ordinal: Ordinal, waits: bool) -> Self {
        let policy = Policy { run_if: RunIf::AllDone, ..self.policy };
        let key = TaskKey { ordinal, ..self.key };
        Self { parent: Some(self.key.ordinal), ..Self::first(key, u32::from(waits), policy) }
    }

    /// The ticket for the current attempt.
    pub const fn ticket(&self) -> Ticket {
        Ticket { task: self.key, attempt: self.attempt }
    }

    /// A copy in another state, with nobody and no moment attached.
    fn moved(&self, state: TaskState) -> Self {
        Self { state, owner: None, lease_until: None, wake_at: None, asks: None, ..self.clone() }
    }

    fn offered(&self) -> Self {
        Self { attempt: Attempt(self.attempt.0 + 1), ..self.moved(TaskState::Ready) }
    }

    fn sleeping(&self, until: Timestamp) -> Self {
        Self { wake_at: Some(until), ..self.moved(TaskState::Waiting) }
    }

    fn held(&self, by: &Holder, lease_until: Timestamp) -> Self {
        Self { owner: Some(by.owner.clone()), lease_until: Some(lease_until), ..self.moved(TaskState::Running) }
    }
}

/// Who speaks for a task: a worker, and the attempt it means. The fence of every report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The attempt it was given.
    pub attempt: Attempt,
    /// The worker.
    pub owner: WorkerId,
}

/// How a task ended, for those who read it and for its run. A cancelled task tells nobody: its whole
/// run was cancelled with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the states")]
pub enum Ending {
    Succeeded,
    Failed,
    UpstreamFailed,
    Skipped,
}

/// Something that happens to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The run got its place: a task with nothing unfinished before it may go.
    Open,
    /// A task before this one finished.
    UpstreamDone(Ending),
    /// A worker claims it with a ticket.
    Start {
        /// The worker and the ticket's attempt.
        by: Holder,
        /// How long it is the worker's without a sign of life.
        lease_until: Timestamp,
    },
    /// The worker is alive.
    Beat {
        /// The worker.
        by: Holder,
        /// The renewed lease.
        lease_until: Timestamp,
    },
    /// The worker reports success.
    Succeed(Holder),
    /// The worker reports failure.
    Fail {
        /// The worker.
        by: Holder,
        /// Whether another try can help.
        retryable: bool,
    },
    /// The worker puts it to sleep, as a sensor does between two looks.
    Park {
        /// The worker.
        by: Holder,
        /// When to look again.
        until: Timestamp,
    },
    /// The worker asks people; who answers decides, or the expiry.
    Ask {
        /// The worker.
        by: Holder,
        /// When the question runs out.
        until: Timestamp,
        /// What happens then.
        on_expiry: OnExpiry,
    },
    /// People decided.
    Answer {
        /// Who spoke last, and to which attempt's question.
        by: Holder,
        /// Yes or no.
        approved: bool,
    },
    /// The worker found `when` false.
    Skip(Holder),
    /// The worker knows the list of a task with `for_each`: from now on the task waits for its items.
    Expand {
        /// The worker.
        by: Holder,
        /// How many items there are; at least one.
        items: u32,
    },
    /// Another item of the same list ended, and this one, which waited for a place, may go.
    Place,
    /// The worker hands it back untouched or undone, as on shutdown. Nobody is to blame.
    Release(Holder),
    /// The lease ended without a sign of life.
    LeaseOver,
    /// The worker process is known to be dead; its leases need not run out.
    OwnerGone,
    /// The wake-up time has come.
    Due,
    /// What it waits for has happened before the wake-up time.
    Wake,
    /// The run was cancelled.
    Cancel,
    /// The run was resumed and this task runs again; the tasks before it, counted anew (see [`super::resets`]).
    Resume(Upstream),
}

/// An event without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "as in `Event`")]
pub enum EventKind {
    Open,
    UpstreamDone,
    Start,
    Beat,
    Succeed,
    Fail,
    Park,
    Ask,
    Answer,
    Skip,
    Expand,
    Place,
    Release,
    LeaseOver,
    OwnerGone,
    Due,
    Wake,
    Cancel,
    Resume,
}

named!(EventKind {
    Open = "open",
    UpstreamDone = "upstream_done",
    Start = "start",
    Beat = "beat",
    Succeed = "succeed",
    Fail = "fail",
    Park = "park",
    Ask = "ask",
    Answer = "answer",
    Skip = "skip",
    Expand = "expand",
    Place = "place",
    Release = "release",
    LeaseOver = "lease_over",
    OwnerGone = "owner_gone",
    Due = "due",
    Wake = "wake",
    Cancel = "cancel",
    Resume = "resume",
});

impl Event {
    /// Which event, without its data.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Open => EventKind::Open,
            Self::UpstreamDone(_) => EventKind::UpstreamDone,
            Self::Start { .. } => EventKind::Start,
            Self::Beat { .. } => EventKind::Beat,
            Self::Succeed(_) => EventKind::Succeed,
            Self::Fail { .. } => EventKind::Fail,
            Self::Park { .. } => EventKind::Park,
            Self::Ask { .. } => EventKind::Ask,
            Self::Answer { .. } => EventKind::Answer,
            Self::Skip(_) => EventKind::Skip,
            Self::Expand { .. } => EventKind::Expand,
            Self::Place => EventKind::Place,
            Self::Release(_) => EventKind::Release,
            Self::LeaseOver => EventKind::LeaseOver,
            Self::OwnerGone => EventKind::OwnerGone,
            Self::Due => EventKind::Due,
            Self::Wake => EventKind::Wake,
            Self::Cancel => EventKind::Cancel,
            Self::Resume(_) => EventKind::Resume,
        }
    }

    const fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Beat { by, .. } | Self::Succeed(by) | Self::Fail { by, .. } => Some(by),
            Self::Park { by, .. } | Self::Ask { by, .. } | Self::Skip(by) => Some(by),
            Self::Expand { by, .. } | Self::Release(by) => Some(by),
            Self::Open | Self::Place | Self::UpstreamDone(_) | Self::Start { .. } => None,
            Self::Answer { .. } | Self::LeaseOver => None,
            Self::OwnerGone | Self::Due | Self::Wake | Self::Cancel | Self::Resume(_) => None,
        }
    }
}

/// What to write, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The row afterwards. If its state differs from before, one audit row goes with it.
    pub task: TaskView,
    /// A ticket to publish after the commit.
    pub publish: Option<Ticket>,
    /// The task ended by this: tell its readers and its run.
    pub ended: Option<Ending>,
}

/// Moves a task, or says why not. `chance`, in `0.0..1.0`, is the jitter of a retry.
pub fn decide(task: &TaskView, event: &Event, now: Timestamp, chance: f64) -> Result<Decision, IllegalMove> {
    let kind = event.kind();
    if table::targets(task.state, kind).is_empty() {
        return Err(IllegalMove::Task { task: task.key, state: task.state, event: kind });
    }
    fence(task, event)?;
    not_before(task, kind, now)?;
    let next = step(task, event, now, chance)?;
    debug_assert!(table::targets(task.state, kind).contains(&next.state), "{:?} {kind} {:?}", task.state, next.state);
    let moved = next.state != task.state;
    Ok(Decision {
        publish: (moved && next.state == TaskState::Ready).then(|| next.ticket()),
        ended: if moved { ending(next.state) } else { None },
        task: next,
    })
}

fn step(task: &TaskView, event: &Event, now: Timestamp, chance: f64) -> Result<TaskView, IllegalMove> {
    Ok(match event {
        Event::Open => open(task)?,
        Event::UpstreamDone(ending) => hear(task, *ending)?,
        Event::Start { by, lease_until } | Event::Beat { by, lease_until } => task.held(by, *lease_until),
        Event::Succeed(_) => task.moved(TaskState::Succeeded),
        Event::Fail { retryable, .. } => fail(task, *retryable, now, chance),
        Event::Park { until, .. } => task.sleeping(*until),
        Event::Ask { until, on_expiry, .. } => TaskView { asks: Some(*on_expiry), ..task.sleeping(*until) },
        Event::Answer { approved, .. } => answer(task, *approved)?,
        Event::Skip(_) => task.moved(TaskState::Skipped),
        Event::Expand { items, .. } => expand(task, *items)?,
        Event::Place => place(task)?,
        Event::Release(_) | Event::Wake => task.offered(),
        Event::Due => due(task),
        Event::LeaseOver | Event::OwnerGone => crash(task),
        Event::Cancel => task.moved(TaskState::Cancelled),
        Event::Resume(upstream) => {
            TaskView { failures: 0, crashes: 0, upstream: *upstream, ..task.moved(TaskState::Blocked) }
        }
    })
}

fn ending(state: TaskState) -> Option<Ending> {
    match state {
        TaskState::Succeeded => Some(Ending::Succeeded),
        TaskState::Failed => Some(Ending::Failed),
        TaskState::Skipped => Some(Ending::Skipped),
        TaskState::UpstreamFailed => Some(Ending::UpstreamFailed),
        TaskState::Blocked | TaskState::Ready | TaskState::Running | TaskState::Waiting | TaskState::Cancelled => None,
    }
}

/// A claim counts only for the current attempt; a report also only from whom the attempt was given to.
fn fence(task: &TaskView, event: &Event) -> Result<(), IllegalMove> {
    let refused = match (event, event.holder()) {
        (Event::Start { by, .. } | Event::Answer { by, .. }, _) => (by.attempt != task.attempt).then_some(by),
        (_, Some(by)) => (by.attempt != task.attempt || task.owner.as_ref() != Some(&by.owner)).then_some(by),
        (_, None) => None,
    };
    refused.map_or(Ok(()), |by| Err(IllegalMove::Fenced { task: task.key, by: by.clone() }))
}

/// Leases and sleeps are not cut short, whoever asks.
fn not_before(task: &TaskView, event: EventKind, now: Timestamp) -> Result<(), IllegalMove> {
    let lease = task.lease_until.filter(|_| event == EventKind::LeaseOver);
    let moment = task.wake_at.filter(|_| event == EventKind::Due).or(lease);
    match moment {
        Some(not_before) if now < not_before => Err(IllegalMove::TooEarly { task: task.key, event, not_before }),
        _ => Ok(()),
    }
}

fn open(task: &TaskView) -> Result<TaskView, IllegalMove> {
    match task.upstream.pending {
        0 => Ok(settle(task)),
        pending => Err(IllegalMove::Counters { task: task.key, event: EventKind::Open, pending }),
    }
}

fn hear(task: &TaskView, ending: Ending) -> Result<TaskView, IllegalMove> {
    let mut next = task.clone();
    let counts = &mut next.upstream;
    counts.pending = counts.pending.checked_sub(1).ok_or(IllegalMove::Counters {
        task: task.key,
        event: EventKind::UpstreamDone,
        pending: 0,
    })?;
    match ending {
        Ending::Succeeded => counts.succeeded += 1,
        Ending::Failed | Ending::UpstreamFailed => counts.failed += 1,
        Ending::Skipped => counts.skipped += 1,
    }
    Ok(if counts.pending == 0 { settle(&next) } else { next })
}

/// Every task before it has finished: ready, or ended without ever starting.
fn settle(task: &TaskView) -> TaskView {
    if task.items.is_some() {
        // What its items came to is for the worker to collect and to judge.
        return task.offered();
    }
    match task.policy.taken {
        // The attempt that took it over; what it gave stands in the row since its birth.
        Some(Taken::Succeeded) => return TaskView { state: TaskState::Succeeded, ..task.offered() },
        Some(Taken::Skipped) => return task.moved(TaskState::Skipped),
        None => {}
    }
    match rules::verdict(task.policy.run_if, task.upstream) {
        TaskState::Ready => task.offered(),
        _ if task.policy.hook => task.moved(TaskState::Skipped),
        ended => task.moved(ended),
    }
}

/// A list is evaluated once: its items stay, whatever is resumed or tried again.
fn expand(task: &TaskView, items: u32) -> Result<TaskView, IllegalMove> {
    let event = EventKind::Expand;
    let Upstream { pending, .. } = task.upstream;
    match (task.items, task.parent, pending.checked_add(items)) {
        (None, None, Some(pending)) if items > 0 => {
            let upstream = Upstream { pending, ..task.upstream };
            Ok(TaskView { items: Some(items), upstream, ..task.moved(TaskState::Blocked) })
        }
        _ => Err(IllegalMove::Counters { task: task.key, event, pending }),
    }
}

fn place(task: &TaskView) -> Result<TaskView, IllegalMove> {
    match task.upstream.pending {
        1 => Ok(TaskView { upstream: Upstream { pending: 0, ..task.upstream }, ..task.offered() }),
        pending => Err(IllegalMove::Counters { task: task.key, event: EventKind::Place, pending }),
    }
}

fn fail(task: &TaskView, retryable: bool, now: Timestamp, chance: f64) -> TaskView {
    let failures = task.failures.saturating_add(1);
    let next = if retryable && failures <= task.policy.retries {
        task.sleeping(now.after(backoff::wait(&task.policy.backoff, failures, chance)))
    } else {
        task.moved(TaskState::Failed)
    };
    TaskView { failures, ..next }
}

/// Only a task that asks takes an answer.
fn answer(task: &TaskView, approved: bool) -> Result<TaskView, IllegalMove> {
    match (task.asks, approved) {
        (None, _) => Err(IllegalMove::NotAsked(task.key)),
        (Some(_), true) => Ok(task.moved(TaskState::Succeeded)),
        (Some(_), false) => Ok(task.moved(TaskState::Failed)),
    }
}

/// A sleeper is offered again; a question that ran out ends as its definition says.
fn due(task: &TaskView) -> TaskView {
    match task.asks {
        None => task.offered(),
        Some(OnExpiry::Fail) => task.moved(TaskState::Failed),
        Some(OnExpiry::Skip) => task.moved(TaskState::Skipped),
        Some(OnExpiry::Approve) => task.moved(TaskState::Succeeded),
    }
}

fn crash(task: &TaskView) -> TaskView {
    let crashes = task.crashes.saturating_add(1);
    let next = if crashes < MAX_CRASHES { task.offered() } else { task.moved(TaskState::Failed) };
    TaskView { crashes, ..next }
}

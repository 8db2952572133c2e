//! Every arrow of both lives, to be read aloud: from, on, to. What is not here is refused.

use super::{EventKind, EventKind as On, RunEventKind, RunEventKind as RunOn, RunState, TaskState};

/// One line of a table.
#[derive(Debug, Clone, Copy)]
pub struct Arrow<State: 'static, Kind> {
    /// In this state,
    pub from: State,
    /// on this event,
    pub on: Kind,
    /// it goes to one of these (or stays, where its own state is among them),
    pub to: &'static [State],
    /// and this decides which, or says what it means.
    pub because: &'static str,
}

const fn task(from: TaskState, on: On, to: &'static [TaskState], because: &'static str) -> Arrow<TaskState, On> {
    Arrow { from, on, to, because }
}

const fn run(from: RunState, on: RunOn, to: &'static [RunState], because: &'static str) -> Arrow<RunState, RunOn> {
    Arrow { from, on, to, because }
}

use TaskState::{Blocked, Cancelled, Failed, Ready, Running, Skipped, Succeeded, UpstreamFailed, Waiting};

/// A task's life.
pub const TASKS: &[Arrow<TaskState, On>] = &[
    task(
        Blocked,
        On::Open,
        &[Ready, Skipped, UpstreamFailed, Succeeded],
        "nothing unfinished before it; `run_if` decides; a re-run may take over what an earlier run did",
    ),
    task(
        Blocked,
        On::UpstreamDone,
        &[Blocked, Ready, Skipped, UpstreamFailed, Succeeded],
        "after the last one `run_if` decides; a re-run may take over what an earlier run did",
    ),
    task(Blocked, On::Place, &[Ready], "it is an item of `for_each`, and another item ended"),
    task(Blocked, On::Cancel, &[Cancelled], "its run was cancelled"),
    task(Ready, On::Start, &[Running], "a worker came with the current ticket"),
    task(Ready, On::Cancel, &[Cancelled], "its run was cancelled"),
    task(Running, On::Beat, &[Running], "the lease is renewed"),
    task(Running, On::Succeed, &[Succeeded], "the worker did it"),
    task(Running, On::Fail, &[Waiting, Failed], "another try if it can help and one is left"),
    task(Running, On::Park, &[Waiting], "a sensor saw nothing yet and gives its slot back"),
    task(Running, On::Ask, &[Waiting], "people are asked, and the slot is given back"),
    task(Running, On::Skip, &[Skipped], "`when` was false"),
    task(Running, On::Expand, &[Blocked], "the list of its `for_each` is known; it waits for its items"),
    task(Running, On::Release, &[Ready], "the worker hands it back; a new attempt is offered"),
    task(Running, On::LeaseOver, &[Ready, Failed], "a new attempt, unless five workers were lost over it"),
    task(Running, On::OwnerGone, &[Ready, Failed], "a new attempt, unless five workers were lost over it"),
    task(Running, On::Cancel, &[Cancelled], "its run was cancelled; the worker learns it by its next heartbeat"),
    task(
        Waiting,
        On::Due,
        &[Ready, Succeeded, Failed, Skipped],
        "the wake-up time came: a new attempt is offered; a question that ran out ends as `on_expiry` says",
    ),
    task(Waiting, On::Wake, &[Ready], "what it waits for happened before; a new attempt is offered"),
    task(Waiting, On::Answer, &[Succeeded, Failed], "enough people approved, or one refused"),
    task(Waiting, On::Cancel, &[Cancelled], "its run was cancelled"),
    task(Failed, On::Resume, &[Blocked], "it runs again, with new tries and a higher attempt"),
    task(Cancelled, On::Resume, &[Blocked], "it runs again, with new tries and a higher attempt"),
    task(Skipped, On::Resume, &[Blocked], "a task before it runs again, so the question is open again"),
    task(UpstreamFailed, On::Resume, &[Blocked], "the task that failed before it runs again"),
];

/// A run's life.
pub const RUNS: &[Arrow<RunState, RunOn>] = &[
    run(
        RunState::Queued,
        RunOn::Admit,
        &[RunState::Running, RunState::Succeeded],
        "it got its place; without tasks it is done",
    ),
    run(RunState::Queued, RunOn::Cancel, &[RunState::Cancelled], "by a person, or by `on_overlap: skip`"),
    run(
        RunState::Running,
        RunOn::TaskEnded,
        &[RunState::Running, RunState::Succeeded, RunState::Failed],
        "after the last one: failed if any task failed",
    ),
    run(RunState::Running, RunOn::Grow, &[RunState::Running], "the items of a `for_each` are tasks of the run"),
    run(RunState::Running, RunOn::Cancel, &[RunState::Cancelled], "by a person, or by `on_overlap: cancel_running`"),
    run(RunState::Failed, RunOn::Resume, &[RunState::Queued], "what did not succeed runs again"),
    run(RunState::Cancelled, RunOn::Resume, &[RunState::Queued], "what did not succeed runs again"),
];

/// Where the event may lead from this state; nowhere means refused.
pub fn targets(from: TaskState, on: EventKind) -> &'static [TaskState] {
    find(TASKS, from, on)
}

/// Where the event may lead a run from this state; nowhere means refused.
pub fn run_targets(from: RunState, on: RunEventKind) -> &'static [RunState] {
    find(RUNS, from, on)
}

fn find<S: PartialEq, K: PartialEq>(table: &[Arrow<S, K>], from: S, on: K) -> &'static [S] {
    table.iter().find(|arrow| arrow.from == from && arrow.on == on).map_or(&[], |arrow| arrow.to)
}

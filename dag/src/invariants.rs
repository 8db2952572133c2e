//! What must always hold, as one function over plain rows. Simulations, chaos tests and
//! `tidemill doctor` all ask the same seven questions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket, WorkerId},
    state::{EventKind, Move, RunState, RunView, TaskState, TaskView, table},
};

/// A snapshot of everything that lasts, and of the queue.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Nothing is due and every ticket was looked at: queue and outbox must be empty.
    pub at_rest: bool,
    /// Every run.
    pub runs: Vec<RunRow>,
    /// Every task of these runs.
    pub tasks: Vec<TaskView>,
    /// The audit rows of these runs, in the order they were written.
    pub audit: Vec<Move>,
    /// Trigger keys that were accepted: pipeline and key.
    pub accepted: Vec<(String, String)>,
    /// Tickets in the queue.
    pub tickets: Vec<Ticket>,
    /// Slots that are held.
    pub leases: Vec<Lease>,
    /// Published data sets: the task, and the attempt that wrote them.
    pub data_sets: Vec<Ticket>,
    /// Pools and other limits that somebody holds slots of.
    pub limits: Vec<LimitRow>,
    /// Questions that were answered, by task and attempt.
    pub answers: Vec<AnswerRow>,
}

/// A limit and who holds its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRow {
    /// Which limit.
    pub name: String,
    /// How many slots it has; none where it was made smaller since the last of them was given away.
    pub size: Option<u32>,
    /// Who holds how many.
    pub held: Vec<(Ticket, u32)>,
}

/// What a question still needed when the last answer was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRow {
    /// The task and the attempt that asked.
    pub ticket: Ticket,
    /// How many different people had to approve.
    pub required: u32,
    /// How many did.
    pub approved: u32,
    /// How many refused.
    pub rejected: u32,
}

/// A run, with what its neighbours need to know.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// The row.
    pub view: RunView,
    /// Of which pipeline.
    pub pipeline: String,
    /// How many may run at once; none where `on_overlap: allow`.
    pub max_runs: Option<u32>,
    /// What it was triggered by, if that has a name of its own.
    pub trigger_key: Option<String>,
    /// Whether its pipeline is paused, so that it may be queued behind nobody.
    pub paused: bool,
}

/// A slot that is held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// For which task and attempt.
    pub ticket: Ticket,
    /// By whom.
    pub owner: WorkerId,
}

/// The seven promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// At most one effective completion per task.
    OneCompletion,
    /// No unfinished run without an owner or a wake-up time.
    NoGhosts,
    /// Slots held are live leases.
    SlotsAreLeases,
    /// One run per accepted trigger key.
    OneRunPerKey,
    /// Audit rows are the transitions.
    AuditIsHistory,
    /// Every published data set belongs to the winning attempt.
    WinnerPublishes,
    /// Queue and outbox are empty at rest.
    QuietAtRest,
}

/// A promise that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub invariant: Invariant,
    /// The run, task or key, in text form.
    pub subject: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}: {}", self.invariant, self.subject, self.message)
    }
}

/// Every promise that does not hold in this world.
pub fn check(world: &World) -> Vec<Violation> {
    let mut found = Findings(Vec::new());
    one_completion(world, &mut found);
    no_ghosts(world, &mut found);
    slots_are_leases(world, &mut found);
    one_run_per_key(world, &mut found);
    audit_is_history(world, &mut found);
    winner_publishes(world, &mut found);
    quiet_at_rest(world, &mut found);
    found.0
}

struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, invariant: Invariant, subject: impl fmt::Display, message: impl Into<String>) {
        self.0.push(Violation { invariant, subject: subject.to_string(), message: message.into() });
    }

    fn unless(&mut self, holds: bool, invariant: Invariant, subject: impl fmt::Display, message: &str) {
        if !holds {
            self.add(invariant, subject, message);
        }
    }
}

fn one_completion(world: &World, found: &mut Findings) {
    let mut done: BTreeSet<TaskKey> = BTreeSet::new();
    let mut left: BTreeSet<(TaskKey, Attempt)> = BTreeSet::new();
    for step in &world.audit {
        if let Move::Task { task, attempt, from, to, .. } = *step {
            let again = to == TaskState::Succeeded && !done.insert(task);
            found.unless(!again, Invariant::OneCompletion, task, "succeeded twice");
            // A move back to ready carries the next attempt's number.
            let of = if to == TaskState::Ready { Attempt(attempt.0.saturating_sub(1)) } else { attempt };
            let again = from == TaskState::Running && !left.insert((task, of));
            found.unless(!again, Invariant::OneCompletion, task, "one attempt was reported twice");
        }
    }
}

fn no_ghosts(world: &World, found: &mut Findings) {
    const G: Invariant = Invariant::NoGhosts;
    let mut tasks: BTreeMap<RunId, Vec<&TaskView>> = BTreeMap::new();
    for task in &world.tasks {
        tasks.entry(task.key.run).or_default().push(task);
        let running = task.state == TaskState::Running;
        let owned = task.owner.is_some() && task.lease_until.is_some();
        found.unless(!running || owned, G, task.key, "running without an owner and a lease");
        found.unless(running || task.owner.is_none(), G, task.key, "owned but not running");
        let waiting = task.state == TaskState::Waiting;
        found.unless(waiting || task.asks.is_none(), G, task.key, "asks people but does not wait for them");
        found.unless(
            waiting == task.wake_at.is_some(),
            G,
            task.key,
            "a wake-up time goes with waiting, and only with it",
        );
    }
    let running: BTreeSet<&str> =
        world.runs.iter().filter(|run| run.view.state == RunState::Running).map(|run| run.pipeline.as_str()).collect();
    for run in &world.runs {
        let tasks = tasks.get(&run.view.id).map_or(&[][..], Vec::as_slice);
        counters(run, tasks, found);
        items(run, tasks, found);
        let count = |wanted: &[TaskState]| tasks.iter().filter(|task| wanted.contains(&task.state)).count();
        let alive = count(&[TaskState::Ready, TaskState::Running, TaskState::Waiting]);
        match run.view.state {
            RunState::Queued => {
                found.unless(
                    run.paused || running.contains(run.pipeline.as_str()),
                    G,
                    run.view.id,
                    "queued behind nobody",
                );
                found.unless(alive == 0, G, run.view.id, "queued, yet some of its tasks may start");
            }
            RunState::Running => {
                found.unless(alive > 0, G, run.view.id, "running, yet no task is ready, running or waiting");
                let stuck = tasks.iter().any(|t| t.state == TaskState::Blocked && t.upstream.pending == 0);
                found.unless(!stuck, G, run.view.id, "a task is blocked by nothing");
            }
            RunState::Succeeded | RunState::Failed | RunState::Cancelled => {
                let left = alive + count(&[TaskState::Blocked]);
                found.unless(left == 0, G, run.view.id, "finished, yet some of its tasks are not");
            }
        }
    }
}

fn counters(run: &RunRow, tasks: &[&TaskView], found: &mut Findings) {
    let left = tasks.iter().filter(|task| !task.state.is_finished()).count();
    let failed = tasks.iter().filter(|task| task.state == TaskState::Failed && !task.policy.hook).count();
    let view = &run.view;
    found.unless(tasks.len() == view.tasks as usize, Invariant::NoGhosts, view.id, "miscounts its tasks");
    if left != view.tasks_left as usize || (failed > 0) != (view.failed > 0) {
        let says =
            format!("says {} left and {} failed; its tasks say {left} and {failed}", view.tasks_left, view.failed);
        found.add(Invariant::NoGhosts, view.id, says);
    }
    let fits = match view.state {
        RunState::Succeeded => failed == 0,
        RunState::Failed => failed > 0,
        RunState::Queued | RunState::Running | RunState::Cancelled => true,
    };
    found.unless(fits, Invariant::NoGhosts, view.id, "ended otherwise than its tasks say");
}

/// An expanded task has all its items, in one row of ordinals; as many of them as may are alive at once.
fn items(run: &RunRow, tasks: &[&TaskView], found: &mut Findings) {
    let mut items: BTreeMap<Ordinal, Vec<&TaskView>> = BTreeMap::new();
    for task in tasks {
        if let Some(parent) = task.parent {
            items.entry(parent).or_default().push(task);
        }
    }
    for parent in tasks {
        let mine = items.remove(&parent.key.ordinal).unwrap_or_default();
        let complete = mine.len() == parent.items.unwrap_or(0) as usize;
        found.unless(complete, Invariant::NoGhosts, parent.key, "does not have the items that it says");
        let (Some(most), RunState::Running) = (parent.policy.max_parallel, run.view.state) else { continue };
        let in_state = |wanted: &[TaskState]| mine.iter().filter(|item| wanted.contains(&item.state)).count();
        let alive = in_state(&[TaskState::Ready, TaskState::Running, TaskState::Waiting]);
        let most = most.max(1) as usize;
        let stuck = alive < most && in_state(&[TaskState::Blocked]) > 0;
        found.unless(!stuck, Invariant::NoGhosts, parent.key, "an item waits for a place that is free");
        found.unless(
            alive <= most,
            Invariant::SlotsAreLeases,
            parent.key,
            "more items are alive at once than `max_parallel`",
        );
    }
    for parent in items.keys() {
        found.add(Invariant::NoGhosts, run.view.id, format!("items of task {}, which is not there", parent.0));
    }
}

fn slots_are_leases(world: &World, found: &mut Findings) {
    let held: BTreeSet<&Lease> = world.leases.iter().collect();
    found.unless(held.len() == world.leases.len(), Invariant::SlotsAreLeases, "slots", "a slot is held twice");
    let live: BTreeSet<Lease> = world
        .tasks
        .iter()
        .filter(|task| task.state == TaskState::Running)
        .filter_map(|task| Some(Lease { ticket: task.ticket(), owner: task.owner.clone()? }))
        .collect();
    for lease in &world.leases {
        found.unless(live.contains(lease), Invariant::SlotsAreLeases, lease.ticket, "a slot is held but nothing runs");
    }
    for lease in &live {
        found.unless(held.contains(lease), Invariant::SlotsAreLeases, lease.ticket, "runs without a slot");
    }
    for limit in &world.limits {
        let sum: u32 = limit.held.iter().map(|(_, slots)| slots).sum();
        let fits = limit.size.is_none_or(|size| sum <= size);
        found.unless(fits, Invariant::SlotsAreLeases, &limit.name, "more slots are held than there are");
        for (ticket, _) in &limit.held {
            let lives = live.iter().any(|lease| lease.ticket == *ticket);
            found.unless(lives, Invariant::SlotsAreLeases, ticket, "holds a slot of a limit but does not run");
        }
    }
    let mut running: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for run in world.runs.iter().filter(|run| run.view.state == RunState::Running) {
        let (count, most) = running.entry(&run.pipeline).or_default();
        *count += 1;
        *most = (*most).max(run.max_runs.unwrap_or(u32::MAX));
    }
    for (pipeline, (count, most)) in running {
        found.unless(count <= most.max(1), Invariant::SlotsAreLeases, pipeline, "more runs at once than `max_runs`");
    }
}

fn one_run_per_key(world: &World, found: &mut Findings) {
    let mut runs: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for run in &world.runs {
        if let Some(key) = &run.trigger_key {
            *runs.entry((&run.pipeline, key)).or_default() += 1;
        }
    }
    for ((pipeline, key), count) in &runs {
        let subject = format!("{pipeline} {key}");
        found.unless(*count == 1, Invariant::OneRunPerKey, subject, "several runs for one trigger key");
    }
    for (pipeline, key) in &world.accepted {
        let there = runs.contains_key(&(pipeline.as_str(), key.as_str()));
        found.unless(there, Invariant::OneRunPerKey, format!("{pipeline} {key}"), "accepted, but there is no run");
    }
}

fn audit_is_history(world: &World, found: &mut Findings) {
    const A: Invariant = Invariant::AuditIsHistory;
    let mut tasks: BTreeMap<TaskKey, (TaskState, Attempt)> = BTreeMap::new();
    let mut runs: BTreeMap<RunId, RunState> = BTreeMap::new();
    for step in &world.audit {
        match *step {
            Move::Task { task, attempt, from, to, on } => {
                let (state, before) = tasks.insert(task, (to, attempt)).unwrap_or((TaskState::Blocked, Attempt(0)));
                found.unless(state == from, A, task, "a move starts where the last one did not end");
                found.unless(attempt >= before, A, task, "an attempt number fell");
                found.unless(table::targets(from, on).contains(&to), A, task, "a move that the table does not know");
            }
            Move::Run { run, from, to, on } => {
                let state = runs.insert(run, to).unwrap_or(RunState::Queued);
                found.unless(state == from, A, run, "a move starts where the last one did not end");
                found.unless(table::run_targets(from, on).contains(&to), A, run, "a move that the table does not know");
            }
        }
    }
    answers_are_history(world, found);
    for task in &world.tasks {
        let last = tasks.get(&task.key).copied().unwrap_or((TaskState::Blocked, Attempt(0)));
        found.unless(last == (task.state, task.attempt), A, task.key, "is not where its last move led");
    }
    for run in &world.runs {
        let last = runs.get(&run.view.id).copied().unwrap_or(RunState::Queued);
        found.unless(last == run.view.state, A, run.view.id, "is not where its last move led");
    }
}

/// What people decided is what they said: enough of them, or one who refused.
fn answers_are_history(world: &World, found: &mut Findings) {
    let said: BTreeMap<Ticket, &AnswerRow> = world.answers.iter().map(|row| (row.ticket, row)).collect();
    for step in &world.audit {
        let Move::Task { task, attempt, to, on: EventKind::Answer, .. } = *step else { continue };
        let ticket = Ticket { task, attempt };
        let fits = said.get(&ticket).is_some_and(|row| match to {
            TaskState::Succeeded => row.approved >= row.required && row.rejected == 0,
            _ => row.rejected > 0,
        });
        found.unless(fits, Invariant::AuditIsHistory, ticket, "decided otherwise than people answered");
    }
}

fn winner_publishes(world: &World, found: &mut Findings) {
    let winners: BTreeSet<Ticket> =
        world.tasks.iter().filter(|task| task.state == TaskState::Succeeded).map(TaskView::ticket).collect();
    for data_set in &world.data_sets {
        let won = winners.contains(data_set);
        found.unless(won, Invariant::WinnerPublishes, data_set, "published a data set but did not win");
    }
}

fn quiet_at_rest(world: &World, found: &mut Findings) {
    if !world.at_rest {
        return;
    }
    for ticket in &world.tickets {
        found.add(Invariant::QuietAtRest, ticket, "still in the queue");
    }
    for task in world.tasks.iter().filter(|task| task.state == TaskState::Ready) {
        found.add(Invariant::QuietAtRest, task.key, "still to be offered");
    }
}

#[cfg(test)]
mod tests;

//! What must be so: midway, and at rest.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_dag::{
    id::{RunId, TaskKey},
    invariants::{self, World},
    state::{EventKind, Move, RunState, TaskState, TaskView, Upstream},
};

use super::{
    driver::{Failure, Tally},
    pipelines::{Ends, Pipeline},
};

fn promises(world: &World) -> Result<(), Failure> {
    let broken: Vec<String> = invariants::check(world).iter().map(ToString::to_string).collect();
    if broken.is_empty() { Ok(()) } else { Err(Failure(broken.join("; "))) }
}

/// The promises, and every blocked task's counters by recount.
pub fn midway(world: &World, pipelines: &[Pipeline]) -> Result<(), Failure> {
    promises(world)?;
    let plans = plans(world, pipelines);
    let states: BTreeMap<TaskKey, TaskState> = world.tasks.iter().map(|task| (task.key, task.state)).collect();
    for task in world.tasks.iter().filter(|task| task.state == TaskState::Blocked) {
        if task.parent.is_some() {
            // Whether it waits rightly is an invariant; it can only wait for one place.
            if task.upstream.pending > 1 {
                return Err(Failure(format!("{} waits for {:?}", task.key, task.upstream)));
            }
            continue;
        }
        let mut counted = Upstream::default();
        let needs = plans[&task.key.run].tasks[task.key.ordinal.0 as usize].needs.iter();
        let items = world.tasks.iter().filter(|item| item.parent == Some(task.key.ordinal));
        let items = items.filter(|item| item.key.run == task.key.run).map(|item| item.key.ordinal);
        for ordinal in needs.copied().chain(items) {
            match states[&TaskKey { ordinal, ..task.key }] {
                TaskState::Succeeded => counted.succeeded += 1,
                TaskState::Skipped => counted.skipped += 1,
                TaskState::Failed | TaskState::UpstreamFailed => counted.failed += 1,
                TaskState::Blocked | TaskState::Ready | TaskState::Running => counted.pending += 1,
                TaskState::Waiting | TaskState::Cancelled => counted.pending += 1,
            }
        }
        if counted != task.upstream {
            return Err(Failure(format!("{} counts {:?}, but it is {counted:?}", task.key, task.upstream)));
        }
    }
    Ok(())
}

fn plans<'a>(world: &World, pipelines: &'a [Pipeline]) -> BTreeMap<RunId, &'a Pipeline> {
    let plan = |name: &str| pipelines.iter().find(|pipeline| pipeline.name == name);
    world.runs.iter().filter_map(|run| Some((run.view.id, plan(&run.pipeline)?))).collect()
}

/// The promises at rest; every run known and finished; every task where its definition alone says,
/// unless people stopped the run or lost workers failed a task.
pub fn at_rest(
    world: &World,
    pipelines: &[Pipeline],
    told: &BTreeMap<RunId, usize>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    promises(world)?;
    for run in told.keys() {
        if world.runs.iter().all(|row| row.view.id != *run) {
            return Err(Failure(format!("somebody was told of {run}, but it is not there")));
        }
    }
    count(world, tally);
    let poisoned = |step: &Move| match *step {
        Move::Task { task, to: TaskState::Failed, on: EventKind::LeaseOver | EventKind::OwnerGone, .. } => {
            Some(task.run)
        }
        Move::Task { .. } | Move::Run { .. } => None,
    };
    let poisoned: Vec<RunId> = world.audit.iter().filter_map(poisoned).collect();
    tally.count("poisoned", poisoned.len() as u64);
    let plans = plans(world, pipelines);
    for run in &world.runs {
        let id = run.view.id;
        if run.view.state != RunState::Cancelled && !poisoned.contains(&id) {
            let mut tasks: Vec<&TaskView> = world.tasks.iter().filter(|task| task.key.run == id).collect();
            tasks.sort_by_key(|task| task.key);
            let mut ends = Ends { tasks: Vec::new(), items: BTreeMap::new() };
            for task in tasks {
                match task.parent {
                    None => ends.tasks.push(task.state),
                    Some(parent) => ends.items.entry(parent).or_default().push(task.state),
                }
            }
            let must = plans[&id].must_end();
            if ends != must {
                return Err(Failure(format!("{id} ended as {ends:?}; its definition says {must:?}")));
            }
            tally.count("runs compared with their definition", 1);
        }
    }
    Ok(())
}

fn count(world: &World, tally: &mut Tally) {
    let items: BTreeSet<TaskKey> =
        world.tasks.iter().filter(|task| task.parent.is_some()).map(|task| task.key).collect();
    for step in &world.audit {
        tally.count("moves", 1);
        match *step {
            Move::Task { on: EventKind::LeaseOver, .. } => tally.count("leases over", 1),
            Move::Task { on: EventKind::OwnerGone, .. } => tally.count("owners gone", 1),
            Move::Task { on: EventKind::Release, .. } => tally.count("handed back", 1),
            Move::Task { on: EventKind::Park, .. } => tally.count("parked", 1),
            Move::Task { on: EventKind::Answer, .. } => tally.count("decided by people", 1),
            Move::Task {
                on: EventKind::Due,
                to: TaskState::Succeeded | TaskState::Failed | TaskState::Skipped,
                ..
            } => {
                tally.count("questions over", 1);
            }
            Move::Task { on: EventKind::Expand, .. } => tally.count("lists known", 1),
            Move::Task { on: EventKind::Place, .. } => tally.count("items that got a place", 1),
            Move::Task { task, on: EventKind::Resume, .. } if items.contains(&task) => tally.count("items resumed", 1),
            Move::Task { .. } | Move::Run { .. } => {}
        }
    }
    for run in &world.runs {
        tally.count("tasks", world.tasks.iter().filter(|task| task.key.run == run.view.id).count() as u64);
        match run.view.state {
            RunState::Succeeded => tally.count("runs succeeded", 1),
            RunState::Failed => tally.count("runs failed", 1),
            RunState::Cancelled => tally.count("runs cancelled", 1),
            RunState::Queued | RunState::Running => tally.count("runs unfinished", 1),
        }
    }
}

/// Who is not finished, for a failure's text.
pub fn unfinished(world: &World) -> String {
    let runs = world.runs.iter().filter(|run| !run.view.state.is_finished());
    let tasks = world.tasks.iter().filter(|task| !task.state.is_finished());
    let runs = runs.map(|run| format!("{} {:?}", run.view.id, run.view));
    let tasks = tasks.map(|task| format!("{} {} attempt {}", task.key, task.state, task.attempt.0));
    runs.chain(tasks).take(12).collect::<Vec<_>>().join("; ")
}

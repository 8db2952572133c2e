use super::*;
use crate::{
    id::{Ordinal, RunId},
    state::{EventKind, Policy, RunEventKind, RunState, Upstream},
    time::Timestamp,
};

fn key() -> TaskKey {
    TaskKey { run: RunId::from_parts(Timestamp(0), 1 << 100), ordinal: Ordinal(0) }
}

fn worker() -> WorkerId {
    WorkerId("w".to_owned())
}

fn task_move(attempt: u32, from: TaskState, on: EventKind, to: TaskState) -> Move {
    Move::Task { task: key(), attempt: Attempt(attempt), from, to, on }
}

/// One run with one task under way, and everything as it should be.
fn sound() -> World {
    let attempt = Attempt(1);
    let task = TaskView {
        state: TaskState::Running,
        attempt,
        owner: Some(worker()),
        lease_until: Some(Timestamp(9)),
        ..TaskView::first(key(), 0, Policy::default())
    };
    World {
        at_rest: false,
        runs: vec![RunRow {
            view: RunView { state: RunState::Running, ..RunView::first(key().run, 1) },
            pipeline: "p".to_owned(),
            max_runs: Some(1),
            trigger_key: Some("6:00".to_owned()),
            paused: false,
        }],
        audit: vec![
            Move::Run { run: key().run, from: RunState::Queued, to: RunState::Running, on: RunEventKind::Admit },
            task_move(1, TaskState::Blocked, EventKind::Open, TaskState::Ready),
            task_move(1, TaskState::Ready, EventKind::Start, TaskState::Running),
        ],
        accepted: vec![("p".to_owned(), "6:00".to_owned())],
        tickets: vec![task.ticket()],
        leases: vec![Lease { ticket: task.ticket(), owner: worker() }],
        tasks: vec![task],
        ..World::default()
    }
}

/// The same after the task succeeded and all is quiet.
fn done() -> World {
    let mut world = sound();
    world.at_rest = true;
    world.tickets.clear();
    world.leases.clear();
    world.data_sets = vec![world.tasks[0].ticket()];
    let row = &mut world.tasks[0];
    (row.state, row.owner, row.lease_until) = (TaskState::Succeeded, None, None);
    world.audit.push(task_move(1, TaskState::Running, EventKind::Succeed, TaskState::Succeeded));
    let view = &mut world.runs[0].view;
    let (run, from) = (view.id, view.state);
    (view.state, view.tasks_left) = (RunState::Succeeded, 0);
    world.audit.push(Move::Run { run, from, to: view.state, on: RunEventKind::TaskEnded });
    world
}

#[test]
fn a_sound_world_has_no_violations() {
    assert_eq!(check(&sound()), []);
    assert_eq!(check(&done()), []);
    assert_eq!(check(&World::default()), []);
}

/// Breaks a world and expects exactly these promises to be found broken.
fn breaks(mut world: World, spoil: impl FnOnce(&mut World), expected: &[Invariant]) {
    spoil(&mut world);
    let found: BTreeSet<Invariant> = check(&world).iter().map(|violation| violation.invariant).collect();
    assert_eq!(found, expected.iter().copied().collect(), "{:?}", check(&world));
}

#[test]
fn a_second_completion_is_found() {
    let again = task_move(1, TaskState::Running, EventKind::Succeed, TaskState::Succeeded);
    breaks(done(), |w| w.audit.push(again), &[Invariant::OneCompletion, Invariant::AuditIsHistory]);
    let twice = |w: &mut World| {
        w.audit.push(task_move(1, TaskState::Running, EventKind::Park, TaskState::Waiting));
    };
    breaks(done(), twice, &[Invariant::OneCompletion, Invariant::AuditIsHistory]);
}

#[test]
fn ghosts_are_found() {
    let ghosts = &[Invariant::NoGhosts];
    breaks(sound(), |w| w.tasks[0].lease_until = None, ghosts);
    breaks(sound(), |w| w.tasks[0].wake_at = Some(Timestamp(3)), ghosts);
    breaks(sound(), |w| w.runs[0].view.tasks_left = 2, ghosts);
    breaks(sound(), |w| w.runs[0].view.failed = 1, ghosts);
    breaks(done(), |w| w.tasks[0].owner = Some(worker()), ghosts);
    let queued = |w: &mut World| {
        let other = RunView::first(RunId::from_parts(Timestamp(5), 2 << 100), 0);
        w.runs.push(RunRow { view: other, trigger_key: None, ..w.runs[0].clone() });
    };
    breaks(sound(), queued, &[]);
    breaks(done(), queued, ghosts);
    let stuck = |w: &mut World| {
        let blocked = TaskKey { ordinal: Ordinal(1), ..key() };
        w.tasks.push(TaskView { upstream: Upstream::default(), ..TaskView::first(blocked, 0, Policy::default()) });
        w.runs[0].view.tasks_left += 1;
        w.runs[0].view.tasks += 1;
    };
    breaks(sound(), stuck, ghosts);
    breaks(done(), stuck, ghosts);
}

/// A run whose first task has two items, of which one may be alive at once.
fn with_items() -> World {
    let mut world = sound();
    let policy = Policy { max_parallel: Some(1), ..Policy::default() };
    let parent = TaskView {
        attempt: Attempt(1),
        items: Some(2),
        upstream: Upstream { pending: 2, ..Upstream::default() },
        ..TaskView::first(key(), 0, policy)
    };
    let alive = TaskView { state: TaskState::Ready, attempt: Attempt(1), ..parent.item(Ordinal(1), false) };
    let item = |step| Move::Task {
        task: alive.key,
        attempt: Attempt(1),
        from: TaskState::Blocked,
        to: TaskState::Ready,
        on: step,
    };
    world.audit.push(task_move(1, TaskState::Running, EventKind::Expand, TaskState::Blocked));
    world.audit.push(item(EventKind::Open));
    world.tasks = vec![parent.clone(), alive, parent.item(Ordinal(2), true)];
    let view = &mut world.runs[0].view;
    (view.tasks, view.tasks_left) = (3, 3);
    world.leases.clear();
    world
}

#[test]
fn items_that_are_missing_stuck_or_too_many_are_found() {
    let ghosts = &[Invariant::NoGhosts];
    breaks(with_items(), |_| {}, &[]);
    breaks(with_items(), |w| w.tasks[0].items = Some(3), ghosts);
    breaks(with_items(), |w| w.tasks[2].parent = None, ghosts);
    breaks(with_items(), |w| w.tasks[2].parent = Some(Ordinal(7)), ghosts);
    breaks(with_items(), |w| w.tasks[0].policy.max_parallel = Some(2), ghosts);
    let crowd = |w: &mut World| {
        w.tasks[0].policy.max_parallel = Some(1);
        w.tasks[2] = TaskView { key: w.tasks[2].key, ..w.tasks[1].clone() };
        let step = *w.audit.last().expect("a move");
        if let Move::Task { attempt, from, to, on, .. } = step {
            w.audit.push(Move::Task { task: w.tasks[2].key, attempt, from, to, on });
        }
    };
    breaks(with_items(), crowd, &[Invariant::SlotsAreLeases]);
}

#[test]
fn slots_without_leases_are_found() {
    let slots = &[Invariant::SlotsAreLeases];
    breaks(sound(), |w| w.leases.clear(), slots);
    breaks(sound(), |w| w.leases.push(w.leases[0].clone()), slots);
    breaks(sound(), |w| w.leases[0].owner = WorkerId("other".to_owned()), slots);
    breaks(done(), |w| w.leases = sound().leases, slots);
    let crowd = |w: &mut World| {
        let mut other = sound();
        let run = RunId::from_parts(Timestamp(5), 2 << 100);
        let moved = |row: &mut TaskView| row.key.run = run;
        other.tasks.iter_mut().for_each(moved);
        other.runs[0].view.id = run;
        other.runs[0].trigger_key = None;
        other.leases[0].ticket.task.run = run;
        for step in &mut other.audit {
            match step {
                Move::Task { task, .. } => task.run = run,
                Move::Run { run: id, .. } => *id = run,
            }
        }
        w.runs.append(&mut other.runs);
        w.tasks.append(&mut other.tasks);
        w.audit.append(&mut other.audit);
        w.leases.append(&mut other.leases);
    };
    breaks(sound(), crowd, slots);
    breaks(done(), crowd, &[]);
}

#[test]
fn trigger_keys_without_their_one_run_are_found() {
    breaks(sound(), |w| w.runs[0].trigger_key = None, &[Invariant::OneRunPerKey]);
    let twice = |w: &mut World| {
        let view = RunView::first(RunId::from_parts(Timestamp(5), 2 << 100), 0);
        w.runs.push(RunRow { view, ..w.runs[0].clone() });
    };
    breaks(sound(), twice, &[Invariant::OneRunPerKey]);
}

#[test]
fn audit_rows_that_tell_another_story_are_found() {
    let audit = &[Invariant::AuditIsHistory];
    for missing in 0..3 {
        let forget = |w: &mut World| {
            w.audit.remove(missing);
        };
        breaks(sound(), forget, audit);
    }
    breaks(sound(), |w| w.tasks[0].attempt = Attempt(2), &[Invariant::AuditIsHistory, Invariant::SlotsAreLeases]);
    breaks(sound(), |w| w.audit[1] = task_move(1, TaskState::Blocked, EventKind::Due, TaskState::Ready), audit);
    breaks(sound(), |w| w.audit[1] = task_move(2, TaskState::Blocked, EventKind::Open, TaskState::Ready), audit);
}

#[test]
fn data_sets_of_losers_are_found() {
    breaks(done(), |w| w.data_sets[0].attempt = Attempt(2), &[Invariant::WinnerPublishes]);
    breaks(sound(), |w| w.data_sets.push(w.tasks[0].ticket()), &[Invariant::WinnerPublishes]);
}

#[test]
fn noise_at_rest_is_found() {
    breaks(done(), |w| w.tickets = sound().tickets, &[Invariant::QuietAtRest]);
    let unsent = |w: &mut World| {
        w.at_rest = true;
        w.tickets.clear();
        w.leases.clear();
        let row = &mut w.tasks[0];
        (row.state, row.owner, row.lease_until) = (TaskState::Ready, None, None);
        w.audit.pop();
    };
    breaks(sound(), unsent, &[Invariant::QuietAtRest]);
}

#[test]
fn limits_that_are_exceeded_are_found() {
    let slots = &[Invariant::SlotsAreLeases];
    let limit = |size, held| {
        move |w: &mut World| {
            let held = vec![(w.tasks[0].ticket(), held)];
            w.limits.push(LimitRow { name: "pool:gpu".to_owned(), size, held });
        }
    };
    breaks(sound(), limit(Some(2), 2), &[]);
    breaks(sound(), limit(None, 3), &[]);
    breaks(sound(), limit(Some(2), 3), slots);
    breaks(done(), limit(Some(2), 1), slots);
}

#[test]
fn decisions_that_nobody_made_are_found() {
    let audit = &[Invariant::AuditIsHistory];
    let asked = |approved, rejected| {
        move |w: &mut World| {
            w.audit.truncate(w.audit.len() - 2);
            w.audit.push(task_move(1, TaskState::Running, EventKind::Ask, TaskState::Waiting));
            w.audit.push(task_move(1, TaskState::Waiting, EventKind::Answer, TaskState::Succeeded));
            let (run, to) = (key().run, RunState::Succeeded);
            w.audit.push(Move::Run { run, from: RunState::Running, to, on: RunEventKind::TaskEnded });
            w.answers.push(AnswerRow { ticket: w.tasks[0].ticket(), required: 2, approved, rejected });
        }
    };
    breaks(done(), asked(2, 0), &[]);
    breaks(done(), asked(1, 0), audit);
    breaks(done(), asked(2, 1), audit);
    let silent = |w: &mut World| {
        asked(2, 0)(w);
        w.answers.clear();
    };
    breaks(done(), silent, audit);
}

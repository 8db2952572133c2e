use std::{collections::BTreeSet, path::Path, time::Duration};

use proptest::prelude::*;

use super::{table::targets, *};
use crate::{
    id::{Attempt, Ordinal, RunId, TaskKey, WorkerId},
    spec::{Backoff, Concurrency, OnExpiry, OnOverlap, RunIf},
    time::{Span, Timestamp},
};

const NOW: Timestamp = Timestamp(1_000_000);
const RULES: [RunIf; 5] =
    [RunIf::AllSucceeded, RunIf::AllDone, RunIf::AnyFailed, RunIf::AnySucceeded, RunIf::NoneFailed];
const ENDINGS: [Ending; 4] = [Ending::Succeeded, Ending::Failed, Ending::UpstreamFailed, Ending::Skipped];

fn key(ordinal: u32) -> TaskKey {
    TaskKey { run: RunId::from_parts(NOW, 7 << 100), ordinal: Ordinal(ordinal) }
}

fn holder(attempt: u32, owner: &str) -> Holder {
    Holder { attempt: Attempt(attempt), owner: WorkerId(owner.to_owned()) }
}

/// A row as it may stand in `state`: on attempt 3 of worker `w`, its moments passed.
fn row(state: TaskState) -> TaskView {
    let past = Timestamp(NOW.0 - 1);
    let running = state == TaskState::Running;
    TaskView {
        state,
        attempt: Attempt(3),
        owner: running.then(|| WorkerId("w".to_owned())),
        lease_until: running.then_some(past),
        wake_at: (state == TaskState::Waiting).then_some(past),
        ..TaskView::first(key(0), 1, Policy { retries: 1, ..Policy::default() })
    }
}

/// Rows that differ in all that may decide: counters, rules, tries used, workers lost.
fn rows(state: TaskState) -> Vec<TaskView> {
    let mut rows = Vec::new();
    for run_if in RULES {
        for (failures, crashes) in [(0, 0), (1, MAX_CRASHES - 1)] {
            for bits in 0..24_u32 {
                let bit = |n: u32| (bits >> n) & 1;
                let upstream = Upstream { pending: bits / 8, succeeded: bit(0), failed: bit(1), skipped: bit(2) };
                let policy = Policy { run_if, retries: 1, ..Policy::default() };
                let plain = TaskView { upstream, failures, crashes, policy, ..row(state) };
                rows.push(TaskView { items: Some(4), ..plain.clone() });
                rows.push(TaskView { policy: Policy { hook: true, ..policy }, ..plain.clone() });
                for taken in [Taken::Succeeded, Taken::Skipped] {
                    rows.push(TaskView { policy: Policy { taken: Some(taken), ..policy }, ..plain.clone() });
                }
                if state == TaskState::Waiting {
                    rows.extend(OnExpiry::ALL.iter().map(|it| TaskView { asks: Some(*it), ..plain.clone() }));
                }
                rows.push(plain);
            }
        }
    }
    rows
}

/// An event of every kind, from a worker that may speak. Where data decides, every choice of it.
fn events() -> Vec<Event> {
    let by = || holder(3, "w");
    let later = NOW.after(Duration::from_secs(6));
    let mut events = vec![
        Event::Open,
        Event::Start { by: by(), lease_until: later },
        Event::Beat { by: by(), lease_until: later },
        Event::Succeed(by()),
        Event::Fail { by: by(), retryable: true },
        Event::Fail { by: by(), retryable: false },
        Event::Park { by: by(), until: later },
        Event::Ask { by: by(), until: later, on_expiry: OnExpiry::Fail },
        Event::Answer { by: holder(3, "ann"), approved: true },
        Event::Answer { by: holder(3, "ann"), approved: false },
        Event::Skip(by()),
        Event::Expand { by: by(), items: 2 },
        Event::Place,
        Event::Release(by()),
        Event::LeaseOver,
        Event::OwnerGone,
        Event::Due,
        Event::Wake,
        Event::Cancel,
        Event::Resume(Upstream { pending: 2, ..Upstream::default() }),
    ];
    events.extend(ENDINGS.map(Event::UpstreamDone));
    events
}

#[test]
fn every_state_meets_every_event() {
    let kinds: BTreeSet<EventKind> = events().iter().map(Event::kind).collect();
    assert_eq!(kinds.len(), EventKind::ALL.len(), "an event has no example");
    for state in TaskState::ALL.iter().copied() {
        for kind in EventKind::ALL.iter().copied() {
            let mut reached = BTreeSet::new();
            for event in events().iter().filter(|event| event.kind() == kind) {
                for before in rows(state) {
                    match decide(&before, event, NOW, 0.5) {
                        Ok(decision) => {
                            reached.insert(decision.task.state);
                            assert_row(&before, event, &decision);
                        }
                        Err(IllegalMove::Task { .. }) => assert!(targets(state, kind).is_empty(), "{state} {kind}"),
                        Err(IllegalMove::Counters { .. }) => {
                            let counting =
                                [EventKind::Open, EventKind::UpstreamDone, EventKind::Place, EventKind::Expand];
                            assert!(counting.contains(&kind), "{state} {kind}");
                        }
                        Err(IllegalMove::NotAsked(_)) => {
                            assert_eq!((state, kind, before.asks), (TaskState::Waiting, EventKind::Answer, None));
                        }
                        Err(other) => panic!("{state} {kind}: {other}"),
                    }
                }
            }
            let said: BTreeSet<TaskState> = targets(state, kind).iter().copied().collect();
            assert_eq!(reached, said, "{state} on {kind}");
        }
    }
}

/// What must be so after any move.
fn assert_row(before: &TaskView, event: &Event, decision: &Decision) {
    let after = &decision.task;
    let moved = after.state != before.state;
    let told = format!("{} {} {}", before.state, event.kind(), after.state);
    assert_eq!(after.owner.is_some(), after.state == TaskState::Running, "{told}");
    assert_eq!(after.lease_until.is_some(), after.state == TaskState::Running, "{told}");
    assert_eq!(after.wake_at.is_some(), after.state == TaskState::Waiting, "{told}");
    assert_eq!(after.asks.is_some(), event.kind() == EventKind::Ask, "{told}");
    let offered = moved && after.state == TaskState::Ready;
    let taken = before.state == TaskState::Blocked && after.state == TaskState::Succeeded;
    let attempt = before.attempt.0 + u32::from(offered || taken);
    assert_eq!(after.attempt.0, attempt, "every offer is a new attempt, and so is what is taken over: {told}");
    assert_eq!(decision.publish, offered.then(|| after.ticket()), "{told}");
    let tells = moved && after.state.is_finished() && after.state != TaskState::Cancelled;
    assert_eq!(decision.ended.is_some(), tells, "{told}");
    assert_eq!((after.key, after.policy), (before.key, before.policy), "{told}");
}

#[test]
fn the_table_has_one_line_per_pair_and_no_line_for_success() {
    let pairs: BTreeSet<_> = table::TASKS.iter().map(|arrow| (arrow.from, arrow.on)).collect();
    assert_eq!(pairs.len(), table::TASKS.len());
    let pairs: BTreeSet<_> = table::RUNS.iter().map(|arrow| (arrow.from, arrow.on)).collect();
    assert_eq!(pairs.len(), table::RUNS.len());
    assert!(table::TASKS.iter().all(|arrow| arrow.from != TaskState::Succeeded), "success is never taken back");
    assert!(table::RUNS.iter().all(|arrow| arrow.from != RunState::Succeeded), "success is never taken back");
}

#[test]
fn every_run_state_meets_every_event() {
    for state in RunState::ALL.iter().copied() {
        for kind in RunEventKind::ALL.iter().copied() {
            let mut reached = BTreeSet::new();
            for (tasks_left, failed, ending) in [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 3), (2, 1, 2), (2, 0, 3)] {
                let event = match kind {
                    RunEventKind::Admit => RunEvent::Admit,
                    RunEventKind::TaskEnded => RunEvent::TaskEnded(ENDINGS[ending]),
                    RunEventKind::Grow => RunEvent::Grow { of: Ordinal(0), items: 2 },
                    RunEventKind::Cancel => RunEvent::Cancel,
                    RunEventKind::Resume => RunEvent::Resume { tasks_left: 3 },
                };
                let before = RunView { state, tasks_left, failed, ..RunView::first(key(0).run, 0) };
                if let Ok(decision) = decide_run(&before, event) {
                    let after = decision.run;
                    reached.insert(after.state);
                    let freed = state == RunState::Running && after.state.is_finished();
                    assert_eq!(decision.frees_place, freed, "{state} {kind}");
                    assert_eq!(decision.cancels_tasks, kind == RunEventKind::Cancel, "{state} {kind}");
                    assert!(after.state == RunState::Cancelled || after.tasks_left > 0 || after.state.is_finished());
                }
            }
            let said: BTreeSet<RunState> = table::run_targets(state, kind).iter().copied().collect();
            assert_eq!(reached, said, "{state} on {kind}");
        }
    }
}

#[test]
fn strangers_and_latecomers_are_fenced() {
    let running = row(TaskState::Running);
    for (attempt, owner) in [(2, "w"), (4, "w"), (3, "other")] {
        let by = || holder(attempt, owner);
        let events = [
            Event::Beat { by: by(), lease_until: NOW },
            Event::Succeed(by()),
            Event::Fail { by: by(), retryable: true },
            Event::Park { by: by(), until: NOW },
            Event::Ask { by: by(), until: NOW, on_expiry: OnExpiry::Fail },
            Event::Skip(by()),
            Event::Expand { by: by(), items: 2 },
            Event::Release(by()),
        ];
        for event in events {
            let refused = decide(&running, &event, NOW, 0.0);
            assert!(matches!(refused, Err(IllegalMove::Fenced { .. })), "{event:?}: {refused:?}");
        }
    }
    for attempt in [2, 4] {
        let event = Event::Start { by: holder(attempt, "w"), lease_until: NOW };
        assert!(matches!(decide(&row(TaskState::Ready), &event, NOW, 0.0), Err(IllegalMove::Fenced { .. })));
    }
}

#[test]
fn leases_and_sleeps_run_their_time() {
    let future = Timestamp(NOW.0 + 1);
    let leased = TaskView { lease_until: Some(future), ..row(TaskState::Running) };
    let asleep = TaskView { wake_at: Some(future), ..row(TaskState::Waiting) };
    assert!(matches!(decide(&leased, &Event::LeaseOver, NOW, 0.0), Err(IllegalMove::TooEarly { .. })));
    assert!(matches!(decide(&asleep, &Event::Due, NOW, 0.0), Err(IllegalMove::TooEarly { .. })));
    assert!(decide(&leased, &Event::LeaseOver, future, 0.0).is_ok());
    assert!(decide(&asleep, &Event::Due, future, 0.0).is_ok());
    assert!(decide(&leased, &Event::OwnerGone, NOW, 0.0).is_ok(), "a dead worker's lease need not run out");
}

#[test]
fn tries_end_and_so_do_crashes() {
    let backoff = Backoff { initial: Span::seconds(2), max: Span::seconds(60), factor: 2.0 };
    let mut task = TaskView { policy: Policy { retries: 2, backoff, ..Policy::default() }, ..row(TaskState::Running) };
    let mut sleeps = Vec::new();
    loop {
        let by = Holder { attempt: task.attempt, owner: WorkerId("w".to_owned()) };
        task = decide(&task, &Event::Fail { by: by.clone(), retryable: true }, NOW, 1.0).unwrap().task;
        let Some(wake_at) = task.wake_at else { break };
        sleeps.push(wake_at.since(NOW).as_secs());
        task = decide(&task, &Event::Due, wake_at, 0.0).unwrap().task;
        let by = Holder { attempt: task.attempt, ..by };
        task = decide(&task, &Event::Start { by, lease_until: NOW }, NOW, 0.0).unwrap().task;
    }
    assert_eq!((task.state, task.failures, task.attempt, sleeps), (TaskState::Failed, 3, Attempt(5), vec![2, 4]));

    let mut task = row(TaskState::Running);
    let mut lost = 0;
    while task.state == TaskState::Running {
        task = decide(&task, &Event::LeaseOver, NOW, 0.0).unwrap().task;
        lost += 1;
        if task.state == TaskState::Ready {
            let by = Holder { attempt: task.attempt, owner: WorkerId("w".to_owned()) };
            task = decide(&task, &Event::Start { by, lease_until: NOW }, NOW, 0.0).unwrap().task;
        }
    }
    assert_eq!((task.state, lost), (TaskState::Failed, MAX_CRASHES));
}

#[test]
fn places_for_runs() {
    let policy = |max_runs, on_overlap| Concurrency { max_runs, on_overlap, ..Concurrency::default() };
    let arrive =
        |max_runs, on_overlap, running, queued| super::arrive(&policy(max_runs, on_overlap), running, queued, false);
    assert_eq!(arrive(2, OnOverlap::Queue, 1, 0), Arrival::Start);
    assert_eq!(arrive(2, OnOverlap::Queue, 2, 0), Arrival::Queue);
    assert_eq!(arrive(2, OnOverlap::Queue, 1, 1), Arrival::Queue, "nobody overtakes");
    assert_eq!(arrive(1, OnOverlap::Skip, 0, 0), Arrival::Start);
    assert_eq!(arrive(1, OnOverlap::Skip, 1, 0), Arrival::Skip);
    assert_eq!(arrive(2, OnOverlap::CancelRunning, 1, 0), Arrival::Start);
    assert_eq!(arrive(2, OnOverlap::CancelRunning, 3, 0), Arrival::Replace(2));
    assert_eq!(arrive(1, OnOverlap::Allow, 100, 100), Arrival::Start);
    assert_eq!(may_start(&policy(3, OnOverlap::Queue), 1, false), 2);
    assert_eq!(may_start(&policy(0, OnOverlap::Queue), 0, false), 1, "no places at all would be a ghost");
    assert_eq!(may_start(&policy(1, OnOverlap::Allow), 9, false), u32::MAX);
    for on_overlap in [OnOverlap::Queue, OnOverlap::Skip, OnOverlap::CancelRunning, OnOverlap::Allow] {
        let policy = policy(3, on_overlap);
        assert_eq!(super::arrive(&policy, 0, 0, true), Arrival::Queue, "a paused pipeline starts nothing");
        assert_eq!(may_start(&policy, 0, true), 0);
    }
}

#[test]
fn a_resume_takes_back_what_did_not_succeed_and_what_was_skipped_behind_it() {
    use TaskState::{Cancelled, Failed, Skipped, Succeeded, UpstreamFailed};
    // 0 ok, 1 failed, 2 behind both, 3 skipped behind 2, 4 its own `when` was false, 5 alarm after 1, 6 skipped behind 5.
    let states = [Succeeded, Failed, UpstreamFailed, Skipped, Skipped, Succeeded, Skipped, Cancelled];
    let needs: Vec<Vec<Ordinal>> = [&[][..], &[], &[0, 1], &[2, 4], &[0], &[1], &[5], &[5, 4]]
        .iter()
        .map(|before| before.iter().map(|o| Ordinal(*o)).collect())
        .collect();
    let again = resets(&states, &needs);
    assert_eq!(again.iter().map(|reset| reset.ordinal.0).collect::<Vec<_>>(), [1, 2, 3, 7]);
    let counts = |n: usize| again[n].upstream;
    assert_eq!(counts(0), Upstream::default());
    assert_eq!(counts(1), Upstream { pending: 1, succeeded: 1, ..Upstream::default() });
    assert_eq!(counts(2), Upstream { pending: 1, skipped: 1, ..Upstream::default() });
    assert_eq!(counts(3), Upstream { succeeded: 1, skipped: 1, ..Upstream::default() });
}

/// The chain 0 → 1 → 2 and the alarm 3 (`any_failed` of 0), in a run of its own.
fn chain() -> (RunView, Vec<TaskView>) {
    let policy = |run_if| Policy { run_if, ..Policy::default() };
    let tasks = vec![
        TaskView { upstream: Upstream::default(), ..row(TaskState::Running) },
        TaskView::first(key(1), 1, policy(RunIf::AllSucceeded)),
        TaskView::first(key(2), 1, policy(RunIf::AllSucceeded)),
        TaskView::first(key(3), 1, policy(RunIf::AnyFailed)),
    ];
    (RunView { state: RunState::Running, ..RunView::first(key(0).run, 4) }, tasks)
}

/// Answers every want from the chain's rows and notes what was asked.
fn settle_chain(work: &mut Work, run: RunView, tasks: &[TaskView]) -> Vec<Want> {
    let mut asked = Vec::new();
    while let Some(want) = work.wants() {
        match &want {
            Want::Runs(_) => work.give_runs([run]).unwrap(),
            Want::Readers(ended) => {
                let readers = |of: &TaskKey| match of.ordinal.0 {
                    0 => vec![(*of, tasks[1].clone()), (*of, tasks[3].clone())],
                    1 => vec![(*of, tasks[2].clone())],
                    _ => Vec::new(),
                };
                work.give_readers(ended.iter().flat_map(readers)).unwrap();
            }
            Want::Unfinished(_) => work.give_unfinished(tasks.to_vec()).unwrap(),
            Want::Roots(_) | Want::Successors(_) | Want::Items(_) => {}
        }
        asked.push(want);
    }
    asked
}

#[test]
fn news_travels_to_readers_and_to_the_run() {
    let (run, tasks) = chain();
    let mut work = Work::new(NOW);
    work.give_tasks([tasks[0].clone()]);
    work.apply(key(0), &Event::Fail { by: holder(3, "w"), retryable: false }, 0.0).unwrap();
    let asked = settle_chain(&mut work, run, &tasks);
    assert_eq!(asked.len(), 4, "the run, readers of 0, of 1, of 2: {asked:?}");
    let settled = work.finish();
    let states: Vec<_> = settled.tasks.iter().map(|row| row.after.state).collect();
    use TaskState::{Failed, Ready, UpstreamFailed};
    assert_eq!(states, [Failed, UpstreamFailed, UpstreamFailed, Ready]);
    assert_eq!(settled.tickets, [crate::id::Ticket { task: key(3), attempt: Attempt(1) }]);
    let after = settled.runs[0].after;
    assert_eq!((after.state, after.tasks_left, after.failed), (RunState::Running, 1, 1));
    assert_eq!(settled.moves.len(), 4);
}

#[test]
fn a_hook_that_fails_does_not_fail_its_run() {
    let policy = |run_if| Policy { run_if, hook: true, ..Policy::default() };
    let hook = TaskView { policy: policy(RunIf::NoneFailed), ..row(TaskState::Running) };
    let run = RunView { state: RunState::Running, ..RunView::first(key(0).run, 1) };
    let mut work = Work::new(NOW);
    work.give_tasks([hook]);
    work.give_runs([run]).unwrap();
    work.apply(key(0), &Event::Fail { by: holder(3, "w"), retryable: false }, 0.0).unwrap();
    let after = *work.run(run.id).unwrap();
    assert_eq!((after.state, after.failed), (RunState::Succeeded, 0));
    let idle = TaskView::first(key(0), 1, policy(RunIf::NoneFailed));
    let told = decide(&idle, &Event::UpstreamDone(Ending::Failed), NOW, 0.0).unwrap();
    assert_eq!(told.task.state, TaskState::Skipped, "there is nothing to tell, which is no failure");
}

#[test]
fn a_cancel_in_the_same_work_wins_over_the_news() {
    let (run, tasks) = chain();
    let mut work = Work::new(NOW);
    work.give_tasks([tasks[0].clone()]);
    work.give_runs([run]).unwrap();
    work.apply(key(0), &Event::Succeed(holder(3, "w")), 0.0).unwrap();
    work.apply_run(run.id, RunEvent::Cancel).unwrap();
    settle_chain(&mut work, run, &tasks);
    let settled = work.finish();
    let states: Vec<_> = settled.tasks.iter().map(|row| row.after.state).collect();
    use TaskState::{Cancelled, Succeeded};
    assert_eq!(states, [Succeeded, Cancelled, Cancelled, Cancelled]);
    assert!(settled.tickets.is_empty());
}

#[test]
fn a_task_ready_and_claimed_in_one_work_needs_no_ticket() {
    let (run, tasks) = chain();
    let mut work = Work::new(NOW);
    work.give_tasks([tasks[0].clone()]);
    work.apply(key(0), &Event::Succeed(holder(3, "w")), 0.0).unwrap();
    settle_chain(&mut work, run, &tasks);
    work.apply(key(1), &Event::Start { by: holder(1, "w"), lease_until: NOW }, 0.0).unwrap();
    let settled = work.finish();
    assert!(settled.tickets.is_empty());
    assert_eq!(settled.moves.len(), 4, "succeeded, ready, skipped alarm, running: {:?}", settled.moves);
}

#[test]
fn the_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/states.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page::page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page::page(), "docs/states.md is out of date; UPDATE_GOLDEN=1 writes it");
}

#[test]
fn names_come_back() {
    for state in TaskState::ALL {
        assert_eq!(state.name().parse::<TaskState>().as_ref(), Ok(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
    for state in RunState::ALL {
        assert_eq!(state.name().parse::<RunState>().as_ref(), Ok(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
    assert!("done".parse::<TaskState>().is_err());
}

/// The rule said once more, over the list of endings instead of counters.
fn expected(run_if: RunIf, endings: &[Ending]) -> TaskState {
    let bad = endings.iter().any(|e| matches!(e, Ending::Failed | Ending::UpstreamFailed));
    let good = endings.contains(&Ending::Succeeded);
    let runs = match run_if {
        RunIf::AllSucceeded => endings.iter().all(|e| *e == Ending::Succeeded),
        RunIf::AllDone => true,
        RunIf::AnyFailed => bad,
        RunIf::AnySucceeded => good,
        RunIf::NoneFailed => !bad,
    };
    match (runs, bad) {
        (true, _) => TaskState::Ready,
        (false, true) => TaskState::UpstreamFailed,
        (false, false) => TaskState::Skipped,
    }
}

/// A task under way whose list is about to be known, its reader, and their run.
fn mapped(max_parallel: Option<u32>) -> (RunView, Vec<TaskView>) {
    let policy = Policy { max_parallel, retries: 1, ..Policy::default() };
    let before = Upstream { succeeded: 2, ..Upstream::default() };
    let parent = TaskView { upstream: before, policy, ..row(TaskState::Running) };
    let run = RunView { state: RunState::Running, ..RunView::first(key(0).run, 2) };
    (run, vec![parent, TaskView::first(key(1), 1, Policy::default())])
}

fn states_of(rows: &[TaskView]) -> Vec<TaskState> {
    rows.iter().map(|row| row.state).collect()
}

#[test]
fn a_list_becomes_tasks_of_which_some_wait_for_a_place() {
    use TaskState::{Blocked, Ready};
    for at_hand in [true, false] {
        let (run, tasks) = mapped(Some(2));
        let mut work = Work::new(NOW);
        work.give_tasks([tasks[0].clone()]);
        if at_hand {
            work.give_runs([run]).unwrap();
        }
        work.apply(key(0), &Event::Expand { by: holder(3, "w"), items: 5 }, 0.0).unwrap();
        let asked = settle_chain(&mut work, run, &tasks);
        assert_eq!(asked.len(), usize::from(!at_hand), "{asked:?}");
        let settled = work.finish();
        let parent = &settled.tasks[0].after;
        assert_eq!(
            (parent.state, parent.items, parent.upstream.pending, parent.upstream.succeeded),
            (Blocked, Some(5), 5, 2)
        );
        assert_eq!(states_of(&settled.born), [Ready, Ready, Blocked, Blocked, Blocked]);
        assert_eq!(settled.born.iter().map(|row| row.key.ordinal.0).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert!(settled.born.iter().all(|row| row.parent == Some(Ordinal(0)) && row.policy.retries == 1));
        assert_eq!(settled.tickets.len(), 2);
        let run = settled.runs[0].after;
        assert_eq!((run.tasks, run.tasks_left, run.state), (7, 7, RunState::Running));
        assert_eq!(settled.moves.len(), 3, "expanded, and two items opened: {:?}", settled.moves);
    }
}

#[test]
fn an_item_that_ends_gives_its_place_to_the_next_and_the_last_one_wakes_the_parent() {
    let (run, tasks) = mapped(Some(1));
    let parent = TaskView {
        state: TaskState::Blocked,
        items: Some(2),
        owner: None,
        lease_until: None,
        upstream: Upstream { pending: 2, ..Upstream::default() },
        ..tasks[0].clone()
    };
    let run = RunView { tasks: 4, tasks_left: 4, ..run };
    let running = |ordinal| TaskView {
        key: key(ordinal),
        parent: Some(Ordinal(0)),
        upstream: Upstream::default(),
        policy: Policy { run_if: RunIf::AllDone, ..parent.policy },
        ..row(TaskState::Running)
    };
    let mut work = Work::new(NOW);
    work.give_tasks([running(2)]);
    work.give_runs([run]).unwrap();
    work.apply(key(2), &Event::Fail { by: holder(3, "w"), retryable: false }, 0.0).unwrap();
    assert_eq!(work.wants(), Some(Want::Readers(vec![key(2)])));
    work.give_readers([(key(2), parent.clone())]).unwrap();
    assert_eq!(work.wants(), Some(Want::Items(vec![(key(0), 1)])));
    let held = parent.item(Ordinal(3), true);
    assert_eq!(work.give_items([held, parent.item(Ordinal(4), true)], 1).unwrap(), 0);
    assert_eq!(work.wants(), None);
    let settled = work.finish();
    assert_eq!(settled.tickets, [crate::id::Ticket { task: key(3), attempt: Attempt(1) }]);
    let parent = settled.tasks.iter().find(|row| row.after.key == key(0)).unwrap().after.clone();
    assert_eq!((parent.state, parent.upstream.pending, parent.upstream.failed), (TaskState::Blocked, 1, 1));

    // The last one: the parent is offered, whatever its `run_if` says, because it has items to judge.
    let mut work = Work::new(NOW);
    work.give_tasks([running(3)]);
    work.give_runs([RunView { tasks_left: 3, failed: 1, ..run }]).unwrap();
    work.apply(key(3), &Event::Succeed(holder(3, "w")), 0.0).unwrap();
    assert!(matches!(work.wants(), Some(Want::Readers(_))));
    work.give_readers([(key(3), parent)]).unwrap();
    assert!(matches!(work.wants(), Some(Want::Items(_))));
    let settled = work.finish();
    assert_eq!(settled.tickets, [crate::id::Ticket { task: key(0), attempt: Attempt(4) }]);
}

#[test]
fn a_list_is_known_once_and_never_empty() {
    let (_, tasks) = mapped(None);
    let expand = |row: &TaskView, items| decide(row, &Event::Expand { by: holder(3, "w"), items }, NOW, 0.0);
    assert!(expand(&tasks[0], 1).is_ok());
    assert!(matches!(expand(&tasks[0], 0), Err(IllegalMove::Counters { .. })));
    let known = TaskView { items: Some(3), ..tasks[0].clone() };
    assert!(matches!(expand(&known, 3), Err(IllegalMove::Counters { .. })));
    let item = TaskView { parent: Some(Ordinal(0)), ..tasks[0].clone() };
    assert!(matches!(expand(&item, 3), Err(IllegalMove::Counters { .. })), "items have no items");
}

#[test]
fn resumed_items_wait_for_places_again() {
    use TaskState::{Cancelled, Failed, Succeeded};
    let (_, tasks) = mapped(Some(2));
    let states = [Failed, Succeeded, Failed, Cancelled, Cancelled, Failed];
    let mut rows = vec![TaskView { items: Some(5), ..tasks[0].clone() }];
    rows.extend((1..6).map(|ordinal| tasks[0].item(Ordinal(ordinal), false)));
    let needs = [vec![1, 2, 3, 4, 5].into_iter().map(Ordinal).collect(), vec![], vec![], vec![], vec![], vec![]];
    let mut again = resets(&states, &needs);
    hold_back(&mut again, &rows);
    let pending: Vec<(u32, u32)> = again.iter().map(|reset| (reset.ordinal.0, reset.upstream.pending)).collect();
    assert_eq!(pending, [(0, 4), (2, 0), (3, 0), (4, 1), (5, 1)]);
    assert_eq!(again[0].upstream.succeeded, 1, "what succeeded stays");
}

proptest! {
    #[test]
    fn counters_say_what_the_list_of_endings_says(
        endings in proptest::collection::vec(proptest::sample::select(&ENDINGS[..]), 1..12),
        run_if in proptest::sample::select(&RULES[..]),
    ) {
        let policy = Policy { run_if, ..Policy::default() };
        let mut task = TaskView::first(key(0), u32::try_from(endings.len()).unwrap(), policy);
        for (heard, ending) in endings.iter().enumerate() {
            prop_assert_eq!(task.state, TaskState::Blocked);
            prop_assert_eq!(task.upstream.pending as usize, endings.len() - heard);
            task = decide(&task, &Event::UpstreamDone(*ending), NOW, 0.0).unwrap().task;
        }
        prop_assert_eq!(task.state, expected(run_if, &endings));
        prop_assert!(decide(&task, &Event::UpstreamDone(Ending::Succeeded), NOW, 0.0).is_err());
    }

    #[test]
    fn resets_count_every_task_before_once(
        picks in proptest::collection::vec((proptest::sample::select(TaskState::ALL), any::<u32>()), 0..14),
    ) {
        let ended = |state: TaskState| if state.is_finished() { state } else { TaskState::Cancelled };
        let states: Vec<_> = picks.iter().map(|(state, _)| ended(*state)).collect();
        let needs: Vec<Vec<Ordinal>> = picks.iter().enumerate()
            .map(|(n, (_, bits))| (0..n).filter(|b| bits >> b & 1 == 1).map(|b| Ordinal(u32::try_from(b).unwrap())).collect())
            .collect();
        let again = resets(&states, &needs);
        let goes: BTreeSet<u32> = again.iter().map(|reset| reset.ordinal.0).collect();
        for (n, state) in (0_u32..).zip(&states) {
            let behind = needs[n as usize].iter().any(|o| goes.contains(&o.0));
            let expected = match state {
                TaskState::Succeeded => false,
                TaskState::Skipped => behind,
                _ => true,
            };
            prop_assert_eq!(goes.contains(&n), expected, "{}", n);
        }
        for reset in again {
            let before = &needs[reset.ordinal.0 as usize];
            let Upstream { pending, succeeded, failed, skipped } = reset.upstream;
            prop_assert_eq!(failed, 0);
            prop_assert_eq!(pending as usize, before.iter().filter(|o| goes.contains(&o.0)).count());
            prop_assert_eq!((pending + succeeded + skipped) as usize, before.len());
        }
    }
}

#[test]
fn a_question_takes_answers_to_its_own_attempt_and_runs_out() {
    let asked = |on_expiry| TaskView { asks: Some(on_expiry), ..row(TaskState::Waiting) };
    for attempt in [2, 4] {
        let late = Event::Answer { by: holder(attempt, "ann"), approved: true };
        assert!(matches!(decide(&asked(OnExpiry::Fail), &late, NOW, 0.0), Err(IllegalMove::Fenced { .. })));
    }
    let ends = |on_expiry| decide(&asked(on_expiry), &Event::Due, NOW, 0.0).unwrap();
    assert_eq!(ends(OnExpiry::Fail).ended, Some(Ending::Failed));
    assert_eq!(ends(OnExpiry::Skip).ended, Some(Ending::Skipped));
    assert_eq!(ends(OnExpiry::Approve).ended, Some(Ending::Succeeded));
    let open = TaskView { wake_at: Some(Timestamp(NOW.0 + 1)), ..asked(OnExpiry::Approve) };
    assert!(matches!(decide(&open, &Event::Due, NOW, 0.0), Err(IllegalMove::TooEarly { .. })));
}

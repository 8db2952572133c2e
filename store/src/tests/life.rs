//! One run, one step at a time.

use std::time::Duration;

use serde_json::json;
use tidemill_dag::{
    id::{Attempt, Ticket},
    spec::RunIf,
    state::{RunState, TaskState},
    time::Clock,
};

use super::bed::{Bed, LEASE, drain, failure, key, report, success, worker};
use crate::{KnownWorker, NewWorker, Outcome, Report, TaskFailure};

pub async fn a_chain_runs_to_its_end(bed: &Bed) {
    let run = bed.run(&[&[], &[0], &[1]]).await;
    assert_eq!(bed.state(run).await, RunState::Running);
    assert_eq!(bed.states(run).await, [TaskState::Ready, TaskState::Blocked, TaskState::Blocked]);
    for ordinal in 0..3 {
        let claimed = bed.claim_one("w").await;
        assert_eq!(claimed.ticket, Ticket { task: key(run, ordinal), attempt: Attempt(1) });
        assert_eq!(claimed.name, format!("t{ordinal}"));
        assert_eq!(bed.task(run, ordinal).await.owner, Some(worker("w")));
        assert!(bed.complete(&claimed, "w", success()).await.accepted);
        bed.holds().await;
    }
    let done = bed.store.run(run).await.expect("a run");
    assert_eq!((done.state, done.tasks_left), (RunState::Succeeded, 0));
    assert!(done.finished_at.is_some());
    assert!(bed.tickets().await.is_empty());
    let events = bed.store.events(run, 0, 100).await.expect("events");
    let told: Vec<_> = events.iter().map(|it| (it.ordinal.map(|it| it.0), it.event.as_str(), it.to.as_str())).collect();
    assert_eq!(told[0], (None, "admit", "running"));
    assert_eq!(told[1], (Some(0), "open", "ready"));
    assert_eq!(told[2], (Some(0), "start", "running"));
    assert_eq!(told[3], (Some(0), "succeed", "succeeded"));
    assert_eq!(told[4], (Some(1), "upstream_done", "ready"));
    assert_eq!(told.last(), Some(&(None, "task_ended", "succeeded")));
    assert_eq!(events[2].owner, Some(worker("w")));
    let rest = bed.store.events(run, events[3].id, 2).await.expect("events");
    assert_eq!(rest, events[4..6]);
}

pub async fn a_failure_is_tried_again_and_then_fails(bed: &Bed) {
    let mut plan = bed.plan(&[&[]]);
    plan.tasks[0].retries = 1;
    let run = bed.store.create_run(plan).await.expect("a run").run;
    let first = bed.claim_one("w").await;
    assert!(bed.complete(&first, "w", failure(true)).await.accepted);
    let task = bed.task(run, 0).await;
    assert_eq!((task.state, task.failures), (TaskState::Waiting, 1));
    assert_eq!(task.error.as_ref().map(|error| error.message.as_str()), Some("it broke"));
    assert_eq!(bed.store.sweep().await.expect("a sweep").woken, 0, "not before its time");
    bed.clock.advance(Duration::from_secs(3));
    assert_eq!(bed.store.sweep().await.expect("a sweep").woken, 1);
    let second = bed.claim_one("w").await;
    assert_eq!((second.ticket.attempt, second.failures), (Attempt(2), 1));
    assert_eq!(second.ready_at, first.ready_at, "a retry keeps the moment of the first offer");
    assert!(bed.complete(&second, "w", failure(true)).await.accepted);
    let done = bed.store.run(run).await.expect("a run");
    assert_eq!((done.state, done.tasks_failed), (RunState::Failed, 1));
}

pub async fn what_was_parked_wakes_up(bed: &Bed) {
    use tidemill_dag::time::Clock;
    let run = bed.run(&[&[]]).await;
    let claimed = bed.claim_one("w").await;
    let wake_at = bed.clock.now().after(Duration::from_secs(60));
    let parked = Outcome::Parked { wake_at, reason: "no file yet".into() };
    assert!(bed.complete(&claimed, "w", parked).await.accepted);
    let task = bed.task(run, 0).await;
    assert_eq!((task.state, task.wake_at), (TaskState::Waiting, Some(wake_at)));
    assert_eq!(task.reason.as_deref(), Some("no file yet"));
    bed.clock.advance(Duration::from_secs(60));
    assert_eq!(bed.store.sweep().await.expect("a sweep").woken, 1);
    let again = bed.claim_one("w").await;
    assert_eq!((again.ticket.attempt, again.failures, again.ready_at), (Attempt(2), 0, claimed.ready_at));
    bed.complete(&again, "w", success()).await;
    assert_eq!(bed.task(run, 0).await.reason, None);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn a_skipped_task_skips_its_readers(bed: &Bed) {
    let mut plan = bed.plan(&[&[], &[0], &[0]]);
    plan.tasks[2].run_if = RunIf::NoneFailed;
    let run = bed.store.create_run(plan).await.expect("a run").run;
    let claimed = bed.claim_one("w").await;
    assert!(bed.complete(&claimed, "w", Outcome::Skipped { reason: "`when` is false".into() }).await.accepted);
    assert_eq!(bed.states(run).await, [TaskState::Skipped, TaskState::Skipped, TaskState::Ready]);
    assert_eq!(bed.work_off("w").await, 1);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn a_task_that_is_handed_back_goes_to_the_next(bed: &Bed) {
    let run = bed.run(&[&[]]).await;
    let claimed = bed.claim_one("leaving").await;
    assert!(bed.complete(&claimed, "leaving", Outcome::Cancelled).await.accepted);
    assert!(bed.complete(&claimed, "leaving", Outcome::Cancelled).await.accepted, "told again");
    let again = bed.claim_one("staying").await;
    assert_eq!(again.ticket.attempt, Attempt(2));
    assert!(!bed.complete(&claimed, "leaving", success()).await.accepted, "it gave the task away");
    assert!(bed.complete(&again, "staying", success()).await.accepted);
    let task = bed.task(run, 0).await;
    assert_eq!((task.failures, task.crashes), (0, 0));
}

pub async fn the_same_report_counts_once(bed: &Bed) {
    let run = bed.run(&[&[], &[0]]).await;
    let claimed = bed.claim_one("w").await;
    for _ in 0..3 {
        assert!(bed.complete(&claimed, "w", success()).await.accepted);
    }
    assert!(!bed.complete(&claimed, "w", failure(true)).await.accepted, "it said something else before");
    assert!(!bed.complete(&claimed, "other", success()).await.accepted);
    assert_eq!(bed.states(run).await, [TaskState::Succeeded, TaskState::Ready]);
    assert_eq!(bed.store.run(run).await.expect("a run").tasks_left, 1);
}

pub async fn a_stale_ticket_gets_nothing(bed: &Bed) {
    let run = bed.run(&[&[]]).await;
    let tickets = bed.tickets().await;
    let mut wrong = vec![Ticket { attempt: Attempt(7), ..tickets[0] }, Ticket { task: key(run, 9), ..tickets[0] }];
    wrong.push(Ticket { task: key(tidemill_dag::id::RunId(uuid::Uuid::nil()), 0), ..tickets[0] });
    assert!(bed.store.claim(&wrong, &worker("w"), LEASE).await.expect("a claim").is_empty());
    let twice = [tickets[0], tickets[0]];
    assert_eq!(bed.store.claim(&twice, &worker("w"), LEASE).await.expect("a claim").len(), 1);
    assert!(bed.store.claim(&tickets, &worker("v"), LEASE).await.expect("a claim").is_empty());
    let nobody = Report { ticket: wrong[2], owner: worker("w"), outcome: success(), run_next: None };
    assert!(!bed.store.complete(nobody).await.expect("a verdict").accepted);
}

pub async fn only_the_owner_reports(bed: &Bed) {
    let run = bed.run(&[&[]]).await;
    let claimed = bed.claim_one("owner").await;
    assert!(!bed.complete(&claimed, "other", success()).await.accepted);
    assert!(bed.store.still_current(claimed.ticket, &worker("owner")).await.expect("an answer"));
    assert!(!bed.store.still_current(claimed.ticket, &worker("other")).await.expect("an answer"));
    bed.clock.advance(LEASE);
    assert!(!bed.store.still_current(claimed.ticket, &worker("owner")).await.expect("an answer"));
    assert_eq!(bed.states(run).await, [TaskState::Running]);
}

pub async fn a_worker_goes_on_with_the_next_task(bed: &Bed) {
    let run = bed.run(&[&[], &[0], &[1], &[2], &[2]]).await;
    let mut claimed = bed.claim_one("w").await;
    for ordinal in 1..3 {
        let output = json!({ "result": ordinal });
        let report = Report {
            run_next: Some(LEASE.into()),
            ..report(&claimed, "w", Outcome::Succeeded { output: output.clone() })
        };
        claimed = bed.store.complete(report).await.expect("a verdict").next.expect("the next task");
        assert_eq!(claimed.ticket.task, key(run, ordinal));
        assert_eq!(claimed.upstream.len(), 1);
        assert_eq!(claimed.upstream[0].output, Some(output));
        assert!(drain(&bed.transport).await.is_empty(), "nobody else is asked");
        bed.holds().await;
    }
    let report = Report { run_next: Some(LEASE.into()), ..report(&claimed, "w", success()) };
    let verdict = bed.store.complete(report).await.expect("a verdict");
    assert_eq!(verdict.next, None, "two became ready");
    assert_eq!(bed.tickets().await.len(), 2);
}

pub async fn a_worker_that_repeats_itself_gets_the_same_next_task(bed: &Bed) {
    bed.run(&[&[], &[0], &[0, 1]]).await;
    let claimed = bed.claim_one("w").await;
    let report = Report { run_next: Some(LEASE.into()), ..report(&claimed, "w", success()) };
    let first = bed.store.complete(report.clone()).await.expect("a verdict");
    assert!(first.next.is_some());
    bed.clock.advance(Duration::from_millis(5));
    let again = bed.store.complete(report).await.expect("a verdict");
    assert_eq!(again, first);
}

pub async fn outputs_reach_their_readers(bed: &Bed) {
    bed.run(&[&[], &[], &[0, 1]]).await;
    for claimed in bed.claim("w").await {
        assert!(claimed.upstream.is_empty());
        let output = json!({ "manifest": { "task": claimed.name } });
        bed.complete(&claimed, "w", Outcome::Succeeded { output }).await;
    }
    let join = bed.claim_one("w").await;
    let told: Vec<_> = join.upstream.iter().map(|it| (it.ordinal.0, it.name.as_str(), it.output.clone())).collect();
    let output = |name: &str| Some(json!({ "manifest": { "task": name } }));
    assert_eq!(told, [(0, "t0", output("t0")), (1, "t1", output("t1"))]);
    assert_eq!(join.run.params, json!({ "day": "2026-05-28" }));
    assert_eq!(join.run.version.0, "version-of-p");
    bed.complete(&join, "w", success()).await;
    let world = bed.store.snapshot(None).await.expect("a snapshot");
    assert_eq!(world.data_sets.len(), 2);
}

pub async fn text_with_a_nul_is_stored(bed: &Bed) {
    let run = bed.run(&[&[], &[]]).await;
    let claimed = bed.claim("w").await;
    let error =
        TaskFailure { code: "TM0701".into(), message: "a\0b ' \" \\ ü 💧".into(), help: None, retryable: false };
    assert!(bed.complete(&claimed[0], "w", Outcome::Failed { error: error.clone() }).await.accepted);
    assert!(bed.complete(&claimed[1], "w", Outcome::Skipped { reason: "a\0b".into() }).await.accepted);
    assert_eq!(bed.task(run, 0).await.error, Some(error));
    assert_eq!(bed.task(run, 1).await.reason.as_deref(), Some("a\u{fffd}b"));
}

pub async fn workers_say_who_they_are(bed: &Bed) {
    let new = |id: &str, host: &str| NewWorker {
        id: worker(id),
        host: host.to_owned(),
        version: "0.1.0".to_owned(),
        queues: vec!["default".to_owned(), "gpu".to_owned()],
        labels: [("zone".to_owned(), "eu".to_owned())].into(),
        slots: 4,
        draining: false,
    };
    let (one, two) = (new("one", "b"), new("two", "a"));
    bed.store.greet(&one).await.expect("noted");
    bed.clock.advance(KnownWorker::SILENCE);
    bed.store.greet(&two).await.expect("noted");
    bed.run(&[&[], &[]]).await;
    assert_eq!(bed.claim("two").await.len(), 2);
    let all = bed.store.workers().await.expect("workers");
    assert_eq!(all.iter().map(|w| (&w.worker, w.running)).collect::<Vec<_>>(), [(&two, 2), (&one, 0)]);
    let now = bed.clock.now();
    assert_eq!(all.iter().map(|w| w.is_alive(now)).collect::<Vec<_>>(), [true, false]);
    let draining = NewWorker { draining: true, ..two };
    bed.store.greet(&draining).await.expect("noted");
    bed.store.leave(&one.id).await.expect("noted");
    let all = bed.store.workers().await.expect("workers");
    assert_eq!(all.iter().map(|w| &w.worker).collect::<Vec<_>>(), [&draining]);
    bed.clock.advance(Duration::from_secs(3 * 86_400));
    let (other, _) = bed.another().await;
    other.sweep().await.expect("a sweep");
    assert_eq!(bed.store.workers().await.expect("workers"), []);
}

//! Runs beside each other.

use futures::future::join_all;
use tidemill_dag::{
    spec::{Concurrency, OnOverlap},
    state::{RunState, TaskState},
};

use super::bed::{Bed, success};
use crate::{Created, NewRun};

fn limited(bed: &Bed, on_overlap: OnOverlap, max_runs: u32) -> NewRun {
    NewRun { concurrency: Concurrency { max_runs, on_overlap, max_tasks: None }, ..bed.plan(&[&[]]) }
}

async fn create(bed: &Bed, on_overlap: OnOverlap, max_runs: u32) -> Created {
    bed.store.create_run(limited(bed, on_overlap, max_runs)).await.expect("a run")
}

pub async fn queued_runs_start_in_turn(bed: &Bed) {
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(create(bed, OnOverlap::Queue, 1).await.run);
        bed.clock.advance(std::time::Duration::from_millis(1));
    }
    for (place, run) in runs.iter().enumerate() {
        assert_eq!(bed.state(*run).await, RunState::Running);
        for later in &runs[place + 1..] {
            assert_eq!(bed.state(*later).await, RunState::Queued);
        }
        let claimed = bed.claim_one("w").await;
        assert_eq!(claimed.ticket.task.run, *run);
        bed.complete(&claimed, "w", success()).await;
        bed.holds().await;
    }
}

pub async fn an_overlapping_run_is_skipped(bed: &Bed) {
    create(bed, OnOverlap::Skip, 1).await;
    let skipped = create(bed, OnOverlap::Skip, 1).await;
    assert_eq!(skipped.state, RunState::Cancelled);
    let run = bed.store.run(skipped.run).await.expect("a run");
    assert!(run.reason.is_some_and(|reason| reason.contains("was running")));
    assert_eq!(bed.states(skipped.run).await, [TaskState::Cancelled]);
    assert_eq!(bed.work_off("w").await, 1);
    assert_eq!(create(bed, OnOverlap::Skip, 1).await.state, RunState::Running);
}

pub async fn a_newer_run_takes_the_place(bed: &Bed) {
    let old = create(bed, OnOverlap::CancelRunning, 1).await.run;
    let held = bed.claim_one("w").await;
    let new = create(bed, OnOverlap::CancelRunning, 1).await;
    assert_eq!((bed.state(old).await, new.state), (RunState::Cancelled, RunState::Running));
    assert!(!bed.complete(&held, "w", success()).await.accepted, "its run was cancelled");
    // Both in one transaction: the second takes the place of the first.
    let pair = [limited(bed, OnOverlap::CancelRunning, 1), limited(bed, OnOverlap::CancelRunning, 1)];
    let made = join_all(pair.map(|run| bed.store.create_run(run))).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(bed.state(new.run).await, RunState::Cancelled);
    assert_eq!(bed.work_off("w").await, 1);
}

pub async fn runs_that_may_overlap_do(bed: &Bed) {
    for _ in 0..3 {
        assert_eq!(create(bed, OnOverlap::Allow, 1).await.state, RunState::Running);
    }
    assert_eq!(bed.work_off("w").await, 3);
}

pub async fn one_key_makes_one_run(bed: &Bed) {
    let (other, _) = bed.another().await;
    let keyed = |_| NewRun { trigger_key: Some("cron/0/1".into()), ..bed.plan(&[&[], &[0]]) };
    let plans: Vec<NewRun> = (0..40).map(keyed).collect();
    let made = join_all(plans.into_iter().enumerate().map(|(index, plan)| {
        let store = if index % 2 == 0 { &bed.store } else { &other };
        store.create_run(plan)
    }))
    .await;
    let made: Vec<Created> = made.into_iter().map(|created| created.expect("a run")).collect();
    assert_eq!(made.iter().filter(|created| !created.existed).count(), 1);
    assert!(made.iter().all(|created| created.run == made[0].run));
    bed.save("q").await;
    let elsewhere = NewRun { pipeline: "q".into(), version: bed.save("q").await, ..keyed(0) };
    assert!(!bed.store.create_run(elsewhere).await.expect("a run").existed, "keys belong to pipelines");
    let plan = bed.plan(&[&[]]);
    assert!(!bed.store.create_run(plan.clone()).await.expect("a run").existed);
    assert!(bed.store.create_run(plan).await.expect("a run").existed, "the same id is the same run");
}

pub async fn many_runs_at_once_keep_the_limit(bed: &Bed) {
    let (other, others_tickets) = bed.another().await;
    let plans: Vec<NewRun> = (0..30).map(|_| limited(bed, OnOverlap::Queue, 4)).collect();
    join_all(plans.into_iter().enumerate().map(|(index, plan)| {
        let store = if index % 2 == 0 { &bed.store } else { &other };
        store.create_run(plan)
    }))
    .await;
    let mut done = 0;
    while done < 30 {
        bed.holds().await;
        bed.store.sweep().await.expect("a sweep");
        let worked = bed.work_off("w").await;
        super::bed::drain(&others_tickets).await;
        bed.clock.advance(std::time::Duration::from_secs(6));
        assert!(worked > 0 || !bed.transport.is_empty() || bed.store.sweep().await.expect("a sweep").offered > 0);
        done += worked;
    }
}

pub async fn the_sweep_starts_what_may_start(bed: &Bed) {
    let first = create(bed, OnOverlap::Queue, 1).await.run;
    let second = create(bed, OnOverlap::Queue, 1).await.run;
    assert_eq!(bed.store.sweep().await.expect("a sweep").runs_started, 0);
    bed.store.cancel_run(first, "no longer needed").await.expect("a cancelled run");
    assert_eq!(bed.state(second).await, RunState::Running, "the place is given on at once");
    assert_eq!(bed.store.sweep().await.expect("a sweep").runs_started, 0);
    bed.store.cancel_run(second, "neither").await.expect("a cancelled run");
}

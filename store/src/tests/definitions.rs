//! Versions, schedules, lists, and what people do to runs.

use std::time::Duration;

use serde_json::json;
use tidemill_dag::{
    id::{Attempt, RunId, VersionId},
    spec::{Concurrency, OnOverlap},
    state::{RunState, TaskState, VersionState},
    time::{Clock, Timestamp},
};

use super::bed::{Bed, PIPELINE, failure, success, worker};
use crate::{NewRun, NewVersion, Page, RunFilter, StoreError, VersionRecord};

pub async fn versions_are_numbered_and_kept(bed: &Bed) {
    let version = |text: &str| NewVersion {
        pipeline: "sales".into(),
        id: VersionId(format!("hash of {text}")),
        source: text.into(),
        definition: json!({ "pipeline": "sales", "text": text }),
        origin: json!({ "request": "show me" }),
    };
    assert_eq!(bed.store.active("sales").await.expect("an answer"), None);
    let one = bed.store.save_version(version("one")).await.expect("a version");
    bed.clock.advance(Duration::from_secs(1));
    let two = bed.store.save_version(version("two")).await.expect("a version");
    let again = bed.store.save_version(version("one")).await.expect("a version");
    assert_eq!((one.number, two.number), (1, 2));
    assert_eq!(again, one, "the same definition is the same version");
    assert_eq!(bed.store.version(&two.id).await.expect("a version"), two);
    assert_eq!(bed.store.versions("sales").await.expect("versions"), [two.clone(), one.clone()]);
    bed.store.activate("sales", &two.id).await.expect("it is there");
    let two = VersionRecord { state: VersionState::Active, ..two };
    assert_eq!(bed.store.active("sales").await.expect("an answer"), Some(two.clone()));
    let stranger = bed.store.activate(PIPELINE, &two.id).await;
    assert!(matches!(stranger, Err(StoreError::NoVersion(_))), "{stranger:?}");
    let listed = bed.store.pipelines().await.expect("pipelines");
    let named: Vec<_> = listed.iter().map(|it| (it.name.as_str(), it.active.as_ref())).collect();
    assert_eq!(named, [(PIPELINE, None), ("sales", Some(&two.id))]);
}

pub async fn schedules_fire_each_moment_once(bed: &Bed) {
    assert_eq!(bed.store.schedule_state(PIPELINE, 0).await.expect("an answer"), None);
    bed.store.pass_schedule(PIPELINE, 0, Timestamp(5)).await.expect("noted");
    let fire = async |after, moment| {
        bed.store.fire_schedule(0, (Timestamp(after), Timestamp(moment)), bed.plan(&[&[]])).await.expect("an answer")
    };
    let first = fire(5, 10).await.expect("a run");
    let again = fire(5, 10).await.expect("the same run");
    assert_eq!((first.run, first.existed, again.existed), (again.run, false, true));
    let state = async || bed.store.schedule_state(PIPELINE, 0).await.expect("an answer").expect("a state");
    assert_eq!((state().await.through, state().await.last_run), (Timestamp(10), Some(first.run)));
    bed.store.pass_schedule(PIPELINE, 0, Timestamp(7)).await.expect("noted");
    assert_eq!(state().await.through, Timestamp(10), "time does not go back");
    // Who chose from an older state is too late: what it chose was dealt with, though by another run.
    assert_eq!(fire(5, 8).await, None);
    assert_eq!(fire(5, 12).await, None);
    assert_eq!(state().await.through, Timestamp(10));
    bed.store.pause_schedule(PIPELINE, 0, true).await.expect("paused");
    let since = state().await.paused_at.expect("a time");
    assert_eq!(fire(10, 12).await, None, "paused");
    bed.clock.advance(Duration::from_secs(5));
    bed.store.pause_schedule(PIPELINE, 0, true).await.expect("paused again");
    assert_eq!(state().await.paused_at, Some(since));
    bed.store.pause_schedule(PIPELINE, 0, false).await.expect("it goes on");
    assert!(fire(10, 12).await.is_some_and(|created| !created.existed));
    // One that nobody has looked at yet can be paused too.
    bed.store.pause_schedule(PIPELINE, 1, true).await.expect("paused");
    let fresh = (bed.clock.now(), bed.clock.now().after(Duration::from_secs(1)));
    assert_eq!(bed.store.fire_schedule(1, fresh, bed.plan(&[&[]])).await.expect("an answer"), None);
}

pub async fn runs_are_listed_page_by_page(bed: &Bed) {
    bed.save("q").await;
    let mut runs = Vec::new();
    for place in 0..7 {
        bed.clock.advance(Duration::from_millis(10));
        let version = if place == 3 { bed.save("q").await } else { VersionId("version-of-p".into()) };
        let pipeline = if place == 3 { "q" } else { PIPELINE };
        let plan = NewRun { pipeline: pipeline.into(), version, ..bed.plan(&[&[]]) };
        runs.push(bed.store.create_run(plan).await.expect("a run").run);
    }
    runs.reverse();
    let list = async |filter: RunFilter, page| -> Vec<RunId> {
        bed.store.runs(&filter, page).await.expect("runs").into_iter().map(|run| run.id).collect()
    };
    assert_eq!(list(RunFilter::default(), Page::default()).await, runs);
    assert_eq!(list(RunFilter::default(), Page { before: None, limit: 3 }).await, runs[..3]);
    assert_eq!(list(RunFilter::default(), Page { before: Some(runs[2]), limit: 3 }).await, runs[3..6]);
    let of_q = RunFilter { pipeline: Some("q".into()), states: Vec::new() };
    assert_eq!(list(of_q, Page::default()).await, runs[3..4]);
    bed.store.cancel_run(runs[0], "a test").await.expect("a cancelled run");
    let cancelled = RunFilter { pipeline: None, states: vec![RunState::Cancelled, RunState::Failed] };
    assert_eq!(list(cancelled, Page::default()).await, runs[..1]);
    let running = RunFilter { pipeline: Some(PIPELINE.into()), states: vec![RunState::Running] };
    assert_eq!(list(running, Page::default()).await.len(), 5);
}

pub async fn cancel_and_resume(bed: &Bed) {
    let run = bed.run(&[&[], &[0], &[1]]).await;
    let first = bed.claim_one("w").await;
    bed.complete(&first, "w", success()).await;
    let second = bed.claim_one("w").await;
    let cancelled = bed.store.cancel_run(run, "by hand").await.expect("a cancelled run");
    assert_eq!((cancelled.state, cancelled.reason.as_deref()), (RunState::Cancelled, Some("by hand")));
    assert_eq!(bed.states(run).await, [TaskState::Succeeded, TaskState::Cancelled, TaskState::Cancelled]);
    assert!(bed.store.heartbeat(&worker("w"), Duration::from_secs(6)).await.expect("a beat").is_empty());
    assert!(!bed.complete(&second, "w", success()).await.accepted);
    bed.store.cancel_run(run, "again").await.expect("nothing changes");
    bed.holds().await;
    let resumed = bed.store.resume_run(run).await.expect("a resumed run");
    assert_eq!((resumed.state, resumed.tasks_left, resumed.reason), (RunState::Running, 2, None));
    let again = bed.claim_one("w").await;
    assert_eq!(again.ticket.attempt, Attempt(2), "attempts never fall");
    assert_eq!(again.upstream[0].state, TaskState::Succeeded);
    bed.complete(&again, "w", failure(false)).await;
    assert_eq!(bed.state(run).await, RunState::Failed);
    bed.store.resume_run(run).await.expect("a resumed run");
    assert_eq!(bed.work_off("w").await, 2);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    for refused in [bed.store.resume_run(run).await, bed.store.cancel_run(run, "late").await] {
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    }
    assert!(bed.clock.now() > Timestamp(0));
}

pub async fn resume_waits_for_its_place(bed: &Bed) {
    let one_at_a_time = Concurrency { max_runs: 1, on_overlap: OnOverlap::Skip, max_tasks: None };
    let plan = || NewRun { concurrency: one_at_a_time.clone(), ..bed.plan(&[&[]]) };
    let first = bed.store.create_run(plan()).await.expect("a run").run;
    bed.store.cancel_run(first, "a test").await.expect("a cancelled run");
    let second = bed.store.create_run(plan()).await.expect("a run").run;
    bed.transport.clear();
    assert_eq!(bed.store.resume_run(first).await.expect("a resumed run").state, RunState::Queued);
    bed.store.cancel_run(second, "room").await.expect("a cancelled run");
    assert_eq!(bed.state(first).await, RunState::Running);
    assert_eq!(bed.work_off("w").await, 1);
}

pub async fn unknown_things_are_named(bed: &Bed) {
    let nobody = RunId(uuid::Uuid::nil());
    assert!(matches!(bed.store.run(nobody).await, Err(StoreError::NoRun(run)) if run == nobody));
    assert!(matches!(bed.store.cancel_run(nobody, "x").await, Err(StoreError::NoRun(_))));
    assert!(matches!(bed.store.resume_run(nobody).await, Err(StoreError::NoRun(_))));
    let plan = NewRun { pipeline: "unknown".into(), ..bed.plan(&[&[]]) };
    assert!(matches!(bed.store.create_run(plan).await, Err(StoreError::NoPipeline(name)) if name == "unknown"));
    let plan = NewRun { version: VersionId("unknown".into()), ..bed.plan(&[&[]]) };
    assert!(matches!(bed.store.create_run(plan).await, Err(StoreError::NoVersion(_))));
    assert!(bed.store.tasks(nobody).await.expect("none").is_empty());
}

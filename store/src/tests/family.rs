//! Runs that wait for runs, and runs whose time is over.

use std::time::Duration;

use tidemill_dag::{
    state::{RunState, TaskState},
    time::Clock as _,
};

use super::bed::{Bed, success};
use crate::{Bounds, NewRun, Outcome, desk::Fault};

const LATER: Duration = Duration::from_secs(3600);

async fn parked(bed: &Bed) -> (NewRun, crate::Claimed) {
    bed.run(&[&[], &[0]]).await;
    let waits = bed.claim_one("w").await;
    let bounds = Bounds { parent: Some(waits.ticket.task), depth: waits.run.depth + 1, ..Bounds::default() };
    let child = NewRun { bounds, trigger_key: Some("run/1".into()), ..bed.plan(&[&[]]) };
    (child, waits)
}

async fn park(bed: &Bed, waits: &crate::Claimed) {
    let wake_at = bed.clock.now().after(LATER);
    let outcome = Outcome::Parked { wake_at, reason: "waits for a run".into() };
    assert!(bed.complete(waits, "w", outcome).await.accepted);
}

pub async fn the_end_of_a_run_wakes_who_waits_for_it(bed: &Bed) {
    let (child, waits) = parked(bed).await;
    let child = bed.store.create_run(child).await.expect("a run").run;
    park(bed, &waits).await;
    bed.holds().await;
    assert_eq!(bed.store.run_of_key("p", "run/1").await.expect("a look").map(|run| run.id), Some(child));
    let work = bed.claim_one("w").await;
    assert_eq!(work.run.depth, 1);
    bed.complete(&work, "w", success()).await;
    assert_eq!(bed.state(child).await, RunState::Succeeded);
    let again = bed.claim_one("w").await;
    assert_eq!((again.ticket.task, again.ticket.attempt.0), (waits.ticket.task, 2), "woken long before its time");
    bed.complete(&again, "w", success()).await;
    bed.work_off("w").await;
    assert_eq!(bed.state(waits.run.id).await, RunState::Succeeded);
}

pub async fn a_cancelled_run_takes_along_whom_it_waits_for(bed: &Bed) {
    let (child, waits) = parked(bed).await;
    let child = bed.store.create_run(child).await.expect("a run").run;
    let free = bed.store.create_run(NewRun { bounds: Bounds { depth: 1, ..Bounds::default() }, ..bed.plan(&[&[]]) });
    let free = free.await.expect("a run").run;
    park(bed, &waits).await;
    let grandchild = {
        let work = bed.claim("w").await.into_iter().find(|it| it.run.id == child).expect("the child's task");
        let bounds = Bounds { parent: Some(work.ticket.task), depth: 2, ..Bounds::default() };
        bed.store.create_run(NewRun { bounds, ..bed.plan(&[&[]]) }).await.expect("a run").run
    };
    bed.store.cancel_run(waits.run.id, "enough").await.expect("a cancelled run");
    for run in [child, grandchild] {
        let record = bed.store.run(run).await.expect("a run");
        assert_eq!(record.state, RunState::Cancelled);
        assert_eq!(record.reason.as_deref(), Some("the run that started it was cancelled"));
    }
    assert_eq!(bed.state(free).await, RunState::Running, "nobody waits for it");
}

/// The process ends between the commit and what follows from it.
pub async fn the_sweep_does_what_was_left_undone(bed: &Bed) {
    let (child, waits) = parked(bed).await;
    let child = bed.store.create_run(child).await.expect("a run").run;
    park(bed, &waits).await;
    let work = bed.claim_one("w").await;
    bed.store.desk.fail_next(Fault::AfterCommit);
    assert!(bed.store.complete(super::bed::report(&work, "w", success())).await.is_err());
    assert_eq!((bed.state(child).await, bed.tickets().await.len()), (RunState::Succeeded, 0));
    bed.holds().await;
    bed.clock.advance(LATER);
    assert_eq!(bed.store.sweep().await.expect("a sweep").woken, 1, "nothing waits without a time");
    assert_eq!(bed.work_off("w").await, 2);

    let (orphan, waits) = parked(bed).await;
    bed.store.cancel_run(waits.run.id, "enough").await.expect("a cancelled run");
    // Its creation was on its way while the other run was cancelled.
    let orphan = NewRun { trigger_key: Some("run/2".into()), ..orphan };
    let orphan = bed.store.create_run(orphan).await.expect("a run").run;
    assert_eq!(bed.store.sweep().await.expect("a sweep").stopped, 1);
    assert_eq!(bed.state(orphan).await, RunState::Cancelled);
    bed.holds().await;
}

pub async fn a_run_is_late_and_then_out_of_time(bed: &Bed) {
    let minutes = |n: u64| Some(Duration::from_secs(n * 60));
    let bounds = Bounds { timeout: minutes(10), expect_within: minutes(5), ..Bounds::default() };
    let run = bed.store.create_run(NewRun { bounds, ..bed.plan(&[&[], &[0]]) }).await.expect("a run").run;
    let begun = bed.clock.now();
    bed.clock.advance(Duration::from_secs(299));
    bed.store.sweep().await.expect("a sweep");
    assert_eq!(bed.store.run(run).await.expect("a run").late_since, None);
    bed.clock.advance(Duration::from_secs(2));
    bed.store.sweep().await.expect("a sweep");
    let record = bed.store.run(run).await.expect("a run");
    assert_eq!(record.late_since, Some(begun.after(Duration::from_secs(300))));
    assert_eq!((record.state, record.deadline_at), (RunState::Running, Some(begun.after(Duration::from_secs(600)))));
    let held = bed.claim_one("w").await;
    bed.clock.advance(Duration::from_secs(300));
    let swept = bed.store.sweep().await.expect("a sweep");
    assert_eq!(swept.stopped, 1);
    let record = bed.store.run(run).await.expect("a run");
    assert_eq!((record.state, record.reason.as_deref()), (RunState::Cancelled, Some("its timeout passed")));
    assert!(!bed.complete(&held, "w", success()).await.accepted, "it comes too late");
    assert_eq!(bed.states(run).await, [TaskState::Cancelled; 2]);
    bed.holds().await;
    // A resumed run has all its time again.
    bed.store.resume_run(run).await.expect("a resumed run");
    let record = bed.store.run(run).await.expect("a run");
    assert_eq!(record.deadline_at, Some(bed.clock.now().after(Duration::from_secs(600))));
    assert_eq!(bed.store.sweep().await.expect("a sweep").stopped, 0);
    assert_eq!(bed.task(run, 0).await.ready_at, Some(bed.clock.now()), "and so have its tasks");
    bed.work_off("w").await;
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn people_are_told_and_their_absence_changes_nothing(bed: &Bed) {
    use tidemill_dag::spec::RunIf;
    for fails in [false, true] {
        let mut new = bed.plan(&[&[], &[0], &[0]]);
        for (task, run_if) in [(1, RunIf::NoneFailed), (2, RunIf::AnyFailed)] {
            (new.tasks[task].run_if, new.tasks[task].hook) = (run_if, true);
        }
        let run = bed.store.create_run(new).await.expect("a run").run;
        let only = bed.claim_one("w").await;
        bed.complete(&only, "w", if fails { super::bed::failure(false) } else { success() }).await;
        assert_eq!(bed.state(run).await, RunState::Running, "somebody is still to be told");
        let hook = bed.claim_one("w").await;
        assert_eq!(hook.name, if fails { "t2" } else { "t1" });
        bed.complete(&hook, "w", super::bed::failure(false)).await;
        let record = bed.store.run(run).await.expect("a run");
        let (state, failed) = if fails { (RunState::Failed, 1) } else { (RunState::Succeeded, 0) };
        assert_eq!((record.state, record.tasks_failed), (state, failed));
        bed.holds().await;
    }
}

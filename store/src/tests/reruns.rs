//! Runs that do parts of earlier ones again.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;
use tidemill_dag::{
    id::RunId,
    spec::{Concurrency, OnOverlap},
    state::{RunState, Taken, TaskState},
};

use super::bed::{Bed, failure, success};
use crate::{
    NewRun, Outcome, Retention, StoreError,
    blobs::{Blobs, Folder},
};

/// A chain of three whose first is taken over and whose second runs.
fn again(bed: &Bed, earlier: RunId, output: serde_json::Value) -> NewRun {
    let mut run = NewRun { rerun_of: Some(earlier), ..bed.plan(&[&[], &[0], &[1]]) };
    run.tasks[0].taken = Some(Taken::Succeeded);
    run.tasks[0].output = Some(output);
    run.tasks[2].taken = Some(Taken::Skipped);
    run
}

pub async fn a_rerun_takes_over_what_it_does_not_do(bed: &Bed) {
    let earlier = bed.run(&[&[], &[0], &[1]]).await;
    let early = bed.store.create_run(again(bed, earlier, json!({}))).await;
    assert!(matches!(early, Err(StoreError::NotOver(run)) if run == earlier), "{early:?}");
    bed.work_off("w").await;
    let output = json!({"result": 7});
    let run = bed.store.create_run(again(bed, earlier, output.clone())).await.expect("a run").run;
    assert_eq!(bed.store.run(run).await.expect("a run").rerun_of, Some(earlier));
    let claimed = bed.claim_one("w").await;
    assert_eq!((claimed.ticket.task.run, claimed.name.as_str()), (run, "t1"), "only the second is done");
    let before = &claimed.upstream[0];
    assert_eq!(
        (before.state, before.output.as_ref()),
        (TaskState::Succeeded, Some(&output)),
        "it finds what was given"
    );
    bed.complete(&claimed, "w", success()).await;
    assert_eq!(bed.states(run).await, [TaskState::Succeeded, TaskState::Succeeded, TaskState::Skipped]);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    assert!(bed.task(run, 0).await.started_at.is_none(), "nobody did it");
    let none = bed.store.create_run(again(bed, bed.plan(&[]).id, json!({}))).await;
    assert!(matches!(none, Err(StoreError::NoRun(_))), "{none:?}");
}

/// It waits for its place, fails, and goes on: what was taken over stays taken over.
pub async fn a_rerun_is_queued_fails_and_goes_on(bed: &Bed) {
    let earlier = bed.run(&[&[], &[0], &[1]]).await;
    bed.work_off("w").await;
    let concurrency = Concurrency { max_runs: 1, on_overlap: OnOverlap::Queue, ..Concurrency::default() };
    let blocker = NewRun { concurrency: concurrency.clone(), ..bed.plan(&[&[]]) };
    bed.store.create_run(blocker).await.expect("a run");
    let queued = NewRun { concurrency, ..again(bed, earlier, json!({"result": 1})) };
    let run = bed.store.create_run(queued).await.expect("a run").run;
    assert_eq!((bed.state(run).await, bed.states(run).await), (RunState::Queued, vec![TaskState::Blocked; 3]));
    let blocker = bed.claim_one("w").await;
    bed.complete(&blocker, "w", success()).await;
    let claimed = bed.claim_one("w").await;
    bed.complete(&claimed, "w", failure(false)).await;
    assert_eq!(bed.state(run).await, RunState::Failed);
    assert_eq!(bed.states(run).await, [TaskState::Succeeded, TaskState::Failed, TaskState::Skipped]);
    bed.store.resume_run(run).await.expect("it goes on");
    let claimed = bed.claim_one("w").await;
    assert_eq!((claimed.name.as_str(), claimed.upstream[0].output.as_ref()), ("t1", Some(&json!({"result": 1}))));
    bed.complete(&claimed, "w", success()).await;
    assert_eq!(bed.states(run).await, [TaskState::Succeeded, TaskState::Succeeded, TaskState::Skipped]);
}

/// The data set of the earlier run stays as long as the later one.
pub async fn what_a_rerun_takes_over_is_not_removed(bed: &Bed) {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const GRACE: Duration = Duration::from_secs(3_600);
    let kept = Retention { datasets: Some(DAY), logs: None, events: None, grace: GRACE };
    let folder = TempDir::new().expect("a folder");
    let blobs = Folder::open(folder.path()).await.expect("it opens");
    let earlier = bed.run(&[&[]]).await;
    let file = format!("runs/{earlier}/t0/1/part-00000.parquet");
    blobs.put(&file, Bytes::from_static(b"rows")).await.expect("a file");
    let output = json!({"manifest": {"files": [{"path": file}], "rows": 1}});
    let claimed = bed.claim_one("w").await;
    bed.complete(&claimed, "w", Outcome::Succeeded { output: output.clone() }).await;
    bed.clock.advance(DAY + GRACE);
    let marked = bed.store.collect(&blobs, kept, false).await.expect("a collection");
    assert_eq!(marked.runs_marked, 1);
    // Marked, but not removed yet: a re-run takes the mark back.
    let run = bed.store.create_run(again(bed, earlier, output)).await.expect("a run").run;
    bed.work_off("w").await;
    for _ in 0..3 {
        bed.clock.advance(GRACE);
        bed.store.collect(&blobs, kept, false).await.expect("a collection");
        assert!(blobs.size(&file).await.is_ok(), "it is lent to {run}");
    }
    // Once the later run is old too, both go; then nothing is left to take over.
    for _ in 0..6 {
        bed.clock.advance(DAY);
        bed.store.collect(&blobs, kept, false).await.expect("a collection");
    }
    assert!(blobs.size(&file).await.is_err(), "nobody names it any more");
    let late = bed.store.create_run(again(bed, earlier, json!({}))).await;
    assert!(matches!(late, Err(StoreError::Removed(_))), "{late:?}");
}

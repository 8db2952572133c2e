//! News along the edges.

use tidemill_dag::{
    spec::RunIf,
    state::{RunState, TaskState},
};

use super::bed::{Bed, failure, success};
use crate::StoreError;

/// One root that fails, and below it a grid whose every task needs two of the row above.
pub async fn bad_news_runs_down_ten_thousand_tasks(bed: &Bed) {
    const WIDTH: u32 = 100;
    let needs: Vec<Vec<u32>> = (0..10_000_u32)
        .map(|task| match task {
            0 => Vec::new(),
            1..=WIDTH => vec![0],
            task => vec![task - WIDTH, if (task - 1) % WIDTH == 0 { task - 1 } else { task - WIDTH - 1 }],
        })
        .collect();
    let needs: Vec<&[u32]> = needs.iter().map(Vec::as_slice).collect();
    let run = bed.run(&needs).await;
    let claimed = bed.claim_one("w").await;
    let since = std::time::Instant::now();
    assert!(bed.complete(&claimed, "w", failure(false)).await.accepted);
    println!("timed: 10,000 tasks told in {:?}", since.elapsed());
    let counts = bed.count(run).await;
    assert_eq!(counts[&TaskState::UpstreamFailed], 9_999);
    assert_eq!(bed.state(run).await, RunState::Failed);
    assert!(bed.tickets().await.is_empty());
}

pub async fn bad_news_runs_down_a_long_chain(bed: &Bed) {
    let needs: Vec<Vec<u32>> = (0..2_000_u32).map(|task| task.checked_sub(1).into_iter().collect()).collect();
    let needs: Vec<&[u32]> = needs.iter().map(Vec::as_slice).collect();
    let run = bed.run(&needs).await;
    let claimed = bed.claim_one("w").await;
    assert!(bed.complete(&claimed, "w", failure(false)).await.accepted);
    assert_eq!(bed.count(run).await[&TaskState::UpstreamFailed], 1_999);
    bed.store.resume_run(run).await.expect("a resumed run");
    assert_eq!(bed.work_off("w").await, 2_000);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn a_join_waits_for_all(bed: &Bed) {
    let before: Vec<u32> = (0..50).collect();
    let mut needs: Vec<&[u32]> = vec![&[]; 50];
    needs.push(&before);
    let run = bed.run(&needs).await;
    let claimed = bed.claim("w").await;
    assert_eq!(claimed.len(), 50);
    let (last, rest) = claimed.split_last().expect("claims");
    let reports = rest.iter().map(|task| bed.complete(task, "w", success()));
    assert!(futures::future::join_all(reports).await.iter().all(|verdict| verdict.accepted));
    assert_eq!((bed.task(run, 50).await.state, bed.task(run, 50).await.pending), (TaskState::Blocked, 1));
    bed.complete(last, "w", success()).await;
    assert_eq!(bed.claim_one("w").await.upstream.len(), 50);
}

pub async fn a_cleanup_runs_after_a_failure(bed: &Bed) {
    let mut plan = bed.plan(&[&[], &[0], &[1], &[0]]);
    plan.tasks[2].run_if = RunIf::AllDone;
    plan.tasks[3].run_if = RunIf::AnyFailed;
    let run = bed.store.create_run(plan).await.expect("a run").run;
    let claimed = bed.claim_one("w").await;
    bed.complete(&claimed, "w", failure(false)).await;
    let states = [TaskState::Failed, TaskState::UpstreamFailed, TaskState::Ready, TaskState::Ready];
    assert_eq!(bed.states(run).await, states);
    assert_eq!(bed.work_off("w").await, 2);
    assert_eq!(bed.state(run).await, RunState::Failed);
}

pub async fn a_run_without_tasks_is_done(bed: &Bed) {
    let run = bed.run(&[]).await;
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    // Nothing stands before it, so nothing can have failed.
    let mut plan = bed.plan(&[&[], &[0]]);
    plan.tasks[0].run_if = RunIf::AnyFailed;
    let run = bed.store.create_run(plan).await.expect("a run").run;
    assert_eq!(bed.states(run).await, [TaskState::Skipped, TaskState::Skipped]);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn a_plan_out_of_order_is_refused(bed: &Bed) {
    for needs in [&[&[1][..], &[]][..], &[&[0]], &[&[7]]] {
        let refused = bed.store.create_run(bed.plan(needs)).await;
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    }
    let doubled = bed.store.create_run(bed.plan(&[&[], &[0, 0]])).await;
    assert!(matches!(doubled, Err(StoreError::Refused { .. })), "{doubled:?}");
}

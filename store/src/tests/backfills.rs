//! Backfills: each partition once, whatever breaks, and whoever drives.

use std::collections::BTreeSet;

use serde_json::json;
use tidemill_dag::{
    backfill::{BackfillEvent, BackfillState, PartitionState, Reprocess},
    id::{RunId, VersionId},
    spec::{Concurrency, OnOverlap, Priority},
    state::RunState,
    time::Timestamp,
};

use super::bed::{Bed, PIPELINE, failure, success};
use crate::{Created, Interval, NewBackfill, NewRun, Store, StoreError, TriggerKind, desk::Fault};

const HOUR: i64 = 3_600_000_000;

fn hours(count: i64) -> Vec<Interval> {
    (0..count).map(|n| Interval { start: Timestamp(n * HOUR), end: Timestamp((n + 1) * HOUR) }).collect()
}

fn asked(id: &str, count: i64) -> NewBackfill {
    NewBackfill {
        id: id.into(),
        pipeline: PIPELINE.into(),
        version: VersionId(format!("version-of-{PIPELINE}")),
        range: Interval { start: Timestamp(0), end: Timestamp(count * HOUR) },
        cut: "1h".into(),
        intervals: hours(count),
        newest_first: false,
        parallel: 2,
        reprocess: Reprocess::None,
        params: json!({}),
        created_by: Some("ann".into()),
    }
}

fn run_for(bed: &Bed, interval: Interval) -> NewRun {
    let concurrency = Concurrency { on_overlap: OnOverlap::Queue, ..Concurrency::default() };
    let (trigger, priority) = (TriggerKind::Backfill, Priority::Low);
    NewRun { interval: Some(interval), concurrency, trigger, priority, ..bed.plan(&[&[]]) }
}

/// What a scheduler does in one look; what fails is left to the next.
async fn turn(bed: &Bed, store: &Store, id: &str) -> Vec<Result<Created, StoreError>> {
    let (_, turns) = store.backfill_turns(id).await.expect("turns");
    let mut made = Vec::new();
    for it in turns {
        made.push(store.start_partition(id, it.place, run_for(bed, it.interval)).await);
    }
    made
}

async fn states(bed: &Bed, id: &str) -> Vec<PartitionState> {
    bed.store.partitions(id, 0, 10_000).await.expect("partitions").iter().map(|it| it.state).collect()
}

pub async fn a_backfill_runs_each_partition_in_order(bed: &Bed) {
    use PartitionState::{Pending, Queued, Running, Succeeded};
    let made = bed.store.create_backfill(&asked("b", 5)).await.expect("a backfill");
    assert_eq!((made.state, made.progress.pending, made.progress.total()), (BackfillState::Running, 5, 5));
    let again = bed.store.create_backfill(&asked("b", 9)).await.expect("the same one");
    assert_eq!(again.progress.total(), 5, "asking twice makes one");
    assert_eq!(turn(bed, &bed.store, "b").await.len(), 2, "two at once");
    assert_eq!(turn(bed, &bed.store, "b").await.len(), 0);
    assert_eq!(states(bed, "b").await, [Running, Running, Pending, Pending, Pending]);
    let claimed = bed.claim("w").await;
    assert_eq!(claimed[0].run.interval, Some(hours(5)[0]));
    bed.complete(&claimed[0], "w", success()).await;
    assert_eq!(turn(bed, &bed.store, "b").await.len(), 1);
    assert_eq!(states(bed, "b").await, [Succeeded, Running, Running, Pending, Pending]);
    bed.complete(&claimed[1], "w", success()).await;
    while bed.work_off("w").await + turn(bed, &bed.store, "b").await.len() > 0 {}
    assert_eq!(states(bed, "b").await, [Succeeded; 5]);
    assert_eq!(bed.store.backfill("b").await.expect("it").state, BackfillState::Done);
    assert_eq!(bed.store.backfills_alive().await.expect("none"), Vec::<String>::new());
    assert!(!states(bed, "b").await.contains(&Queued));
}

pub async fn a_backfill_repeats_only_what_is_asked_for(bed: &Bed) {
    use PartitionState::{Pending, Skipped};
    bed.store.create_backfill(&asked("first", 3)).await.expect("a backfill");
    turn(bed, &bed.store, "first").await;
    let claimed = bed.claim("w").await;
    bed.complete(&claimed[0], "w", success()).await;
    bed.complete(&claimed[1], "w", failure(false)).await;
    let with = |id, reprocess, newest_first| NewBackfill { reprocess, newest_first, ..asked(id, 4) };
    bed.store.create_backfill(&with("none", Reprocess::None, false)).await.expect("a backfill");
    assert_eq!(states(bed, "none").await, [Skipped, Skipped, Pending, Pending]);
    bed.store.create_backfill(&with("failed", Reprocess::Failed, true)).await.expect("a backfill");
    assert_eq!(states(bed, "failed").await, [Pending, Pending, Pending, Skipped], "newest first");
    bed.store.create_backfill(&with("all", Reprocess::All, false)).await.expect("a backfill");
    assert_eq!(states(bed, "all").await, [Pending; 4]);
    let preview = bed.store.preview_backfill(PIPELINE, &hours(4), Reprocess::Failed).await.expect("a preview");
    assert_eq!(preview, [false, true, true, true]);
    assert_eq!(bed.store.backfills(Some(PIPELINE), None, 10).await.expect("all of them").len(), 4);
}

pub async fn a_backfill_is_paused_resumed_and_cancelled(bed: &Bed) {
    bed.store.create_backfill(&asked("b", 6)).await.expect("a backfill");
    turn(bed, &bed.store, "b").await;
    bed.store.move_backfill("b", BackfillEvent::Pause).await.expect("paused");
    bed.work_off("w").await;
    assert_eq!(turn(bed, &bed.store, "b").await.len(), 0, "what runs ends, nothing new begins");
    let late = bed.store.start_partition("b", 2, run_for(bed, hours(6)[2])).await;
    assert!(matches!(late, Err(StoreError::BackfillMove { .. })), "{late:?}");
    bed.store.move_backfill("b", BackfillEvent::Resume).await.expect("resumed");
    assert_eq!(turn(bed, &bed.store, "b").await.len(), 2);
    let cancelled = bed.store.move_backfill("b", BackfillEvent::Cancel).await.expect("cancelled");
    let progress = cancelled.progress;
    assert_eq!((progress.succeeded, progress.cancelled, progress.pending), (2, 2, 2));
    assert_eq!(turn(bed, &bed.store, "b").await.len(), 0);
    let again = bed.store.move_backfill("b", BackfillEvent::Resume).await;
    assert!(matches!(again, Err(StoreError::BackfillMove { .. })));
    assert!(matches!(bed.store.backfill("no").await, Err(StoreError::NoBackfill(_))));
}

/// The process ends before or after every single commit, on every step of the way.
pub async fn a_crash_between_any_two_steps_loses_and_doubles_nothing(bed: &Bed) {
    let faults = [None, Some(Fault::BeforeCommit), Some(Fault::AfterCommit)];
    bed.store.create_backfill(&asked("b", 12)).await.expect("a backfill");
    let mut made = BTreeSet::new();
    let mut step = 0;
    while bed.store.backfill("b").await.expect("it").state != BackfillState::Done {
        let (_, turns) = bed.store.backfill_turns("b").await.expect("turns");
        for it in turns {
            let fault = faults[step % 3];
            step += 1;
            if let Some(fault) = fault {
                bed.store.desk.fail_next(fault);
            }
            let created = bed.store.start_partition("b", it.place, run_for(bed, it.interval)).await;
            assert_eq!(created.is_err(), fault.is_some(), "{created:?}");
            made.extend(created.ok().map(|created| created.run));
        }
        // Tickets that were not sent are sent by the sweep.
        bed.clock.advance(std::time::Duration::from_secs(10));
        bed.store.sweep().await.expect("a sweep");
        bed.work_off("w").await;
        assert!(step < 200, "it does not end");
    }
    let partitions = bed.store.partitions("b", 0, 100).await.expect("partitions");
    let runs: BTreeSet<RunId> = partitions.iter().filter_map(|it| it.run).collect();
    assert_eq!((partitions.len(), runs.len()), (12, 12), "one run for each");
    assert!(made.iter().all(|run| runs.contains(run)));
    let all = bed.store.runs(&Default::default(), Default::default()).await.expect("runs");
    assert_eq!(all.len(), 12, "and no other");
}

/// Three processes drive the same backfill.
pub async fn many_schedulers_make_one_run_each(bed: &Bed) {
    bed.store.create_backfill(&NewBackfill { parallel: 7, ..asked("b", 40) }).await.expect("a backfill");
    let others = [bed.another().await.0, bed.another().await.0, bed.another().await.0];
    let mut rounds = 0;
    while bed.store.backfill("b").await.expect("it").state != BackfillState::Done {
        let (one, two, three) =
            tokio::join!(turn(bed, &others[0], "b"), turn(bed, &others[1], "b"), turn(bed, &others[2], "b"));
        for created in [one, two, three].concat() {
            created.expect("a run, new or there already");
        }
        let under_way = bed.store.backfill("b").await.expect("it").progress.under_way();
        assert!(under_way <= 7, "{under_way} at once");
        bed.store.sweep().await.expect("a sweep");
        for store in &others {
            store.sweep().await.expect("a sweep");
        }
        bed.clock.advance(std::time::Duration::from_secs(30));
        bed.store.sweep().await.expect("a sweep");
        bed.work_off("w").await;
        rounds += 1;
        assert!(rounds < 200, "it does not end");
    }
    let runs = bed.store.runs(&Default::default(), Default::default()).await.expect("runs");
    assert_eq!(runs.len(), 40);
    assert!(runs.iter().all(|run| run.state == RunState::Succeeded));
}

/// A run that the clock asks for goes before the backfill's.
pub async fn live_runs_go_before_a_backfill(bed: &Bed) {
    let one = Concurrency { max_runs: 1, ..Concurrency::default() };
    bed.store.create_backfill(&asked("b", 4)).await.expect("a backfill");
    let (_, turns) = bed.store.backfill_turns("b").await.expect("turns");
    for it in turns {
        let run = NewRun { concurrency: one.clone(), ..run_for(bed, it.interval) };
        bed.store.start_partition("b", it.place, run).await.expect("a run");
    }
    let live = NewRun { concurrency: one, ..bed.plan(&[&[]]) };
    let live = bed.store.create_run(live).await.expect("a run").run;
    let mut order = Vec::new();
    while let Some(task) = bed.claim("w").await.pop() {
        order.push((task.run.id == live, task.run.trigger));
        bed.complete(&task, "w", success()).await;
    }
    assert_eq!(order[..2], [(false, TriggerKind::Backfill), (true, TriggerKind::Manual)], "{order:?}");
}

//! `for_each`: a list becomes tasks, and the task waits for them.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tidemill_dag::{
    id::RunId,
    state::{RunState, TaskState},
};

use super::bed::{Bed, LEASE, drain, failure, key, report, success, worker};
use crate::{Claimed, NewRun, Outcome, Report, desk::Fault};

fn numbers(count: usize) -> Outcome {
    Outcome::Expanded { items: (0..count).map(|n| json!({ "n": n })).collect() }
}

/// A run of `before`, `each` (a list behind it) and `after`.
fn plan(bed: &Bed, max_parallel: Option<u32>) -> NewRun {
    let mut new = bed.plan(&[&[], &[0], &[1]]);
    new.tasks[1].max_parallel = max_parallel;
    new
}

/// Such a run, with the list of `each` just reported.
async fn expanded(bed: &Bed, items: usize, max_parallel: Option<u32>) -> RunId {
    let run = bed.store.create_run(plan(bed, max_parallel)).await.expect("a run").run;
    let first = bed.claim_one("w").await;
    bed.complete(&first, "w", Outcome::Succeeded { output: json!({ "result": 7 }) }).await;
    let each = bed.claim_one("w").await;
    assert_eq!((each.items, each.item.as_ref()), (None, None));
    assert!(bed.complete(&each, "w", numbers(items)).await.accepted);
    bed.holds().await;
    run
}

/// What the collecting attempt is told of its items.
fn told(each: &Claimed) -> Vec<(u32, TaskState, Value)> {
    let items = each.upstream.iter().filter(|task| task.index.is_some());
    items.map(|task| (task.index.unwrap_or(0), task.state, task.output.clone().unwrap_or_default())).collect()
}

pub async fn a_list_is_worked_off_and_collected(bed: &Bed) {
    let run = expanded(bed, 3, None).await;
    let tasks = bed.store.tasks(run).await.expect("tasks");
    assert_eq!(tasks.len(), 3, "items are no tasks of the plan");
    assert_eq!(tasks[1].state, TaskState::Blocked);
    assert_eq!(tasks[1].items.as_ref().map(|items| (items.total, items.of(TaskState::Ready))), Some((3, 3)));
    let items = bed.claim("w").await;
    assert_eq!(items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["t1[0]", "t1[1]", "t1[2]"]);
    for item in items.iter().rev() {
        let of = item.item.as_ref().expect("an item");
        assert_eq!((of.of.0, &of.value), (1, &json!({ "n": of.index })));
        assert!(item.upstream.is_empty());
        let before = bed.store.upstream(key(run, of.of.0)).await.expect("what is before");
        assert_eq!(before.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["t0"]);
        bed.complete(item, "w", Outcome::Succeeded { output: json!({ "result": of.index * 10 }) }).await;
    }
    let each = bed.claim_one("w").await;
    assert_eq!((each.name.as_str(), each.items, each.ticket.attempt.0), ("t1", Some(3), 2));
    let results: Vec<Value> = told(&each).into_iter().map(|(_, _, output)| output["result"].clone()).collect();
    assert_eq!(results, [json!(0), json!(10), json!(20)], "in the order of the list");
    bed.complete(&each, "w", success()).await;
    assert_eq!(bed.work_off("w").await, 1);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    let record = bed.store.run(run).await.expect("a run");
    assert_eq!((record.tasks_total, record.tasks_left), (6, 0));
    let page = bed.store.items(key(run, 1), 1, 10, &[TaskState::Succeeded]).await.expect("items");
    assert_eq!(page.iter().map(|task| task.index).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(bed.store.edges(run).await.expect("edges").len(), 2, "edges of the plan");
    bed.holds().await;
}

pub async fn no_more_items_run_at_once_than_may(bed: &Bed) {
    let run = expanded(bed, 7, Some(2)).await;
    let (mut seen, mut most) = (Vec::new(), 0);
    loop {
        let claimed = bed.claim("w").await;
        most = most.max(claimed.len());
        for task in &claimed {
            match &task.item {
                Some(item) => seen.push(item.index),
                None => assert_eq!(seen.len(), 7, "{} came before its items", task.name),
            }
        }
        if claimed.is_empty() {
            break;
        }
        // All that were claimed end in one transaction.
        let reports = claimed.iter().map(|task| bed.store.complete(report(task, "w", success())));
        assert!(join_all(reports).await.into_iter().all(|verdict| verdict.expect("a verdict").accepted));
        bed.holds().await;
    }
    assert_eq!((most, seen), (2, (0..7).collect()));
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn a_resume_repeats_only_what_failed(bed: &Bed) {
    let run = expanded(bed, 5, Some(2)).await;
    let mut done = 0;
    while done < 5 {
        for item in bed.claim("w").await {
            let outcome =
                if item.item.as_ref().is_some_and(|it| it.index % 2 == 1) { failure(false) } else { success() };
            bed.complete(&item, "w", outcome).await;
            done += 1;
        }
    }
    let each = bed.claim_one("w").await;
    let failed = told(&each).iter().filter(|(_, state, _)| *state == TaskState::Failed).count();
    assert_eq!(failed, 2);
    bed.complete(&each, "w", failure(false)).await;
    assert_eq!(bed.state(run).await, RunState::Failed);
    bed.holds().await;
    bed.store.resume_run(run).await.expect("a resumed run");
    bed.holds().await;
    let again = bed.claim("w").await;
    assert_eq!(again.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["t1[1]", "t1[3]"]);
    for item in &again {
        bed.complete(item, "w", success()).await;
    }
    let each = bed.claim_one("w").await;
    assert_eq!((each.items, told(&each).len()), (Some(5), 5), "the list is not asked for again");
    bed.complete(&each, "w", success()).await;
    bed.work_off("w").await;
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    bed.holds().await;
}

pub async fn a_cancelled_run_takes_its_items_along(bed: &Bed) {
    let run = expanded(bed, 4, Some(2)).await;
    let held = bed.claim("w").await;
    bed.store.cancel_run(run, "enough").await.expect("a cancelled run");
    bed.holds().await;
    let items = bed.store.items(key(run, 1), 0, 10, &[TaskState::Cancelled]).await.expect("items");
    assert_eq!(items.len(), 4);
    assert!(!bed.complete(&held[0], "w", success()).await.accepted, "it comes too late");
    bed.store.resume_run(run).await.expect("a resumed run");
    bed.holds().await;
    assert_eq!(bed.work_off("w").await, 4 + 2, "items, the list's task, and the one behind it");
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    bed.holds().await;
}

/// The process ends before the commit or right behind it; the worker tells it again.
pub async fn a_list_is_stored_once_or_not_at_all(bed: &Bed) {
    for fault in [Fault::BeforeCommit, Fault::AfterCommit] {
        let run = bed.store.create_run(plan(bed, Some(3))).await.expect("a run").run;
        let first = bed.claim_one("w").await;
        bed.complete(&first, "w", success()).await;
        let each = bed.claim_one("w").await;
        bed.store.desk.fail_next(fault);
        assert!(bed.store.complete(report(&each, "w", numbers(9))).await.is_err());
        bed.holds().await;
        assert!(bed.complete(&each, "w", numbers(9)).await.accepted, "{fault:?}");
        assert!(bed.complete(&each, "w", numbers(9)).await.accepted, "{fault:?}: told twice, counted once");
        bed.holds().await;
        assert_eq!(bed.store.run(run).await.expect("a run").tasks_total, 12);
        // Tickets that were not sent are sent by the sweep.
        bed.clock.advance(Duration::from_secs(6));
        bed.store.sweep().await.expect("a sweep");
        assert_eq!(bed.work_off("w").await, 9 + 2, "{fault:?}");
        assert_eq!(bed.state(run).await, RunState::Succeeded);
        bed.holds().await;
    }
}

/// Two lists of one run become known in one transaction, and a lost worker's item is offered again.
pub async fn lists_do_not_get_into_each_others_way(bed: &Bed) {
    let mut new = bed.plan(&[&[], &[], &[0, 1]]);
    new.tasks[0].max_parallel = Some(1);
    let run = bed.store.create_run(new).await.expect("a run").run;
    let both = bed.claim("w").await;
    let reports = both.iter().zip([2, 3]).map(|(task, items)| bed.store.complete(report(task, "w", numbers(items))));
    assert!(join_all(reports).await.into_iter().all(|verdict| verdict.expect("a verdict").accepted));
    bed.holds().await;
    let lost = bed.claim("lost").await;
    assert_eq!(lost.len(), 1 + 3);
    bed.store.expire_owner(&worker("lost")).await.expect("expired");
    bed.holds().await;
    assert!(!bed.complete(&lost[0], "lost", success()).await.accepted);
    assert_eq!(bed.work_off("w").await, 5 + 3);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    bed.holds().await;
}

/// What a long list costs the store alone. Prints; asserts only that the work was done.
pub async fn long_lists(bed: &Bed) {
    for (items, max_parallel) in [(100, None), (10_000, None), (10_000, Some(64))] {
        let since = Instant::now();
        let run = expanded(bed, items, max_parallel).await;
        let known = since.elapsed();
        let mut last = None;
        while last.is_none() {
            let tickets = drain(&bed.transport).await;
            for some in tickets.chunks(64) {
                let claimed = bed.store.claim(some, &worker("w"), LEASE).await.expect("claims");
                let next = Some(LEASE.into());
                let reports = claimed
                    .iter()
                    .map(|task| bed.store.complete(Report { run_next: next, ..report(task, "w", success()) }));
                for verdict in join_all(reports).await {
                    let next = verdict.expect("a verdict").next;
                    last = last.or(next.filter(|task| task.item.is_none()));
                }
            }
        }
        let each = last.expect("the list's task follows its last item");
        assert_eq!(told(&each).len(), items);
        bed.complete(&each, "w", success()).await;
        bed.work_off("w").await;
        assert_eq!(bed.state(run).await, RunState::Succeeded);
        println!(
            "timed: store: {items} items, {max_parallel:?} at once: known in {known:?}, done in {:?}",
            since.elapsed()
        );
    }
}

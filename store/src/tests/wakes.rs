//! Loads on their way to the runs they start.

use futures::future::join_all;
use serde_json::json;
use tidemill_dag::{id::RunId, wake::Update};

use super::bed::{Bed, PIPELINE};
use crate::{Created, NewRun, Outcome, Page, RunFilter, Store, StoreError, TriggerKind, Watcher, desk::Fault};

fn load(dataset: &str) -> Outcome {
    Outcome::Succeeded {
        output: json!({ "receipt": { "rows": 3, "bytes": 9, "places": [], "already": false }, "dataset": dataset }),
    }
}

/// A run of one task that loads into a data set.
async fn loaded(bed: &Bed, dataset: &str) -> RunId {
    let run = bed.run(&[&[]]).await;
    let claimed = bed.claim_one("w").await;
    assert!(bed.complete(&claimed, "w", load(dataset)).await.accepted);
    run
}

fn watcher(pipeline: &str, trigger: u32) -> Watcher {
    (pipeline.to_owned(), trigger)
}

async fn hand_on(store: &Store, to: &[Watcher]) -> usize {
    store.hand_on_updates(|dataset| if dataset == "w.a" { to.to_vec() } else { Vec::new() }).await.expect("handed on")
}

async fn waiting(bed: &Bed, of: &Watcher) -> Vec<Update> {
    bed.store.waiting_updates().await.expect("updates").remove(of).unwrap_or_default()
}

fn woken(bed: &Bed) -> NewRun {
    NewRun { trigger: TriggerKind::Dataset, ..bed.plan(&[&[]]) }
}

async fn runs(bed: &Bed) -> usize {
    bed.store.runs(&RunFilter::default(), Page::default()).await.expect("runs").len()
}

pub async fn a_load_reaches_each_of_its_watchers_once(bed: &Bed) {
    bed.save("q").await;
    let (other, _) = bed.another().await;
    let run = loaded(bed, "w.a").await;
    loaded(bed, "w.unwatched").await;
    let plain = bed.run(&[&[]]).await;
    assert_eq!(bed.work_off("w").await, 1, "{plain} loads nothing");
    for _ in 0..40 {
        loaded(bed, "w.a").await;
    }
    let to = [watcher(PIPELINE, 0), watcher("q", 2)];
    let handed = join_all([hand_on(&bed.store, &to), hand_on(&other, &to), hand_on(&bed.store, &to)]).await;
    assert_eq!(handed.iter().sum::<usize>() + hand_on(&bed.store, &to).await, 42, "{handed:?}");
    for to in &to {
        let updates = waiting(bed, to).await;
        assert_eq!(updates.len(), 41);
        assert!(updates.windows(2).all(|pair| pair[0].id < pair[1].id));
        let first = &updates[0];
        assert_eq!((first.run, first.task.as_str(), first.rows, first.chain), (run, "t0", Some(3), 0));
    }
    bed.store.drop_updates(&to[1], &waiting(bed, &to[1]).await).await.expect("let go");
    assert!(waiting(bed, &to[1]).await.is_empty() && !waiting(bed, &to[0]).await.is_empty());
}

pub async fn one_set_of_loads_makes_one_run(bed: &Bed) {
    let (other, _) = bed.another().await;
    let to = watcher(PIPELINE, 0);
    for _ in 0..3 {
        loaded(bed, "w.a").await;
    }
    hand_on(&bed.store, std::slice::from_ref(&to)).await;
    let before = runs(bed).await;
    let updates = waiting(bed, &to).await;
    let fire = |store: Store, updates: Vec<Update>| {
        let run = woken(bed);
        async move { store.fire_updates(0, &updates, run).await.expect("an answer") }
    };
    // Two processes saw other numbers of loads.
    let tries = (0..20).map(|n| {
        let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
        fire(store, updates[..1 + n % 3].to_vec())
    });
    let made: Vec<Created> = join_all(tries).await.into_iter().flatten().collect();
    assert_eq!((made.len(), runs(bed).await), (1, before + 1));
    let taken = 3 - waiting(bed, &to).await.len();
    let rest = fire(bed.store.clone(), waiting(bed, &to).await).await;
    assert_eq!(rest.is_some(), taken < 3, "what the first run left over makes another");
}

pub async fn what_was_taken_is_not_taken_again(bed: &Bed) {
    let to = watcher(PIPELINE, 0);
    loaded(bed, "w.a").await;
    hand_on(&bed.store, std::slice::from_ref(&to)).await;
    let updates = waiting(bed, &to).await;
    let data = tidemill_dag::wake::trigger_data("fresh", &updates);
    let run = NewRun { trigger_data: data, ..woken(bed) };
    let made = bed.store.fire_updates(0, &updates, run).await.expect("an answer").expect("a run");
    assert!(bed.store.fire_updates(0, &updates, woken(bed)).await.expect("an answer").is_none());
    // A load by a run that was woken knows how long the chain is.
    let claimed = bed.claim_one("w").await;
    assert_eq!(claimed.run.id, made.run);
    bed.complete(&claimed, "w", load("w.a")).await;
    hand_on(&bed.store, std::slice::from_ref(&to)).await;
    assert_eq!(waiting(bed, &to).await[0].chain, 1);
}

pub async fn a_crash_around_the_end_of_a_load_loses_nothing(bed: &Bed) {
    let to = watcher(PIPELINE, 0);
    for fault in [Fault::BeforeCommit, Fault::AfterCommit] {
        bed.run(&[&[]]).await;
        let claimed = bed.claim_one("w").await;
        bed.store.desk.fail_next(fault);
        bed.store.complete(super::bed::report(&claimed, "w", load("w.a"))).await.expect_err("no answer");
        // The worker tells it again, more than once.
        for _ in 0..2 {
            assert!(bed.complete(&claimed, "w", load("w.a")).await.accepted, "{fault:?}");
        }
        assert_eq!(hand_on(&bed.store, std::slice::from_ref(&to)).await, 1, "{fault:?}");
    }
    assert_eq!(waiting(bed, &to).await.len(), 2);
}

pub async fn a_crash_around_the_wake_doubles_nothing(bed: &Bed) {
    let to = watcher(PIPELINE, 0);
    for (fault, again) in [(Fault::BeforeCommit, true), (Fault::AfterCommit, false)] {
        loaded(bed, "w.a").await;
        hand_on(&bed.store, std::slice::from_ref(&to)).await;
        let before = runs(bed).await;
        let updates = waiting(bed, &to).await;
        bed.store.desk.fail_next(fault);
        let lost = bed.store.fire_updates(0, &updates, woken(bed)).await;
        assert!(matches!(lost, Err(StoreError::Database { .. })), "{lost:?}");
        // The next process sees what waits, and tries what the first one tried.
        let (other, _) = bed.another().await;
        let second = other.fire_updates(0, &updates, woken(bed)).await.expect("an answer");
        assert_eq!(second.is_some(), again, "{fault:?}");
        assert_eq!((runs(bed).await, waiting(bed, &to).await.len()), (before + 1, 0), "{fault:?}");
        bed.work_off("w").await;
    }
}

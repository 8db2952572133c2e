//! Events on their way out.

use std::{collections::BTreeSet, time::Duration};

use tidemill_dag::{
    id::WorkerId,
    spec::{Concurrency, OnOverlap},
};

use super::bed::{Bed, worker};
use crate::{Cursor, LostDelivery, NewRun, OutEvent, SinkState, Start, Store};

const LEASE: Duration = Duration::from_secs(10);

async fn lease(store: &Store, who: &WorkerId) -> Option<SinkState> {
    store.lease_sink("s", Start::Oldest, who, LEASE).await.expect("an answer")
}

pub async fn every_event_is_read_once_in_order(bed: &Bed) {
    let run = bed.run(&[&[], &[0]]).await;
    bed.work_off("w").await;
    let me = worker("relay");
    let mut at = lease(&bed.store, &me).await.expect("it is free").cursor;
    let all = bed.store.events(run, 0, 100).await.expect("events");
    let mut seen = Vec::new();
    while seen.len() < all.len() {
        soon_unread(&bed.store, at).await;
        let some = bed.store.unread_events(at, 3).await.expect("events");
        at = some.last().expect("they stay").cursor;
        assert!(bed.store.sink_took("s", &me, at).await.expect("an answer"));
        seen.extend(some);
    }
    assert_eq!(seen.iter().map(|it| it.event.clone()).collect::<Vec<_>>(), all);
    assert_eq!(lease(&bed.store, &me).await.expect("still ours").cursor, at, "the cursor lasts");
    let ended = seen.iter().find(|it| it.event.ordinal.is_some() && it.event.to == "succeeded").expect("an end");
    assert_eq!(ended.task.as_ref().map(|task| task.name.as_str()), Some("t0"));
    assert_eq!((ended.pipeline.as_str(), ended.tasks_total), ("p", 2));
    assert_eq!(bed.store.sinks().await.expect("sinks")[0].behind, 0);
}

/// Events are told when no transaction before them is open; on PostgreSQL, not even one of another database of the server.
async fn soon_unread(store: &Store, cursor: Cursor) -> Vec<OutEvent> {
    loop {
        let events = store.unread_events(cursor, 10).await.expect("events");
        if !events.is_empty() {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn a_sink_is_one_process_at_a_time(bed: &Bed) {
    let (one, two) = (worker("one"), worker("two"));
    let (other, _) = bed.another().await;
    bed.run(&[&[]]).await;
    assert!(lease(&bed.store, &one).await.is_some());
    assert!(lease(&other, &two).await.is_none(), "it is served");
    bed.clock.advance(LEASE);
    let found = lease(&other, &two).await.expect("the first one is silent");
    let first = soon_unread(&bed.store, found.cursor).await.remove(0);
    assert!(!bed.store.sink_took("s", &one, first.cursor).await.expect("an answer"), "the late one moves nothing");
    assert!(!bed.store.sink_failed("s", &one, tidemill_dag::time::Timestamp(1)).await.expect("an answer"));
    assert!(other.sink_took("s", &two, first.cursor).await.expect("an answer"));
    other.leave_sink("s", &two).await.expect("left");
    assert_eq!(lease(&bed.store, &one).await.expect("free at once").cursor, first.cursor);
}

pub async fn a_new_sink_may_begin_with_what_comes(bed: &Bed) {
    bed.run(&[&[]]).await;
    let me = worker("relay");
    let state = bed.store.lease_sink("late", Start::Now, &me, LEASE).await.expect("an answer").expect("free");
    assert!(bed.store.unread_events(state.cursor, 10).await.expect("events").is_empty(), "what was is not told");
    let run = bed.run(&[&[]]).await;
    let told = soon_unread(&bed.store, state.cursor).await;
    assert!(!told.is_empty() && told.iter().all(|it| it.event.run == run));
}

pub async fn a_delivery_that_is_given_up_is_listed(bed: &Bed) {
    bed.run(&[&[]]).await;
    let me = worker("relay");
    let state = lease(&bed.store, &me).await.expect("free");
    let first = soon_unread(&bed.store, state.cursor).await.remove(0);
    let later = tidemill_dag::time::Clock::now(&bed.clock).after(LEASE);
    assert!(bed.store.sink_failed("s", &me, later).await.expect("an answer"));
    let failed = lease(&bed.store, &me).await.expect("ours");
    assert_eq!((failed.failures, failed.retry_at), (1, Some(later)));
    let lost = LostDelivery {
        id: 0,
        sink: "s".to_owned(),
        event: first.event.id,
        at: later,
        attempts: 2,
        problem: "500".to_owned(),
        body: "{}".to_owned(),
    };
    assert!(!bed.store.lose_delivery(&worker("other"), first.cursor, &lost).await.expect("an answer"));
    assert!(bed.store.lose_delivery(&me, first.cursor, &lost).await.expect("an answer"));
    let list = bed.store.lost_deliveries(None, 10).await.expect("a list");
    assert_eq!((list.len(), list[0].event, list[0].attempts), (1, first.event.id, 2));
    let after = lease(&bed.store, &me).await.expect("ours");
    assert_eq!((after.cursor, after.failures, after.retry_at), (first.cursor, 0, None), "it goes on behind it");
}

/// Two processes write in transactions that overlap; a reader that never looks back misses nothing.
pub async fn a_reader_passes_over_nothing(bed: &Bed) {
    const RUNS: usize = 60;
    let (other, _) = bed.another().await;
    let write = |store: Store| async move {
        for _ in 0..RUNS / 2 {
            let side_by_side = Concurrency { on_overlap: OnOverlap::Allow, ..Concurrency::default() };
            let run = NewRun { concurrency: side_by_side, ..bed.plan(&[&[], &[]]) };
            store.create_run(run).await.expect("a run");
        }
    };
    let read = async {
        let mut at = Cursor { tx: -1, id: -1 };
        let mut seen = BTreeSet::new();
        while seen.len() < RUNS * 3 {
            for event in bed.store.unread_events(at, 7).await.expect("events") {
                assert!(event.cursor > at);
                at = event.cursor;
                assert!(seen.insert(event.event.id), "an event came twice");
            }
        }
        assert!(bed.store.unread_events(at, 7).await.expect("events").is_empty());
    };
    let all = async { tokio::join!(write(bed.store.clone()), write(other), read) };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("every event is seen");
}

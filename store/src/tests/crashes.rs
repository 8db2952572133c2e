//! Workers that die, tickets that get lost, processes that end in the middle.

use std::time::Duration;

use tidemill_dag::{
    id::Attempt,
    state::{RunState, TaskState},
    time::Clock,
};

use super::bed::{Bed, LEASE, drain, success, worker};
use crate::{StoreError, Transport, desk::Fault};

pub async fn a_lost_lease_is_offered_again(bed: &Bed) {
    let run = bed.run(&[&[]]).await;
    let lost = bed.claim_one("dead").await;
    assert_eq!(bed.store.sweep().await.expect("a sweep").leases_lost, 0);
    bed.clock.advance(LEASE);
    assert_eq!(bed.store.sweep().await.expect("a sweep").leases_lost, 1);
    let again = bed.claim_one("alive").await;
    assert_eq!(again.ticket.attempt, Attempt(2));
    assert!(!bed.complete(&lost, "dead", success()).await.accepted, "the fence has passed it");
    assert!(bed.store.heartbeat(&worker("dead"), LEASE).await.expect("a beat").is_empty());
    assert!(bed.complete(&again, "alive", success()).await.accepted);
    assert_eq!(bed.task(run, 0).await.crashes, 1);
}

pub async fn the_fifth_crash_fails_the_task(bed: &Bed) {
    let run = bed.run(&[&[], &[0]]).await;
    for _ in 0..5 {
        bed.claim_one("w").await;
        bed.clock.advance(LEASE);
        assert_eq!(bed.store.sweep().await.expect("a sweep").leases_lost, 1);
    }
    assert_eq!(bed.states(run).await, [TaskState::Failed, TaskState::UpstreamFailed]);
    assert_eq!(bed.state(run).await, RunState::Failed);
}

pub async fn a_dead_owner_loses_at_once(bed: &Bed) {
    let run = bed.run(&[&[], &[], &[]]).await;
    let tickets = bed.tickets().await;
    bed.store.claim(&tickets[..2], &worker("dead"), LEASE).await.expect("claims");
    bed.store.claim(&tickets[2..], &worker("alive"), LEASE).await.expect("a claim");
    assert_eq!(bed.store.expire_owner(&worker("dead")).await.expect("an answer"), 2);
    assert_eq!(bed.store.expire_owner(&worker("dead")).await.expect("an answer"), 0);
    assert_eq!(bed.states(run).await, [TaskState::Ready, TaskState::Ready, TaskState::Running]);
    assert_eq!(bed.tickets().await.len(), 2);
}

pub async fn a_heartbeat_keeps_the_lease(bed: &Bed) {
    bed.run(&[&[], &[]]).await;
    let mut held: Vec<_> = bed.claim("w").await.into_iter().map(|it| it.ticket).collect();
    held.sort();
    for _ in 0..5 {
        bed.clock.advance(LEASE / 2);
        let mut told = bed.store.heartbeat(&worker("w"), LEASE).await.expect("a beat");
        told.sort();
        assert_eq!(told, held);
        assert_eq!(bed.store.sweep().await.expect("a sweep").leases_lost, 0);
        assert!(bed.store.still_current(held[0], &worker("w")).await.expect("an answer"));
    }
}

pub async fn the_first_sweep_offers_everything(bed: &Bed) {
    bed.run(&[&[], &[], &[]]).await;
    bed.transport.clear();
    let (restarted, transport) = bed.another().await;
    bed.clock.advance(Duration::from_millis(1));
    assert_eq!(restarted.sweep().await.expect("a sweep").offered, 3);
    let tickets = drain(&transport).await;
    assert_eq!(restarted.claim(&tickets, &worker("w"), LEASE).await.expect("claims").len(), 3);
    assert_eq!(restarted.sweep().await.expect("a sweep").offered, 0);
}

pub async fn silence_offers_again(bed: &Bed) {
    bed.run(&[&[]]).await;
    bed.store.sweep().await.expect("the first sweep");
    bed.transport.clear();
    bed.clock.advance(Duration::from_secs(4));
    assert_eq!(bed.store.sweep().await.expect("a sweep").offered, 0, "it was offered lately");
    bed.clock.advance(Duration::from_secs(2));
    assert_eq!(bed.store.sweep().await.expect("a sweep").offered, 1);
    let tickets = bed.tickets().await;
    bed.clock.advance(Duration::from_secs(6));
    bed.store.sweep().await.expect("a sweep");
    let twice: Vec<_> = tickets.into_iter().chain(bed.tickets().await).collect();
    assert_eq!(twice.len(), 2);
    assert_eq!(bed.store.claim(&twice, &worker("w"), LEASE).await.expect("claims").len(), 1);
}

pub async fn a_crash_before_the_commit_leaves_nothing(bed: &Bed) {
    let run = bed.run(&[&[], &[0]]).await;
    let claimed = bed.claim_one("w").await;
    bed.store.desk.fail_next(Fault::BeforeCommit);
    let failed = bed.store.complete(super::bed::report(&claimed, "w", success())).await;
    assert!(matches!(failed, Err(StoreError::Database { .. })), "{failed:?}");
    assert_eq!(bed.states(run).await, [TaskState::Running, TaskState::Blocked]);
    bed.holds().await;
    assert!(bed.complete(&claimed, "w", success()).await.accepted, "told again");
    assert_eq!(bed.work_off("w").await, 1);
}

pub async fn a_crash_after_the_commit_leaves_all(bed: &Bed) {
    let run = bed.run(&[&[], &[0]]).await;
    let claimed = bed.claim_one("w").await;
    bed.store.desk.fail_next(Fault::AfterCommit);
    let failed = bed.store.complete(super::bed::report(&claimed, "w", success())).await;
    assert!(matches!(failed, Err(StoreError::Database { .. })), "{failed:?}");
    assert_eq!(bed.states(run).await, [TaskState::Succeeded, TaskState::Ready]);
    assert!(bed.transport.is_empty(), "the ticket died with the process");
    bed.holds().await;
    assert!(bed.complete(&claimed, "w", success()).await.accepted, "told again, counted once");
    assert!(bed.clock.now() > tidemill_dag::time::Timestamp(0));
    bed.clock.advance(Duration::from_secs(6));
    assert_eq!(bed.store.sweep().await.expect("a sweep").offered, 1);
    assert_eq!(bed.work_off("w").await, 1);
}

pub async fn a_claim_that_nobody_heard_of_is_handed_back(bed: &Bed) {
    let run = bed.run(&[&[], &[], &[0, 1]]).await;
    let tickets = bed.tickets().await;
    let w = worker("w");
    bed.store.desk.fail_next(Fault::AfterCommit);
    let failed = bed.store.claim(&tickets, &w, LEASE).await;
    assert!(matches!(failed, Err(StoreError::Database { .. })), "{failed:?}");
    assert_eq!(bed.states(run).await[..2], [TaskState::Running, TaskState::Running]);
    assert!(bed.store.heartbeat(&w, LEASE).await.expect("a beat").is_empty());
    assert_eq!(bed.states(run).await[..2], [TaskState::Ready, TaskState::Ready]);
    // What was not committed leaves no doubt behind: the same ticket is claimed and kept.
    let tickets = bed.tickets().await;
    bed.store.desk.fail_next(Fault::BeforeCommit);
    assert!(bed.store.claim(&tickets, &w, LEASE).await.is_err());
    let claimed = bed.store.claim(&tickets, &w, LEASE).await.expect("claims");
    assert_eq!(claimed.len(), 2);
    assert_eq!(bed.store.heartbeat(&w, LEASE).await.expect("a beat").len(), 2);
}

pub async fn a_caller_that_is_gone_holds_nothing(bed: &Bed) {
    let run = bed.run(&[&[], &[0]]).await;
    let tickets = bed.tickets().await;
    let claim = |who: &str| {
        let (store, tickets, who) = (bed.store.clone(), tickets.clone(), worker(who));
        async move { store.claim(&tickets, &who, LEASE).await }
    };
    let mut gone = Box::pin(claim("gone"));
    // Once asked, the request is on its way whether or not somebody waits for the answer.
    assert!(futures::poll!(&mut gone).is_pending());
    drop(gone);
    assert!(claim("late").await.expect("an answer").is_empty());
    let queues = ["default".to_owned()];
    let offered = tokio::time::timeout(Duration::from_secs(60), bed.transport.take(&queues, 1));
    let offered = offered.await.expect("it is handed back").expect("a ticket");
    let again = bed.store.claim(&offered, &worker("w"), LEASE).await.expect("a claim");
    assert_eq!(again[0].ticket.attempt, Attempt(2));
    assert_eq!(bed.task(run, 0).await.owner, Some(worker("w")));
}

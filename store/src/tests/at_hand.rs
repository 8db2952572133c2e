//! A worker brings a ticket along with its report: the task behind it is claimed in the same transaction.

use std::time::Duration;

use serde_json::json;
use tidemill_dag::{
    id::Ticket,
    limits::Gate,
    state::{RunState, TaskState},
};

use super::bed::{Bed, LEASE, key, report, success, worker};
use crate::{Claimed, NewPool, Outcome, Report, RunNext, StoreError, desk::Fault};

/// A report of success, with a ticket at hand.
fn with(claimed: &Claimed, at_hand: Ticket) -> Report {
    Report { run_next: Some(RunNext { lease: LEASE, at_hand: Some(at_hand) }), ..report(claimed, "w", success()) }
}

async fn claim(bed: &Bed, ticket: Ticket) -> Claimed {
    bed.store.claim(&[ticket], &worker("w"), LEASE).await.expect("a claim").pop().expect("the ticket is good")
}

/// The next task of a worker that reports success with this ticket at hand.
async fn next(bed: &Bed, claimed: &Claimed, at_hand: Ticket) -> Option<Claimed> {
    let verdict = bed.store.complete(with(claimed, at_hand)).await.expect("a verdict");
    assert!(verdict.accepted);
    bed.holds().await;
    verdict.next
}

pub async fn what_is_at_hand_is_claimed_with_the_report(bed: &Bed) {
    let run = bed.run(&[&[], &[0], &[0], &[1, 2]]).await;
    let first = bed.claim_one("w").await;
    let output = json!({ "result": "of the first" });
    bed.complete(&first, "w", Outcome::Succeeded { output: output.clone() }).await;
    let tickets = bed.tickets().await;
    let one = claim(bed, tickets[0]).await;
    let other = next(bed, &one, tickets[1]).await.expect("it is claimed");
    assert_eq!((other.ticket, other.upstream.len()), (tickets[1], 1));
    assert_eq!(other.upstream[0].output, Some(output), "it is told what it reads");
    assert!(bed.store.still_current(other.ticket, &worker("w")).await.expect("an answer"));
    // What becomes ready goes first, and what is at hand is left to others.
    let another = bed.run(&[&[]]).await;
    let ticket = bed.tickets().await[0];
    let last = next(bed, &other, ticket).await.expect("the one that became ready");
    assert_eq!(last.ticket.task, key(run, 3));
    assert_eq!(bed.states(another).await, [TaskState::Ready]);
    assert_eq!(next(bed, &last, one.ticket).await, None, "an old ticket is worth nothing");
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    assert_eq!(claim(bed, ticket).await.ticket, ticket);
}

pub async fn an_item_at_hand_brings_its_value(bed: &Bed) {
    bed.run(&[&[]]).await;
    let each = bed.claim_one("w").await;
    let items = (0..3).map(|n| json!({ "n": n })).collect();
    bed.complete(&each, "w", Outcome::Expanded { items }).await;
    let tickets = bed.tickets().await;
    let first = claim(bed, tickets[0]).await;
    let second = next(bed, &first, tickets[1]).await.expect("an item");
    let values = [&first, &second].map(|it| it.item.as_ref().map(|item| item.value.clone()));
    assert_eq!(values, [Some(json!({ "n": 0 })), Some(json!({ "n": 1 }))]);
    let third = next(bed, &second, tickets[2]).await.expect("an item");
    bed.complete(&third, "w", success()).await;
    assert_eq!(bed.work_off("w").await, 1, "the list is collected");
}

pub async fn a_report_told_again_gets_the_same_from_its_hand(bed: &Bed) {
    let run = bed.run(&[&[], &[]]).await;
    let tickets = bed.tickets().await;
    let first = claim(bed, tickets[0]).await;
    bed.store.desk.fail_next(Fault::BeforeCommit);
    let failed = bed.store.complete(with(&first, tickets[1])).await;
    assert!(matches!(failed, Err(StoreError::Database { .. })), "{failed:?}");
    assert_eq!(bed.states(run).await, [TaskState::Running, TaskState::Ready], "neither of both");
    bed.store.desk.fail_next(Fault::AfterCommit);
    let failed = bed.store.complete(with(&first, tickets[1])).await;
    assert!(matches!(failed, Err(StoreError::Database { .. })), "{failed:?}");
    assert_eq!(bed.states(run).await, [TaskState::Succeeded, TaskState::Running], "both");
    bed.clock.advance(Duration::from_millis(5));
    let second = next(bed, &first, tickets[1]).await.expect("told again");
    assert_eq!(second.ticket, tickets[1]);
    bed.complete(&second, "w", success()).await;
    assert_eq!(next(bed, &first, tickets[1]).await, None, "it is over");
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn what_was_at_hand_of_nobody_is_handed_back(bed: &Bed) {
    let run = bed.run(&[&[], &[]]).await;
    let tickets = bed.tickets().await;
    let first = claim(bed, tickets[0]).await;
    let (store, report) = (bed.store.clone(), with(&first, tickets[1]));
    let mut gone = Box::pin(async move { store.complete(report).await });
    assert!(futures::poll!(&mut gone).is_pending());
    drop(gone);
    let since = std::time::Instant::now();
    // Offered again under a new attempt.
    while bed.states(run).await != [TaskState::Succeeded, TaskState::Ready] {
        assert!(since.elapsed() < Duration::from_secs(30), "{:?}", bed.states(run).await);
        tokio::task::yield_now().await;
    }
    assert_eq!(bed.work_off("w").await, 1);
}

pub async fn what_is_at_hand_waits_where_a_limit_is_full(bed: &Bed) {
    let pool = |slots| NewPool { name: "gpu".into(), slots, description: None };
    bed.store.set_pool(&pool(2)).await.expect("a pool");
    let mut new = bed.plan(&[&[], &[], &[]]);
    for task in &mut new.tasks[..2] {
        (task.pool, task.pool_slots) = (Some("gpu".into()), 1);
    }
    let run = bed.store.create_run(new).await.expect("a run").run;
    let tickets = bed.tickets().await;
    bed.store.set_pool(&pool(1)).await.expect("a smaller pool");
    let of = |ordinal| *tickets.iter().find(|it| it.task == key(run, ordinal)).expect("a ticket");
    let (inside, free) = (claim(bed, of(0)).await, claim(bed, of(2)).await);
    assert_eq!(next(bed, &free, of(1)).await, None, "the pool is full");
    assert_eq!(bed.task(run, 1).await.standby, Some(Gate::Pool("gpu".into())), "it is known what it waits for");
    bed.complete(&inside, "w", success()).await;
    assert_eq!(bed.work_off("w").await, 1, "the slot that became free is given on");
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

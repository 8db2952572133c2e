//! Many at once.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use tidemill_dag::{
    id::Ticket,
    state::{RunState, TaskState},
};

use super::bed::{Bed, LEASE, drain, report, success, worker};
use crate::{Report, Store, StoreError};

fn roots(count: usize) -> Vec<&'static [u32]> {
    vec![&[]; count]
}

pub async fn two_processes_claim_each_task_once(bed: &Bed) {
    let run = bed.run(&roots(300)).await;
    let (other, _) = bed.another().await;
    let tickets = bed.tickets().await;
    let claims = tickets.chunks(10).flat_map(|some| {
        let claim = |store: &Store, who: &'static str| {
            let (store, some) = (store.clone(), some.to_vec());
            async move {
                let claimed = store.claim(&some, &worker(who), LEASE).await.expect("claims");
                claimed.into_iter().map(|it| (it.ticket, who)).collect::<Vec<(Ticket, &str)>>()
            }
        };
        [claim(&bed.store, "a"), claim(&other, "b")]
    });
    let claimed: Vec<(Ticket, &str)> = join_all(claims).await.concat();
    let distinct: HashSet<Ticket> = claimed.iter().map(|(ticket, _)| *ticket).collect();
    assert_eq!((claimed.len(), distinct.len()), (300, 300), "each once, none left");
    let reports = claimed.iter().map(|(ticket, who)| {
        let report = Report { ticket: *ticket, owner: worker(who), outcome: success(), run_next: None };
        let store = if *who == "a" { &other } else { &bed.store };
        store.complete(report)
    });
    assert!(join_all(reports).await.iter().all(|verdict| verdict.as_ref().is_ok_and(|it| it.accepted)));
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn a_thousand_reports_at_once(bed: &Bed) {
    let join: Vec<u32> = (0..1_000).collect();
    let mut needs = roots(1_000);
    needs.push(&join);
    let run = bed.run(&needs).await;
    let claimed = bed.claim("w").await;
    assert_eq!(claimed.len(), 1_000);
    // Each is told twice, so the two may meet in one transaction.
    let reports = claimed.iter().chain(&claimed).map(|task| bed.store.complete(report(task, "w", success())));
    assert!(join_all(reports).await.into_iter().all(|verdict| verdict.expect("a verdict").accepted));
    assert_eq!(bed.count(run).await[&TaskState::Succeeded], 1_000);
    assert_eq!(bed.work_off("w").await, 1);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn cancel_against_complete(bed: &Bed) {
    let (other, _) = bed.another().await;
    for _ in 0..20 {
        let run = bed.run(&[&[], &[], &[0, 1]]).await;
        let claimed = bed.claim("w").await;
        let reports = claimed.iter().map(|task| bed.store.complete(report(task, "w", success())));
        let (cancelled, verdicts) = tokio::join!(other.cancel_run(run, "a race"), join_all(reports));
        cancelled.expect("a cancelled run");
        assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
        assert_eq!(bed.state(run).await, RunState::Cancelled);
        bed.transport.clear();
        bed.holds().await;
    }
}

/// Two processes create, claim, report, beat, sweep, cancel and resume, all at the same time.
pub async fn everything_at_once(bed: &Bed) {
    let (other, tickets_of_other) = bed.another().await;
    let shape: &[&[u32]] = &[&[], &[0], &[0], &[1, 2], &[3]];
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(bed.run(shape).await);
    }
    for round in 0..60 {
        let mine = bed.tickets().await;
        let theirs = drain(&tickets_of_other).await;
        let (first, second) = tokio::join!(step(&bed.store, &mine, "a"), step(&other, &theirs, "b"));
        first.expect("a step");
        second.expect("a step");
        // The first rounds cancel runs that are at work, later ones what may have ended.
        if round < runs.len() {
            let run = runs[round];
            let b = worker("b");
            let (cancelled, _) = tokio::join!(bed.store.cancel_run(run, "a test"), other.heartbeat(&b, LEASE));
            match cancelled {
                Ok(_) => drop(other.resume_run(run).await.expect("a resumed run")),
                Err(error) => assert!(matches!(error, StoreError::Refused { .. }), "{error:?}"),
            }
        }
        bed.clock.advance(Duration::from_secs(2));
        let (one, two) = tokio::join!(bed.store.sweep(), other.sweep());
        one.expect("a sweep");
        two.expect("a sweep");
        bed.holds().await;
    }
    for run in runs {
        assert_eq!(bed.state(run).await, RunState::Succeeded);
    }
}

async fn step(store: &Store, tickets: &[Ticket], who: &str) -> Result<(), StoreError> {
    let claimed = store.claim(tickets, &worker(who), LEASE).await?;
    let reports = claimed.iter().map(|task| {
        let run_next = (task.ticket.task.ordinal.0 % 2 == 0).then_some(LEASE.into());
        store.complete(Report { run_next, ..report(task, who, success()) })
    });
    for verdict in join_all(reports).await {
        if let Some(next) = verdict?.next {
            store.complete(report(&next, who, success())).await?;
        }
    }
    Ok(())
}

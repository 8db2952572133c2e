//! Two servers behind one address, and the other one of them takes over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidemill_testkit::{Durability, ManualClock, Postgres, SeededChance};

use super::bed::Bed;
use crate::{InProcess, Store, StoreError};

const PATIENCE: Duration = Duration::from_secs(60);

async fn pair() -> (Postgres, Postgres, String) {
    let first = Postgres::start_for(Durability::Lost, 50).expect("a server");
    let second = Postgres::spare(Durability::Lost, 50).expect("a server");
    second.follow(&first).await.expect("it follows");
    let url = first.url_of_both(&second, "postgres");
    (first, second, url)
}

async fn pulse(store: &Store) {
    let since = Instant::now();
    while let Err(error) = store.pulse().await {
        assert!(matches!(error, StoreError::Database { .. }) && since.elapsed() < PATIENCE, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_at_the_server_that_took_over_with_all_that_was_committed() {
    let (first, second, url) = pair().await;
    let bed = Bed::over(url.clone(), None).await;
    let (other, _) = bed.another().await;
    let before = bed.run(&[&[], &[0]]).await;
    pulse(&other).await;
    first.crash();
    assert!(bed.store.pulse().await.is_err(), "nobody takes writes now");
    second.promote().await.expect("it takes over");
    pulse(&bed.store).await;
    pulse(&other).await;
    assert_eq!(bed.states(before).await.len(), 2, "what was committed is there");
    assert_eq!(bed.work_off("w").await, 2);
    let after = bed.run(&[&[]]).await;
    assert_eq!(bed.work_off("w").await, 1);
    assert_eq!(bed.states(after).await.len(), 1);
    bed.holds().await;

    // The first one comes back as the follower, and is nobody's to write to though it is named first.
    first.follow(&second).await.expect("it follows");
    let late = Bed::over(url, None).await;
    late.run(&[&[]]).await;
    assert!(late.store.leads().await);
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_told() {
    let (first, _second, url) = pair().await;
    first.stop();
    let (clock, chance) = (Arc::new(ManualClock::default()), Arc::new(SeededChance::new(1)));
    let error = Store::open(&url, clock, chance, Arc::new(InProcess::new())).await.expect_err("nobody takes writes");
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
}

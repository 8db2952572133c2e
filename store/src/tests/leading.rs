//! Who sweeps, on PostgreSQL.

use std::time::Duration;

use sqlx::Connection;
use tidemill_testkit::{Durability, Postgres};

use super::bed::Bed;
use crate::Store;

const END_LOCKERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";

#[tokio::test]
async fn one_leads_until_it_leaves_or_loses_its_connection() {
    let server = Postgres::start(Durability::Lost).expect("a server");
    let bed = Bed::over(server.fresh().await.expect("a database"), None).await;
    let (other, _) = bed.another().await;
    assert!(bed.store.leads().await);
    assert!(bed.store.leads().await, "it stays the leader");
    assert!(!other.leads().await);
    bed.store.resign().await;
    leads_soon(&other).await;
    assert!(!bed.store.leads().await);

    let mut admin = sqlx::PgConnection::connect(&bed.url).await.expect("a connection");
    sqlx::query(END_LOCKERS).execute(&mut admin).await.expect("it is done");
    assert!(!other.leads().await, "a lost connection is leadership lost");
    leads_soon(&bed.store).await;
    assert!(!other.leads().await);

    server.stop();
    assert!(!bed.store.leads().await);
    server.again().expect("it comes back");
    leads_soon(&other).await;
}

/// A session that was ended keeps its lock until the server has noticed; a new one takes as long as the machine lets it.
async fn leads_soon(store: &Store) {
    let since = std::time::Instant::now();
    while !store.leads().await {
        assert!(since.elapsed() < Duration::from_secs(60), "nobody leads");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! Who sweeps, on PostgreSQL.

use sqlx::Connection;
use tidemill_testkit::{Durability, Postgres};

use super::bed::Bed;

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
    assert!(other.leads().await);
    assert!(!bed.store.leads().await);

    let mut admin = sqlx::PgConnection::connect(&bed.url).await.expect("a connection");
    sqlx::query(END_LOCKERS).execute(&mut admin).await.expect("it is done");
    assert!(!other.leads().await, "a lost connection is leadership lost");
    assert!(bed.store.leads().await);
    assert!(!other.leads().await);

    server.stop();
    assert!(!bed.store.leads().await);
    server.again().expect("it comes back");
    assert!(other.leads().await);
}

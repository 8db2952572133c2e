//! PostgreSQL goes away and comes back.

use futures::future::join_all;
use tidemill_testkit::Postgres;

use super::bed::Bed;
use crate::{Page, RunFilter};

/// Ends every connection to the database but the one that says so, as a restart of the server does.
const END_ALL: &str = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_connections_are_replaced_unseen() {
    let bed = Bed::over(Postgres::shared().fresh().await.expect("a database"), None).await;
    let (other, _) = bed.another().await;
    for _ in 0..3 {
        let all = RunFilter::default();
        // So that there are many connections to lose.
        let reads = (0..20).map(|_| bed.store.runs(&all, Page::default()));
        assert!(join_all(reads).await.iter().all(Result::is_ok));
        other.desk.db.read("end connections", END_ALL, &[]).await.expect("an answer");
        let run = bed.run(&[&[], &[0]]).await;
        assert_eq!(bed.work_off("w").await, 2);
        assert_eq!(bed.states(run).await.len(), 2);
    }
    bed.holds().await;
}

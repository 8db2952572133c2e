use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidemill_dag::time::Timestamp;
use tidemill_testkit::{ClickHouseServer, ManualClock};

use crate::{ClickHouse, ClickHouseConfig, Metrics, Records, SqliteRecords, Standing, UseStats, Writer, conformance};

fn client(server: &ClickHouseServer) -> ClickHouse {
    ClickHouse::new(ClickHouseConfig {
        url: server.url(),
        database: ClickHouseServer::DATABASE.to_owned(),
        user: "default".to_owned(),
        password: String::new(),
    })
}

/// A file in this folder, at this many seconds after the moment of the records of [`conformance`].
async fn file(folder: &Path, later: i64) -> SqliteRecords {
    let clock = ManualClock::at(Timestamp(conformance::BASE + later * 1_000_000));
    SqliteRecords::open(&folder.join("telemetry.db"), Arc::new(clock)).await.expect("it opens")
}

#[tokio::test]
async fn a_file_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    conformance::run(&file(folder.path(), 0).await).await;
}

#[tokio::test]
async fn a_file_lets_go_of_what_is_older_than_clickhouse_would_keep() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = file(folder.path(), 0).await;
    new.prepare().await.expect("prepared");
    let runs = (1..=100).flat_map(|n| conformance::records("daily", n));
    let all: Vec<_> = runs.chain((1..=100).map(|n| conformance::used("acme", n))).collect();
    new.write(&all).await.expect("written");
    let old = file(folder.path(), 400 * 24 * 3_600 + 91).await;
    old.prepare().await.expect("prepared");
    let stats = old.stats(Timestamp(0)).await.expect("stats");
    assert_eq!((stats[0].runs, stats[0].tasks, stats[0].wait_p50), (10, 10, 95), "the last ten of each");
    let calls = |uses: &[UseStats]| uses.iter().map(|it| it.calls).sum::<u64>();
    assert_eq!(calls(&old.uses(Timestamp(0)).await.expect("stats")), 10);
    // Without a new start, it is done after enough of new rows.
    old.write(&all[..60]).await.expect("written late");
    assert_eq!(old.stats(Timestamp(0)).await.expect("stats")[0].runs, 30);
    for n in 0..5 {
        let new: Vec<_> = (1..=2_000).map(|m| conformance::used("acme", 1_000 + n * 2_000 + m)).collect();
        old.write(&new).await.expect("written");
    }
    assert_eq!(old.stats(Timestamp(0)).await.expect("stats")[0].runs, 10);
    assert_eq!(calls(&old.uses(Timestamp(0)).await.expect("stats")), 10_010);
}

#[tokio::test]
async fn clickhouse_conforms() {
    let server = ClickHouseServer::start();
    conformance::run(&client(&server)).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_without_its_password() {
    let config = ClickHouseConfig {
        url: "http://127.0.0.1:9".to_owned(),
        database: "d".to_owned(),
        user: "u".to_owned(),
        password: "s3cret-word".to_owned(),
    };
    let shown = format!("{config:?}");
    let error = ClickHouse::new(config).write(&conformance::records("p", 1)).await.expect_err("nobody listens");
    assert_eq!((error.action, error.code()), ("written", "TM1440"));
    assert!(!format!("{shown}{error}{error:?}").contains("s3cret-word"));
}

#[test]
fn labels_stay_few_however_many_pipelines_there_are() {
    let metrics = Metrics::new().expect("metrics");
    for n in 0..1_000 {
        conformance::records(&format!("p{n}"), 1).iter().for_each(|record| metrics.observe(record));
    }
    metrics.lease_lost();
    let standing = Standing {
        runs: vec![("running".to_owned(), 3)],
        queues: (0..1_000).map(|n| (format!("q{n}"), 1)).collect(),
        oldest_ready: 7,
        ..Standing::default()
    };
    let text = metrics.text(Some(&standing));
    for line in [
        "tidemill_runs{state=\"running\"} 3",
        "tidemill_oldest_ready_seconds 7",
        "tidemill_leases_lost_total 1",
        "tidemill_database_up 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let series = text.lines().filter(|line| line.starts_with("tidemill_task_duration_seconds_count")).count();
    assert_eq!(series, 101, "a hundred and the others");
    assert!(text.contains("pipeline=\"other\""));
    assert_eq!(text.lines().filter(|line| line.starts_with("tidemill_queue_depth{")).count(), 100);
    let down = metrics.text(None);
    assert!(down.contains("tidemill_database_up 0") && down.contains("tidemill_runs{state=\"running\"} 3"));
    println!("counted: {} lines of metrics for 1,000 pipelines", text.lines().count());
}

#[tokio::test]
async fn what_is_handed_over_is_kept_in_batches_by_both_places() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = file(folder.path(), 0).await;
    let server = ClickHouseServer::start();
    let places: [Arc<dyn Records>; 2] = [Arc::new(file), Arc::new(client(&server))];
    for place in places {
        let writer = Writer::start(place.clone());
        let offer = writer.offer();
        (1..=5_000).for_each(|n| offer.offer(conformance::used("acme", n)));
        drop(offer);
        assert_eq!(writer.finish(Duration::from_secs(60)).await, 0, "nothing is lost");
        let kept = place.uses(Timestamp(0)).await.expect("stats");
        assert_eq!(kept.iter().map(|it| it.calls).sum::<u64>(), 5_000);
    }
}

#[tokio::test]
async fn a_place_that_is_away_costs_a_bounded_number_of_records_and_nobody_waits() {
    let config = ClickHouseConfig {
        url: "http://127.0.0.1:9".to_owned(),
        database: "d".to_owned(),
        user: "u".to_owned(),
        password: String::new(),
    };
    let writer = Writer::start(Arc::new(ClickHouse::new(config)));
    let offer = writer.offer();
    (1..=50_000).for_each(|n| offer.offer(conformance::used("acme", n)));
    let lost = offer.lost();
    println!("counted: 50000 records for a place that is away: {lost} lost, the others wait");
    assert!((30_000..50_000).contains(&lost));
    drop(offer);
    assert_eq!(writer.finish(Duration::from_millis(300)).await, lost);
}

use std::sync::Arc;
use std::time::Duration;

use tidemill_dag::time::Timestamp;
use tidemill_testkit::ClickHouseServer;

use crate::{ClickHouse, ClickHouseConfig, Metrics, Records, SqliteRecords, Standing, Writer, conformance};

fn client(server: &ClickHouseServer) -> ClickHouse {
    ClickHouse::new(ClickHouseConfig {
        url: server.url(),
        database: ClickHouseServer::DATABASE.to_owned(),
        user: "default".to_owned(),
        password: String::new(),
    })
}

#[tokio::test]
async fn a_file_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = SqliteRecords::open(&folder.path().join("telemetry.db")).await.expect("it opens");
    conformance::run(&file).await;
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
    let file = SqliteRecords::open(&folder.path().join("telemetry.db")).await.expect("it opens");
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

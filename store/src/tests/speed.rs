//! What it costs. Prints; asserts only that the work was done.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tidemill_dag::state::RunState;
use tidemill_testkit::{Durability, Postgres};

use super::bed::{Bed, LEASE, report, success, worker};
use crate::Report;

const TASKS: usize = 4_000;
const STEPS: u32 = 200;

/// What this process has used of the processors so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Many ready tasks: claim and complete, each a durable row, as fast as the store takes them.
async fn wide(bed: &Bed) -> (f64, Duration) {
    let needs: Vec<&[u32]> = vec![&[]; TASKS];
    let run = bed.run(&needs).await;
    let tickets = bed.tickets().await;
    let (since, used) = (Instant::now(), cpu());
    let workers = tickets.chunks(TASKS / 8).enumerate().map(|(index, mine)| async move {
        let who = format!("w{index}");
        for some in mine.chunks(64) {
            let claimed = bed.store.claim(some, &worker(&who), LEASE).await.expect("claims");
            let reports = claimed.iter().map(|task| bed.store.complete(report(task, &who, success())));
            assert!(join_all(reports).await.into_iter().all(|verdict| verdict.expect("a verdict").accepted));
        }
    });
    join_all(workers).await;
    let rate = TASKS as f64 / since.elapsed().as_secs_f64();
    let each = (cpu() - used) / TASKS as u32;
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    (rate, each)
}

/// A chain that one worker runs through.
async fn chain(bed: &Bed) -> Duration {
    let needs: Vec<Vec<u32>> = (0..STEPS).map(|task| task.checked_sub(1).into_iter().collect()).collect();
    let needs: Vec<&[u32]> = needs.iter().map(Vec::as_slice).collect();
    let run = bed.run(&needs).await;
    let mut next = Some(bed.claim_one("w").await);
    let since = Instant::now();
    while let Some(task) = next {
        let report = Report { run_next: Some(LEASE.into()), ..report(&task, "w", success()) };
        next = bed.store.complete(report).await.expect("a verdict").next;
    }
    let each = since.elapsed() / STEPS;
    assert_eq!(bed.state(run).await, RunState::Succeeded);
    each
}

/// Runs created at once, and one alone.
async fn births(bed: &Bed) -> (Duration, Duration) {
    let plans: Vec<_> = (0..50).map(|_| bed.plan(&[&[], &[0], &[1], &[2], &[3]])).collect();
    let since = Instant::now();
    assert!(join_all(plans.into_iter().map(|plan| bed.store.create_run(plan))).await.iter().all(Result::is_ok));
    let many = since.elapsed();
    let since = Instant::now();
    bed.run(&[&[]]).await;
    (many, since.elapsed())
}

/// What the disk alone takes for one small write that lasts.
fn floor() -> Duration {
    use std::io::Write;
    let mut file = tempfile::tempfile().expect("a file");
    let since = Instant::now();
    for _ in 0..100 {
        file.write_all(&[1; 4096]).expect("a write");
        file.sync_data().expect("a flush");
    }
    since.elapsed() / 100
}

async fn measure(name: &str, bed: &Bed) {
    let floor = floor();
    let (rate, used) = wide(bed).await;
    let step = chain(bed).await;
    let (many, one) = births(bed).await;
    println!(
        "timed: store on {name}: {rate:.0} tasks/s at {used:?} of processor each; {step:?} per chain step over {floor:?} per flush; 50 runs in {many:?}, one in {one:?}"
    );
    bed.holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_flushed() {
    measure("SQLite", &Bed::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_flushed() {
    let server = Postgres::start(Durability::Flushed).expect("a server");
    let bed = Bed::over(server.fresh().await.expect("a database"), None).await;
    measure("PostgreSQL", &bed).await;
    bed.store.close().await;
}

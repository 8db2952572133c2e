//! What every place for records must do. Panics where one does not; for tests.

use tidemill_dag::time::Timestamp;

use crate::record::{Record, Records, RunRow, TaskRow, WaitRow};
use crate::usage::{UseRow, UseStats};

/// Some moment that no time to live has reached.
pub(crate) const BASE: i64 = 3_900_000_000_000_000;

/// The records of run `n` of a pipeline: it took `n` seconds, its task half of that, and waited `n` milliseconds.
pub fn records(pipeline: &str, n: u64) -> Vec<Record> {
    let id = format!("run_{pipeline}_{n:04}");
    let at = BASE + i64::try_from(n).unwrap_or(0) * 1_000_000;
    let failed = n.is_multiple_of(5);
    let state = if failed { "failed" } else { "succeeded" }.to_owned();
    vec![
        Record::Wait(WaitRow {
            run_id: id.clone(),
            pipeline: pipeline.to_owned(),
            task: "load it's".to_owned(),
            ordinal: 0,
            queue: "default".to_owned(),
            started_at: at,
            wait_ms: n,
        }),
        Record::Task(TaskRow {
            run_id: id.clone(),
            pipeline: pipeline.to_owned(),
            task: "load it's".to_owned(),
            ordinal: 0,
            attempt: 1,
            state: state.clone(),
            queue: "default".to_owned(),
            worker: "w1".to_owned(),
            finished_at: at,
            duration_ms: n * 500,
            error: if failed { "TM0701".to_owned() } else { String::new() },
        }),
        Record::Run(RunRow {
            run_id: id,
            pipeline: pipeline.to_owned(),
            trigger_kind: "cron".to_owned(),
            state,
            finished_at: at,
            wait_ms: 1,
            duration_ms: n * 1_000,
            tasks: 1,
            failed: u32::from(failed),
        }),
    ]
}

/// The record of call `n` of a tenant: every third failed, every fourth came from the cache.
pub fn used(tenant: &str, n: u64) -> Record {
    let failed = n.is_multiple_of(3);
    Record::Use(Box::new(UseRow {
        call_id: format!("call_{tenant}_{n}"),
        at: BASE + i64::try_from(n).unwrap_or(0) * 1_000_000,
        tenant: tenant.to_owned(),
        key_name: "nightly".to_owned(),
        user_name: "ann's".to_owned(),
        asked: "auto".to_owned(),
        model: if failed { String::new() } else { "m-1".to_owned() },
        attempts: 1,
        cache: if n.is_multiple_of(4) { "exact" } else { "miss" }.to_owned(),
        input: n,
        output: 2 * n,
        micros: 3 * n,
        error: if failed { "TM1112".to_owned() } else { String::new() },
        ..UseRow::default()
    }))
}

async fn uses(place: &dyn Records) {
    assert!(place.uses(Timestamp(0)).await.expect("an answer").is_empty());
    let all: Vec<Record> = (1..=12).map(|n| used("acme", n)).chain([used("öther", 1)]).collect();
    place.write(&all).await.expect("written");
    place.write(&all[..5]).await.expect("written again");
    let (acme, other) = ("acme".to_owned(), "öther".to_owned());
    let stats = |tenant: &String, model: &str, [calls, failed, from_cache, input]: [u64; 4]| UseStats {
        tenant: tenant.clone(),
        model: model.to_owned(),
        calls,
        failed,
        from_cache,
        input,
        output: 2 * input,
        micros: 3 * input,
    };
    let expected =
        [stats(&acme, "auto", [4, 4, 1, 30]), stats(&acme, "m-1", [8, 0, 2, 48]), stats(&other, "m-1", [1, 0, 0, 1])];
    assert_eq!(place.uses(Timestamp(0)).await.expect("stats"), expected, "twice is once");
    let late = place.uses(Timestamp(BASE + 11 * 1_000_000)).await.expect("stats");
    assert_eq!(late, [stats(&acme, "auto", [1, 1, 1, 12]), stats(&acme, "m-1", [1, 0, 0, 11])]);
}

/// Runs the whole suite against an empty place.
pub async fn run(place: &dyn Records) {
    place.prepare().await.expect("prepared");
    place.prepare().await.expect("prepared already");
    assert!(place.stats(Timestamp(0)).await.expect("an answer").is_empty());
    place.write(&[]).await.expect("nothing to do");
    let all: Vec<Record> = (1..=100).flat_map(|n| records("daily", n)).chain(records("ünusual", 7)).collect();
    place.write(&all).await.expect("written");
    place.write(&all[..30]).await.expect("written again");
    let stats = place.stats(Timestamp(0)).await.expect("stats");
    assert_eq!(stats.iter().map(|it| it.pipeline.as_str()).collect::<Vec<_>>(), ["daily", "ünusual"]);
    let daily = &stats[0];
    assert_eq!((daily.runs, daily.runs_failed, daily.tasks, daily.tasks_failed), (100, 20, 100, 20), "twice is once");
    assert_eq!((daily.run_p50, daily.run_p90), (50_000, 91_000));
    assert_eq!((daily.task_p50, daily.task_p90, daily.wait_p50, daily.wait_p90), (25_000, 45_500, 50, 91));
    let one = &stats[1];
    assert_eq!((one.runs, one.run_p50, one.run_p90, one.wait_p50), (1, 7_000, 7_000, 7));
    let late = place.stats(Timestamp(BASE + 91 * 1_000_000)).await.expect("stats");
    assert_eq!((late.len(), late[0].runs), (1, 10), "only what ended since then");
    uses(place).await;
}

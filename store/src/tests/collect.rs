//! Retention and garbage.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::json;
use tempfile::TempDir;
use tidemill_dag::{id::RunId, state::RunState};

use super::bed::{Bed, failure, report};
use crate::{
    Claimed, Collected, LogLine, LogQuery, LogStream, Outcome, Retention, Store, StoreError,
    blobs::{Blobs, Folder},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const GRACE: Duration = Duration::from_secs(3_600);

const KEPT: Retention = Retention { datasets: Some(DAY), logs: Some(DAY), events: None, grace: GRACE };

async fn place() -> (TempDir, Folder) {
    let folder = TempDir::new().expect("a folder");
    let blobs = Folder::open(folder.path()).await.expect("it opens");
    (folder, blobs)
}

fn file(task: &Claimed) -> String {
    let key = task.ticket.task;
    format!("runs/{}/t{}/{}/part-00000.parquet", key.run, key.ordinal.0, task.ticket.attempt.0)
}

fn named(file: &str) -> Outcome {
    Outcome::Succeeded { output: json!({"manifest": {"files": [{"path": file}], "rows": 1}}) }
}

/// Works a task off as a worker does: first the file, then the manifest that names it.
async fn produce(store: &Store, blobs: &Folder, task: &Claimed, who: &str) {
    let file = file(task);
    blobs.put(&file, Bytes::from_static(b"rows")).await.expect("a file");
    assert!(store.complete(report(task, who, named(&file))).await.expect("a verdict").accepted);
}

async fn files(blobs: &Folder) -> HashSet<String> {
    blobs.list("runs/").map_ok(|blob| blob.name).try_collect().await.expect("a list")
}

/// A run of one task with its data set.
async fn finished(bed: &Bed, blobs: &Folder) -> (RunId, String) {
    let run = bed.run(&[&[]]).await;
    let task = bed.claim_one("w").await;
    produce(&bed.store, blobs, &task, "w").await;
    (run, file(&task))
}

async fn collect(bed: &Bed, blobs: &Folder) -> Collected {
    bed.store.collect(blobs, KEPT, false).await.expect("a collection")
}

pub async fn old_data_sets_go_after_a_time_of_grace(bed: &Bed) {
    let (_folder, blobs) = place().await;
    let (_, old) = finished(bed, &blobs).await;
    bed.clock.advance(DAY);
    let (_, young) = finished(bed, &blobs).await;
    bed.clock.advance(Duration::from_secs(1));
    assert_eq!(collect(bed, &blobs).await, Collected { runs_marked: 1, ..Collected::default() });
    assert_eq!(files(&blobs).await.len(), 2, "nothing goes before the time of grace");
    bed.clock.advance(GRACE);
    let done = collect(bed, &blobs).await;
    assert_eq!(done, Collected { runs_emptied: 1, blobs: 1, bytes: 4, ..Collected::default() });
    assert_eq!(files(&blobs).await, HashSet::from([young]));
    assert!(matches!(blobs.size(&old).await, Err(crate::blobs::BlobError::NotFound(_))));
    assert_eq!(collect(bed, &blobs).await, Collected::default(), "once is enough");
}

/// A run that failed at its second task; the first one's data set is there.
async fn half_done(bed: &Bed, blobs: &Folder) -> (RunId, String) {
    let run = bed.run(&[&[], &[0]]).await;
    let first = bed.claim_one("w").await;
    produce(&bed.store, blobs, &first, "w").await;
    let second = bed.claim_one("w").await;
    bed.complete(&second, "w", failure(false)).await;
    assert_eq!(bed.state(run).await, RunState::Failed);
    (run, file(&first))
}

pub async fn a_resume_keeps_what_was_marked(bed: &Bed) {
    let (_folder, blobs) = place().await;
    let (run, first) = half_done(bed, &blobs).await;
    bed.clock.advance(2 * DAY);
    assert_eq!(collect(bed, &blobs).await.runs_marked, 1);
    bed.store.resume_run(run).await.expect("it goes on");
    bed.clock.advance(2 * DAY);
    assert_eq!(collect(bed, &blobs).await, Collected::default(), "a run that goes on keeps everything");
    let second = bed.claim_one("w").await;
    produce(&bed.store, &blobs, &second, "w").await;
    collect(bed, &blobs).await;
    bed.clock.advance(2 * GRACE);
    collect(bed, &blobs).await;
    assert_eq!(files(&blobs).await, HashSet::from([first, file(&second)]), "its age counts from its new end");
}

pub async fn what_is_removed_cannot_be_resumed(bed: &Bed) {
    let (_folder, blobs) = place().await;
    let (run, _) = half_done(bed, &blobs).await;
    bed.clock.advance(2 * DAY);
    collect(bed, &blobs).await;
    bed.clock.advance(GRACE);
    assert_eq!(collect(bed, &blobs).await.runs_emptied, 1);
    let error = bed.store.resume_run(run).await.expect_err("what it needs is gone");
    assert!(matches!(error, StoreError::Removed(found) if found == run), "{error:?}");
    assert_eq!(error.code(), "TM1425");
    assert_eq!(bed.state(run).await, RunState::Failed);
}

pub async fn what_nobody_names_goes_and_what_is_named_stays(bed: &Bed) {
    let (_folder, blobs) = place().await;
    let (run, kept) = finished(bed, &blobs).await;
    let open = bed.run(&[&[]]).await;
    let lost = [
        format!("runs/{run}/t0/7/part-00000.parquet"),
        format!("runs/{run}/t0/1/quarantine/part-00000.parquet"),
        format!("runs/{}/t0/1/part-00000.parquet", RunId(uuid::Uuid::from_u128(9))),
    ];
    let unknown = ["runs/notes.txt".to_owned(), format!("runs/{open}/t0/1/part-00000.parquet")];
    for name in lost.iter().chain(&unknown) {
        blobs.put(name, Bytes::from_static(b"left")).await.expect("a file");
    }
    assert_eq!(collect(bed, &blobs).await, Collected { garbage_seen: 3, ..Collected::default() });
    bed.clock.advance(GRACE / 2);
    assert_eq!(collect(bed, &blobs).await, Collected::default(), "not yet");
    bed.clock.advance(GRACE / 2);
    let done = collect(bed, &blobs).await;
    assert_eq!(done, Collected { blobs: 3, bytes: 12, ..Collected::default() });
    let left = files(&blobs).await;
    assert_eq!(left, HashSet::from([kept, unknown[0].clone(), unknown[1].clone()]), "{lost:?} are gone");
}

pub async fn a_data_set_that_another_run_names_stays(bed: &Bed) {
    let (_folder, blobs) = place().await;
    let (_, lent) = finished(bed, &blobs).await;
    bed.clock.advance(2 * DAY);
    bed.run(&[&[], &[0]]).await;
    let borrower = bed.claim_one("w").await;
    bed.complete(&borrower, "w", named(&lent)).await;
    collect(bed, &blobs).await;
    bed.clock.advance(2 * GRACE);
    collect(bed, &blobs).await;
    assert_eq!(files(&blobs).await, HashSet::from([lent.clone()]), "a run that goes on names it");
    let last = bed.claim_one("w").await;
    bed.complete(&last, "w", Outcome::Succeeded { output: json!({}) }).await;
    // The borrower is old now and keeps nothing any more; two rounds, one after the other.
    for _ in 0..4 {
        bed.clock.advance(2 * DAY);
        collect(bed, &blobs).await;
    }
    assert!(files(&blobs).await.is_empty(), "nobody needs it any longer");
}

pub async fn a_dry_run_changes_nothing(bed: &Bed) {
    let (_folder, blobs) = place().await;
    let (run, file) = finished(bed, &blobs).await;
    let lost = format!("runs/{run}/t0/7/part-00000.parquet");
    bed.clock.advance(2 * DAY);
    let dry =
        || async { bed.store.collect(&blobs, Retention { events: Some(DAY), ..KEPT }, true).await.expect("a look") };
    let expected = Collected { runs_marked: 1, runs_forgotten: 1, events: 5, ..Collected::default() };
    assert_eq!(dry().await, expected);
    assert_eq!(dry().await, expected, "nothing was noted");
    blobs.put(&lost, Bytes::from_static(b"left")).await.expect("a file");
    assert_eq!(dry().await, Collected { garbage_seen: 1, ..expected.clone() });
    collect(bed, &blobs).await;
    bed.clock.advance(GRACE);
    let would = dry().await;
    assert_eq!((would.runs_emptied, would.bytes), (1, 8 + 4), "the lost one counts with its run and alone");
    assert_eq!(files(&blobs).await, HashSet::from([file, lost]));
    assert_eq!(bed.store.events(run, 0, 100).await.expect("events").len(), 5);
}

pub async fn old_lines_and_events_go(bed: &Bed) {
    let (_folder, blobs) = place().await;
    let (run, _) = finished(bed, &blobs).await;
    let line = |seq| LogLine {
        task: super::bed::key(run, 0),
        attempt: tidemill_dag::id::Attempt(1),
        seq,
        at: tidemill_dag::time::Clock::now(&bed.clock),
        stream: LogStream::Stdout,
        text: format!("line {seq}"),
    };
    let old: Vec<LogLine> = (1..=6_000).map(line).collect();
    bed.store.append_logs(&old).await.expect("stored");
    bed.clock.advance(2 * DAY);
    let line = |seq| LogLine { at: tidemill_dag::time::Clock::now(&bed.clock), ..line(seq) };
    bed.store.append_logs(&[line(7_000)]).await.expect("stored");
    let (young, _) = finished(bed, &blobs).await;
    let retention = Retention { datasets: None, events: Some(DAY), ..KEPT };
    let done = bed.store.collect(&blobs, retention, false).await.expect("a collection");
    assert_eq!((done.logs, done.runs_forgotten, done.events), (6_000, 1, 5));
    let query = LogQuery { run, ordinal: None, after: 0, limit: 10 };
    assert_eq!(bed.store.logs(query).await.expect("lines").len(), 1);
    assert!(bed.store.events(run, 0, 100).await.expect("events").is_empty());
    assert_eq!(bed.store.events(young, 0, 100).await.expect("events").len(), 5);
    assert!(matches!(bed.store.resume_run(run).await, Err(StoreError::Removed(_))), "its history cannot go on");
    let again = bed.store.collect(&blobs, retention, false).await.expect("a collection");
    assert_eq!(again, Collected::default());
}

pub async fn another_installations_place_is_left_alone(bed: &Bed) {
    let (_folder, blobs) = place().await;
    blobs.put("tidemill-owner", Bytes::from_static(b"tm-somebody")).await.expect("a name");
    let lost = format!("runs/{}/t0/1/x", RunId(uuid::Uuid::from_u128(9)));
    blobs.put(&lost, Bytes::from_static(b"theirs")).await.expect("a file");
    let refused = bed.store.collect(&blobs, KEPT, false).await.expect_err("it is not ours");
    assert!(matches!(&refused, StoreError::PlaceTaken { owner } if owner == "tm-somebody"), "{refused:?}");
    bed.store.take_over_place(&blobs).await.expect("taken over");
    assert_eq!(collect(bed, &blobs).await.garbage_seen, 1);
    let (other, _) = bed.another().await;
    assert_eq!(other.installation().await.expect("a name"), bed.store.installation().await.expect("a name"));
}

pub async fn one_process_takes_each_turn(bed: &Bed) {
    let (other, _) = bed.another().await;
    for _ in 0..3 {
        let asked = futures::future::join_all((0..10).map(|n| {
            let store = if n % 2 == 0 { &bed.store } else { &other };
            store.turn("collect", GRACE)
        }));
        let taken = asked.await.into_iter().filter(|it| *it.as_ref().expect("an answer")).count();
        assert_eq!(taken, 1);
        bed.clock.advance(GRACE);
    }
}

/// Two workers produce, retry and lose attempts, one person resumes what failed, while two collectors with no patience at
/// all collect again and again: no manifest ever names a file that is gone.
pub async fn nothing_live_goes_under_concurrent_writers(bed: &Bed) {
    const RUNS: usize = 24;
    let (_folder, blobs) = place().await;
    let impatient = Retention { datasets: None, logs: None, events: None, grace: Duration::ZERO };
    let (other, _) = bed.another().await;
    let over = std::sync::atomic::AtomicBool::new(false);
    let work = async {
        for n in 0..RUNS {
            let run = bed.run(&[&[], &[0], &[1]]).await;
            for turn in 0_usize.. {
                let claimed = bed.claim("w").await;
                for task in &claimed {
                    // What a lost attempt leaves.
                    let lost = file(task).replace("part-00000", "lost");
                    blobs.put(&lost, Bytes::from_static(b"lost")).await.expect("a file");
                    if (n + turn) % 4 == 3 {
                        bed.complete(task, "w", failure(false)).await;
                        bed.store.resume_run(run).await.expect("it goes on");
                    } else {
                        produce(&bed.store, &blobs, task, "w").await;
                    }
                }
                if claimed.is_empty() {
                    break;
                }
            }
            assert_eq!(bed.state(run).await, RunState::Succeeded);
        }
        over.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let collector = |store: Store| {
        let (blobs, over, clock) = (&blobs, &over, &bed.clock);
        async move {
            let mut removed = 0;
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                clock.advance(Duration::from_millis(1));
                removed += store.collect(blobs, impatient, false).await.expect("a collection").blobs;
            }
            removed
        }
    };
    let ((), one, two) = tokio::join!(work, collector(bed.store.clone()), collector(other));
    bed.clock.advance(Duration::from_secs(1));
    let mut rest = 0;
    for _ in 0..2 {
        bed.clock.advance(Duration::from_secs(1));
        rest += bed.store.collect(&blobs, impatient, false).await.expect("a collection").blobs;
    }
    let left = files(&blobs).await;
    let runs = bed.store.runs(&crate::RunFilter::default(), crate::Page { before: None, limit: 1_000 }).await;
    let mut named = 0;
    for run in runs.expect("runs") {
        for task in bed.store.tasks(run.id).await.expect("tasks") {
            let output = task.output.expect("an output");
            let path = output["manifest"]["files"][0]["path"].as_str().expect("a path").to_owned();
            assert!(left.contains(&path), "{path} is named and gone");
            named += 1;
        }
    }
    assert_eq!(named, left.len(), "what nobody names is gone: {left:?}");
    println!("counted: {named} files kept, {} removed meanwhile, {rest} afterwards", one + two);
}

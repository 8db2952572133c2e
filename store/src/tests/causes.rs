//! Named causes and dead letters.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tidemill_dag::{spec::Concurrency, state::RunState};

use super::bed::{Bed, PIPELINE};
use crate::{Created, LETTERS_KEPT, Letter, LetterKind, Named, NewLetter, NewRun, Page, RunFilter, Store, StoreError};

fn named(key: &str, request: Option<&str>) -> Named {
    Named { key: key.to_owned(), request: request.map(str::to_owned), lasts: Duration::from_secs(600) }
}

/// Runs that may all run at once, so that only their causes keep them apart.
fn plan(bed: &Bed) -> NewRun {
    let concurrency = Concurrency { max_runs: 2_000, ..Concurrency::default() };
    NewRun { concurrency, ..bed.plan(&[&[], &[0]]) }
}

async fn once(bed: &Bed, store: &Store, key: &str, request: Option<&str>) -> Result<Created, StoreError> {
    store.create_run_once(plan(bed), named(key, request)).await
}

/// Two processes over one database are told the same thing a thousand times at once.
pub async fn a_cause_told_a_thousand_times_makes_one_run(bed: &Bed) {
    let (other, _) = bed.another().await;
    let told = (0..1_000).map(|n| {
        let store = if n % 2 == 0 { &bed.store } else { &other };
        // Other causes come in between, and must not be held for the same.
        async move { once(bed, store, if n % 10 == 0 { "hook/0/id/other" } else { "hook/0/id/one" }, None).await }
    });
    let made: Vec<Created> = join_all(told).await.into_iter().map(|it| it.expect("a run")).collect();
    assert_eq!(made.iter().filter(|it| !it.existed).count(), 2);
    let runs = bed.store.runs(&RunFilter::default(), Page::default()).await.expect("runs");
    assert_eq!(runs.len(), 2);
    assert!(made.iter().enumerate().all(|(n, it)| it.run == made[if n % 10 == 0 { 0 } else { 1 }].run));
}

pub async fn another_request_with_the_same_key_is_refused(bed: &Bed) {
    let first = once(bed, &bed.store, "api/k", Some("a")).await.expect("a run");
    let again = once(bed, &bed.store, "api/k", Some("a")).await.expect("the same run");
    assert_eq!((again.run, again.existed), (first.run, true));
    let other = once(bed, &bed.store, "api/k", Some("b")).await;
    assert!(matches!(&other, Err(StoreError::KeyTaken { run, .. }) if *run == first.run), "{other:?}");
    // Both in one transaction.
    let pair = join_all([once(bed, &bed.store, "api/l", Some("a")), once(bed, &bed.store, "api/l", Some("b"))]).await;
    assert_eq!(pair.iter().filter(|it| it.is_ok()).count(), 1, "{pair:?}");
    assert_eq!(pair.iter().filter(|it| matches!(it, Err(StoreError::KeyTaken { .. }))).count(), 1, "{pair:?}");
}

pub async fn a_key_is_free_again_when_its_time_is_over(bed: &Bed) {
    let first = once(bed, &bed.store, "api/k", Some("a")).await.expect("a run");
    bed.clock.advance(Duration::from_secs(599));
    assert!(once(bed, &bed.store, "api/k", Some("a")).await.expect("a run").existed);
    assert_eq!(bed.store.forget_keys().await.expect("an answer"), 0);
    bed.clock.advance(Duration::from_secs(1));
    let second = once(bed, &bed.store, "api/k", Some("b")).await.expect("a new run");
    assert!(!second.existed && second.run != first.run);
    let of = async |created: Created| bed.store.run(created.run).await.expect("a run").trigger_key.expect("a key");
    assert_eq!(of(first).await, "api/k");
    assert!(of(second).await.starts_with("api/k#"), "the first run keeps the name");
    assert!(once(bed, &bed.store, "api/k", Some("b")).await.expect("a run").existed);
    bed.clock.advance(Duration::from_secs(600));
    assert_eq!(bed.store.forget_keys().await.expect("an answer"), 1);
    assert_eq!(bed.store.forget_keys().await.expect("an answer"), 0);
    assert!(!once(bed, &bed.store, "api/k", None).await.expect("a run").existed);
}

/// The process ends before or after the commit: what is told again afterwards still makes one run.
pub async fn a_crash_around_the_commit_makes_one_run(bed: &Bed) {
    use crate::desk::Fault;
    for (fault, existed) in [(Fault::BeforeCommit, false), (Fault::AfterCommit, true)] {
        let key = format!("hook/0/id/{fault:?}");
        bed.store.desk.fail_next(fault);
        once(bed, &bed.store, &key, None).await.expect_err("no answer");
        let again = once(bed, &bed.store, &key, None).await.expect("a run");
        assert_eq!(again.existed, existed, "{fault:?}");
        assert_eq!(again.state, RunState::Running);
    }
    assert_eq!(bed.store.runs(&RunFilter::default(), Page::default()).await.expect("runs").len(), 2);
}

fn letter(kind: LetterKind, reason: &str) -> NewLetter {
    NewLetter {
        pipeline: PIPELINE.into(),
        hook: "pushed".into(),
        kind,
        code: "TM1204".into(),
        reason: reason.into(),
        headers: json!({"x-github-event": "push"}),
        body: "{\"a\": \"\u{e4}\"}".into(),
        body_bytes: 11,
        whole: true,
    }
}

pub async fn dead_letters_are_kept_within_bounds(bed: &Bed) {
    let failed = bed.store.bury(&letter(LetterKind::Failed, "first")).await.expect("kept");
    for n in 0..LETTERS_KEPT + 7 {
        bed.store.bury(&letter(LetterKind::Refused, &n.to_string())).await.expect("kept");
    }
    let all = bed.store.letters(None, None, 10_000).await.expect("letters");
    assert_eq!(all.len() as u32, LETTERS_KEPT + 1, "strangers push out no failures");
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id), "newest first");
    let page = bed.store.letters(Some(PIPELINE), Some(all[2].id), 2).await.expect("letters");
    assert_eq!(page, all[3..5]);
    assert!(bed.store.letters(Some("q"), None, 5).await.expect("letters").is_empty());
    let run = bed.run(&[&[]]).await;
    bed.clock.advance(Duration::from_secs(1));
    bed.store.letter_replayed(failed, run).await.expect("noted");
    let Letter { replayed_at, run: made, body, kind, .. } =
        bed.store.letter(failed).await.expect("an answer").expect("a letter");
    assert!(replayed_at.is_some() && made == Some(run) && kind == LetterKind::Failed);
    assert_eq!(body, "{\"a\": \"\u{e4}\"}");
    assert_eq!(bed.store.letter(-1).await.expect("an answer"), None);
}

//! Which deployment answers, and how failures move on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::upstream::{Step, Upstream, answer, json_answer, plain, well_behaved};

/// `m` at the first upstream, `n` at the second, and `auto` that tries both.
async fn two(first: &Upstream, second: &Upstream, more: Value) -> Stage {
    let mut all = json!({
        "providers": {"other": {"kind": "compatible", "url": second.url()}},
        "deployments": {"n": {"provider": "other", "model": "n-1"}},
        "routes": {"auto": {"use": [{"deployment": "m"}], "fallbacks": ["n"]}},
    });
    for (key, value) in more.as_object().expect("an object") {
        match all.get_mut(key) {
            Some(Value::Object(section)) => section.extend(value.as_object().expect("an object").clone()),
            _ => all[key] = value.clone(),
        }
    }
    Stage::before(&first.url(), all).await
}

fn auto() -> Value {
    json!({"model": "auto"})
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_fall_back_in_order_and_refusals_do_not() {
    for (status, falls_back) in [(500, true), (429, true), (401, true), (503, true), (400, false)] {
        let bad = Upstream::start(move |_| plain(status, "text/plain", "", b"")).await;
        let good = Upstream::start(|seen| well_behaved(&seen)).await;
        let stage = two(&bad, &good, json!({})).await;
        let response = stage.ask(auto()).await;
        assert_eq!(response.status == 200, falls_back, "{status}: {}", response.text());
        let expected = if falls_back { ("2", Some("n")) } else { ("1", None) };
        assert_eq!(
            (response.header("x-tidemill-attempts").unwrap_or_default(), response.header("x-tidemill-deployment")),
            expected
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_keeps_calls_away_and_lets_one_probe() {
    let healthy = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is = std::sync::Arc::clone(&healthy);
    let bad = Upstream::start(move |seen| match is.load(Ordering::SeqCst) {
        true => well_behaved(&seen),
        false => plain(500, "text/plain", "", b""),
    })
    .await;
    let stage = Stage::before(&bad.url(), json!({"breaker": {"failures": 3, "rest": "10s", "most": "15s"}})).await;
    for _ in 0..3 {
        assert_eq!(stage.ask(json!({})).await.code(), "TM1112");
    }
    // The clock stands still: however often one asks, nothing goes out.
    for _ in 0..20 {
        let response = stage.ask(json!({})).await;
        assert_eq!((response.status, response.code().as_str()), (503, "TM1106"));
        assert_eq!(response.header("retry-after"), Some("10"));
    }
    assert_eq!(bad.calls(), 3);
    let status = stage.send("GET", "/gateway/status", &[], "").await.json();
    assert_eq!(status["deployments"][0]["breaker"], "open");
    stage.clock.advance(Duration::from_secs(10));
    assert_eq!(stage.ask(json!({})).await.code(), "TM1112", "the probe");
    assert_eq!(stage.ask(json!({})).await.header("retry-after"), Some("15"), "twice as long, up to the most");
    assert_eq!(bad.calls(), 4);
    healthy.store(true, Ordering::SeqCst);
    stage.clock.advance(Duration::from_secs(15));
    assert_eq!(stage.ask(json!({})).await.status, 200);
    assert_eq!(stage.ask(json!({})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_to_wait_is_honoured_and_a_long_one_ends_the_tries() {
    let upstream = Upstream::start(|seen| match seen.number {
        0 => plain(429, "text/plain", "retry-after-ms: 120\r\n", b""),
        1 => well_behaved(&seen),
        _ => plain(503, "text/plain", "retry-after: 60\r\n", b""),
    })
    .await;
    let stage = Stage::before(&upstream.url(), json!({"retry": {"attempts": 3, "base": "1ms", "most": "2s"}})).await;
    let began = std::time::Instant::now();
    let response = stage.ask(json!({})).await;
    assert_eq!((response.status, response.header("x-tidemill-attempts")), (200, Some("2")), "{}", response.text());
    assert!(began.elapsed() >= Duration::from_millis(120));
    let response = stage.ask(json!({})).await;
    assert_eq!((response.status, response.header("retry-after")), (502, Some("60")));
    assert_eq!(upstream.calls(), 3, "a minute is not waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_rests_and_the_next_is_used() {
    let upstream = Upstream::start(|seen| match seen.header("authorization") {
        Some("Bearer good") => well_behaved(&seen),
        _ => plain(401, "text/plain", "", b""),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let place = |key: &str| {
        let path = folder.path().join(key);
        std::fs::write(&path, key).expect("written");
        json!({"key": format!("${{file:{}}}", path.display()), "weight": if key == "good" { 1 } else { 9 }})
    };
    let more = json!({"providers": {"up": {"keys": [place("expired"), place("good")]}}, "retry": {"attempts": 2}});
    let stage = Stage::before(&upstream.url(), more).await;
    for _ in 0..30 {
        assert_eq!(stage.ask(json!({})).await.status, 200);
    }
    assert_eq!(upstream.calls(), 31, "the expired key was tried once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hedge_answers_when_the_first_is_late() {
    let late = Upstream::start(|_| vec![Step::UntilGone]).await;
    let good = Upstream::start(|seen| well_behaved(&seen)).await;
    let routes = json!({"routes": {"auto": {"use": [{"deployment": "m"}], "fallbacks": ["n"], "hedge_after": "50ms"}}});
    let stage = two(&late, &good, routes).await;
    let response = stage.ask(auto()).await;
    assert_eq!((response.status, response.header("x-tidemill-deployment")), (200, Some("n")));
    crate::stage::until("the loser is cancelled", || late.gone.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_explains_and_sends_nothing() {
    let (first, second) =
        (Upstream::start(|seen| well_behaved(&seen)).await, Upstream::start(|seen| well_behaved(&seen)).await);
    let rule = json!({"name": "queries", "when": {"sql": true}, "use": [{"deployment": "n"}]});
    let stage =
        two(&first, &second, json!({"routes": {"auto": {"rules": [rule], "use": [{"deployment": "m"}]}}})).await;
    let ask =
        |text: &str| crate::stage::question(json!({"model": "auto", "messages": [{"role": "user", "content": text}]}));
    let plain = stage.post("/gateway/route", &ask("Hello")).await.json();
    assert_eq!((&plain["rule"], &plain["order"][0]["deployment"]), (&Value::Null, &json!("m")), "{plain}");
    let sql = stage.post("/gateway/route", &ask("SELECT a FROM b")).await.json();
    assert_eq!((&sql["rule"], &sql["order"][0]["deployment"]), (&json!("queries"), &json!("n")), "{sql}");
    assert_eq!(sql["signals"]["sql"], true);
    assert_eq!(first.calls() + second.calls(), 0);
    // And it tells the truth.
    let response = stage.post("/v1/chat/completions", &ask("SELECT a FROM b")).await;
    assert_eq!(response.header("x-tidemill-deployment"), Some("n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_data_goes_only_where_it_may() {
    let (first, second) =
        (Upstream::start(|seen| well_behaved(&seen)).await, Upstream::start(|seen| well_behaved(&seen)).await);
    let stage = two(&first, &second, json!({"tenants": {"default": {"providers": ["other"]}}})).await;
    assert_eq!(stage.ask(auto()).await.header("x-tidemill-provider"), Some("other"));
    assert_eq!(stage.ask(json!({})).await.code(), "TM1104");
    assert_eq!(first.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_run_at_once_than_a_deployment_has_places() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let upstream = Upstream::start(|_| {
        NOW.fetch_max(1, Ordering::SeqCst);
        let mut steps = vec![Step::Wait(Duration::from_millis(30))];
        steps.extend(json_answer(200, &answer("Hi", 1, 1)));
        steps
    })
    .await;
    let more = json!({"deployments": {"m": {"concurrency": 3, "queue": 5}}});
    let stage = Stage::before(&upstream.url(), more).await;
    let calls = futures::future::join_all((0..20).map(|_| stage.ask(json!({})))).await;
    let ok = calls.iter().filter(|response| response.status == 200).count();
    let full = calls.iter().filter(|response| response.code() == "TM1124").count();
    assert_eq!(ok + full, 20);
    assert!(ok >= 8 && full > 0, "{ok} answered, {full} turned away");
    assert!(upstream.open.load(Ordering::SeqCst) <= 3);
}

//! Which deployment answers, and how failures move on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Asker, Stage, until};
use crate::upstream::{Step, Upstream, answer, chunk, json_answer, plain, stream_head, well_behaved};

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
    let healthy = Arc::new(AtomicBool::new(false));
    let is = Arc::clone(&healthy);
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

/// The same for streams: an answer that ends in the middle is a failure, the probe is one stream, and a reader who goes away
/// says nothing about the deployment.
#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_counts_streams_and_lets_one_probe() {
    let upstream = Upstream::start(|seen| match seen.number {
        0..3 => vec![stream_head(), chunk("Hel")],
        3 => vec![stream_head(), chunk("Hel"), Step::UntilGone],
        _ => well_behaved(&seen),
    })
    .await;
    let rules = json!({"breaker": {"failures": 3, "rest": "10s"}, "server": {"threads": 1}});
    let stage = Stage::before(&upstream.url(), rules).await;
    let stream = json!({"stream": true});
    let breaker = || serde_json::to_value(stage.gateway.status()[0].breaker).expect("JSON");
    for _ in 0..3 {
        assert_eq!(breaker(), "closed");
        assert!(stage.ask(stream.clone()).await.text().contains("TM1118"));
    }
    assert_eq!(breaker(), "open");
    for _ in 0..20 {
        let response = stage.ask(stream.clone()).await;
        assert_eq!((response.status, response.header("retry-after")), (503, Some("10")), "{}", response.text());
    }
    assert_eq!(upstream.calls(), 3);
    stage.clock.advance(Duration::from_secs(10));
    let asker = Asker::of(stage.address);
    let probe = tokio::spawn(async move { asker.ask(json!({"stream": true})).await });
    until("the probe arrives", || upstream.calls() == 4).await;
    assert_eq!(breaker(), "probing");
    for _ in 0..20 {
        assert_eq!(stage.ask(stream.clone()).await.code(), "TM1106");
    }
    assert_eq!(upstream.calls(), 4, "one probe and no more");
    probe.abort();
    until("the probe is over", || upstream.gone.load(Ordering::SeqCst) == 1).await;
    until("the next may probe", || breaker() == "open").await;
    assert!(stage.ask(stream.clone()).await.text().contains("[DONE]"));
    assert_eq!(breaker(), "closed");
}

/// Everybody is turned away at once, by both deployments: each caller gets one error with the route, providers are asked a
/// bounded number of times, and when the storm is over calls go through again.
#[tokio::test(flavor = "multi_thread")]
async fn storms_of_refusals_are_told_and_kept_away() {
    for (status, code) in [(429_u16, "TM1111"), (503, "TM1112")] {
        for stream in [false, true] {
            let over = Arc::new(AtomicBool::new(false));
            let storm = |over: &Arc<AtomicBool>| {
                let over = Arc::clone(over);
                Upstream::start(move |seen| match over.load(Ordering::SeqCst) {
                    true => well_behaved(&seen),
                    false => plain(status, "text/plain", "", b""),
                })
            };
            let (first, second) = (storm(&over).await, storm(&over).await);
            let more = json!({"breaker": {"failures": 5, "rest": "10s"}, "retry": {"attempts": 4, "base": "1ms"}});
            let stage = two(&first, &second, more).await;
            let ask = || stage.ask(json!({"model": "auto", "stream": stream}));
            let mut kinds = std::collections::BTreeMap::<String, usize>::new();
            for _ in 0..10 {
                for response in futures::future::join_all((0..30).map(|_| ask())).await {
                    let (found, error) = (response.code(), response.json()["error"].clone());
                    // Whoever was turned away hears by whom; whoever comes later, that nobody is asked.
                    let route = error["route"].as_array().map_or(0, Vec::len);
                    let expected = if route == 0 { "TM1106" } else { code };
                    assert!(found == expected && route <= 4, "{}", response.text());
                    *kinds.entry(found).or_default() += 1;
                }
            }
            let sent = first.calls() + second.calls();
            assert!(kinds[code] > 0 && kinds["TM1106"] >= 200, "{kinds:?}");
            println!("counted: storm of {status}, streams {stream}: 300 callers {kinds:?}, {sent} calls of providers");
            assert!(sent <= 90, "after the first wave the breakers keep calls away: {sent}");
            // As long as the clock stands still, nothing more goes out.
            for _ in 0..20 {
                assert_eq!(ask().await.code(), "TM1106");
            }
            assert_eq!(first.calls() + second.calls(), sent);
            over.store(true, Ordering::SeqCst);
            stage.clock.advance(Duration::from_secs(10));
            assert_eq!(ask().await.status, 200);
        }
    }
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
    until("the loser is cancelled", || late.gone.load(Ordering::SeqCst) == 1).await;
}

/// A prompt that surely passes the window is not sent; one that only the provider finds too long goes to a larger window.
#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_over_the_window_goes_to_a_larger_one_or_nowhere() {
    let full = json!({"error": {"message": "too long", "code": "context_length_exceeded"}});
    let small = Upstream::start(move |_| json_answer(400, &full)).await;
    let large = Upstream::start(|seen| well_behaved(&seen)).await;
    let stage = two(&small, &large, json!({"deployments": {"m": {"context": 1_000}}})).await;
    let prompt = |words: usize| json!([{"role": "user", "content": "several words ".repeat(words)}]);
    let told = stage.ask(json!({"model": "auto", "messages": prompt(20)})).await;
    assert_eq!((told.status, told.header("x-tidemill-deployment")), (200, Some("n")), "{}", told.text());
    assert_eq!((small.calls(), told.header("x-tidemill-attempts")), (1, Some("2")));
    let known = stage.ask(json!({"model": "auto", "messages": prompt(2_000)})).await;
    assert_eq!((known.status, known.header("x-tidemill-attempts")), (200, Some("1")), "{}", known.text());
    for stream in [false, true] {
        let nowhere = stage.ask(json!({"messages": prompt(2_000), "stream": stream})).await;
        assert_eq!((nowhere.status, nowhere.code().as_str()), (400, "TM1109"), "{}", nowhere.text());
    }
    assert_eq!((small.calls(), large.calls()), (1, 2));
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

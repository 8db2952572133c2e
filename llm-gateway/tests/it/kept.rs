//! Privacy and cache on the way through the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tidemill_llm_gateway::Outside;
use tidemill_testkit::{ManualClock, SeededChance};

use crate::stage::{Response, Stage, config, until};
use crate::upstream::{Seen, Step, Upstream, answer, chunk, json_answer, plain, stream_end, stream_head};

pub const NAMESPACE: (&str, &str) = ("x-tidemill-cache-namespace", "tests");

/// A gateway with the privacy and the cache of its configuration.
pub async fn stage(url: &str, more: Value) -> Stage {
    let (config, clock) = (config(url, more), ManualClock::default());
    let outside = Outside::of(&config, Arc::new(clock.clone()), Arc::new(SeededChance::new(1))).expect("opens");
    Stage::with(config, outside, clock).await
}

pub async fn ask(stage: &Stage, question: &str, headers: &[(&str, &str)], stream: bool) -> Response {
    let messages = json!([{"role": "user", "content": question}]);
    let body = json!({"model": "m", "temperature": 0, "stream": stream, "messages": messages});
    let headers = [&[("content-type", "application/json")], headers].concat();
    stage.send("POST", "/v1/chat/completions", &headers, body.to_string()).await
}

/// What was asked, in the provider's eyes.
fn question(seen: &Seen) -> String {
    seen.body["messages"][0]["content"].as_str().unwrap_or_default().to_owned()
}

/// Says what it was asked; a stream comes letter by letter.
pub fn echo(seen: &Seen) -> Vec<Step> {
    let said = format!("You said: {}", question(seen));
    if !seen.streams() {
        return json_answer(200, &answer(&said, 10, 5));
    }
    let mut steps = vec![stream_head()];
    steps.extend(said.chars().map(|letter| chunk(&letter.to_string())));
    steps.extend(stream_end(10, 5));
    steps
}

pub fn said(response: &Response) -> String {
    response.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
}

/// The words of a stream.
fn streamed(response: &Response) -> String {
    let frames = response.frames();
    let words = frames.iter().filter_map(|frame| serde_json::from_str::<Value>(frame).ok());
    words.filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_kept_replayed_and_served_to_near_requests() {
    let upstream = Upstream::start(|seen| echo(&seen)).await;
    let stage = stage(&upstream.url(), json!({})).await;
    let first = ask(&stage, "Show the top 10 customers", &[NAMESPACE], false).await;
    assert_eq!(
        (first.header("x-tidemill-cache"), first.header("x-tidemill-embedding")),
        (Some("miss"), Some("ngrams-512"))
    );
    let kept = || async { stage.send("GET", "/gateway/status", &[], "").await.json()["cache"]["counts"]["kept"] == 1 };
    while !kept().await {
        tokio::task::yield_now().await;
    }
    let again = ask(&stage, "Show the top 10 customers", &[NAMESPACE], false).await;
    assert_eq!((again.header("x-tidemill-cache"), said(&again)), (Some("exact"), said(&first)));
    let stream = ask(&stage, "Show the top 10 customers", &[NAMESPACE], true).await;
    assert_eq!((stream.header("x-tidemill-cache"), streamed(&stream)), (Some("exact"), said(&first)));
    assert_eq!(stream.frames().last().map(String::as_str), Some("[DONE]"));
    let near = ask(&stage, "Hi, please display the top ten customers", &[NAMESPACE], false).await;
    assert_eq!((near.header("x-tidemill-cache"), said(&near)), (Some("semantic"), said(&first)));
    assert_eq!(upstream.calls(), 1);

    let other = ask(&stage, "Show the top 100 customers", &[NAMESPACE], false).await;
    assert_eq!(
        (other.header("x-tidemill-cache"), said(&other).as_str()),
        (Some("miss"), "You said: Show the top 100 customers")
    );
    let nowhere = ask(&stage, "Show the top 10 customers", &[], false).await;
    assert_eq!((nowhere.header("x-tidemill-cache"), nowhere.header("x-tidemill-embedding")), (Some("off"), None));
    assert_eq!(upstream.calls(), 3);
}

/// Asks until the answer is kept.
pub async fn keep(stage: &Stage, question: &str) -> String {
    let first = said(&ask(stage, question, &[NAMESPACE], false).await);
    let kept = || async { stage.send("GET", "/gateway/status", &[], "").await.json()["cache"]["counts"]["kept"] == 1 };
    while !kept().await {
        tokio::task::yield_now().await;
    }
    first
}

/// The vectors of a server find near requests; while it is away, requests are answered by the provider.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_embeddings_finds_near_requests() {
    let away = Arc::new(AtomicBool::new(false));
    let is_away = Arc::clone(&away);
    let vectors = Upstream::start(move |seen| {
        assert_eq!((seen.path.as_str(), &seen.body["model"]), ("/v1/embeddings", &json!("e")));
        let text = seen.body["input"][0].as_str().unwrap_or_default().to_owned();
        let row = json!({"object": "embedding", "index": 0, "embedding": [2.0, text.len() as f64 / 1e3, 0.0]});
        match is_away.load(Ordering::SeqCst) {
            true => plain(500, "text/plain", "", b""),
            false => json_answer(200, &json!({"object": "list", "model": "e", "data": [row]})),
        }
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, "emb-secret").expect("written");
    let endpoint =
        json!({"url": format!("{}/v1", vectors.url()), "model": "e", "key": format!("${{file:{}}}", key.display())});
    let semantic =
        json!({"embedding": {"endpoint": endpoint}, "serve_above": 0.9, "calibrated_for": "endpoint-e", "shadow": 0.0});
    let upstream = Upstream::start(|seen| echo(&seen)).await;
    let stage = stage(&upstream.url(), json!({"cache": {"semantic": semantic}})).await;
    let first = keep(&stage, "Show the top 10 customers").await;
    let near = ask(&stage, "Hi, please display the top ten customers", &[NAMESPACE], false).await;
    assert_eq!((near.header("x-tidemill-cache"), said(&near)), (Some("semantic"), first));
    assert_eq!(near.header("x-tidemill-embedding"), Some("endpoint-e"));
    assert_eq!(vectors.last().header("authorization"), Some("Bearer emb-secret"));
    // As near as the other, and yet another question: the guard decides.
    let other = ask(&stage, "Show the top 11 customers", &[NAMESPACE], false).await;
    assert_eq!(said(&other), "You said: Show the top 11 customers");
    away.store(true, Ordering::SeqCst);
    let answered = ask(&stage, "Please show me the top ten customers", &[NAMESPACE], false).await;
    assert_eq!((answered.status, answered.header("x-tidemill-cache")), (200, Some("miss")));
    let status = stage.send("GET", "/gateway/status", &[], "").await;
    assert!(status.json()["cache"]["counts"]["failures"].as_u64() > Some(0), "{}", status.text());
    assert!(!status.text().contains("emb-secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_read_to_its_end_is_kept() {
    let upstream = Upstream::start(|seen| echo(&seen)).await;
    let stage = stage(&upstream.url(), json!({})).await;
    let first = ask(&stage, "Which orders are late?", &[NAMESPACE], true).await;
    assert_eq!(streamed(&first), "You said: Which orders are late?");
    let calls = Arc::clone(&upstream.seen);
    let mut state = String::new();
    while state != "exact" {
        let again = ask(&stage, "Which orders are late?", &[NAMESPACE], false).await;
        assert_eq!(said(&again), "You said: Which orders are late?");
        state = again.header("x-tidemill-cache").unwrap_or_default().to_owned();
        assert!(calls.lock().expect("sound").len() < 20, "it is never kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_sees_placeholders_and_the_caller_the_values() {
    let upstream = Upstream::start(|seen| echo(&seen)).await;
    let stage = stage(&upstream.url(), json!({})).await;
    let asked = "mail bob@example.org about card 4111 1111 1111 1111 with key ghp_0123456789abcdefghijABCDEFGHIJ012345";
    for stream in [false, true] {
        let response = ask(&stage, asked, &[], stream).await;
        let words = if stream { streamed(&response) } else { said(&response) };
        assert_eq!(words, format!("You said: {asked}"));
        let seen = question(&upstream.last());
        assert_eq!(seen, "mail MASKED_EMAIL_1 about card MASKED_CARD_1 with key MASKED_SECRET_1");
    }
    let records = serde_json::to_string(&*stage.records.0.lock().expect("sound")).expect("prints");
    assert!(!records.contains("bob@") && !records.contains("ghp_"), "{records}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_never_holds_what_was_masked() {
    let upstream = Upstream::start(|seen| echo(&seen)).await;
    let stage = stage(&upstream.url(), json!({})).await;
    ask(&stage, "mail bob@example.org", &[NAMESPACE], false).await;
    let mut state = String::new();
    while state != "exact" {
        // The same masked request of another person: the answer is the kept one, with this person's value in it.
        let other = ask(&stage, "mail eve@example.org", &[NAMESPACE], false).await;
        assert_eq!(said(&other), "You said: mail eve@example.org");
        state = other.header("x-tidemill-cache").unwrap_or_default().to_owned();
        assert!(upstream.calls() < 20, "it is never kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_may_refuse_and_then_nothing_is_sent() {
    let upstream = Upstream::start(|seen| echo(&seen)).await;
    let more = json!({"privacy": {"default": {"personal": "block"}}});
    let stage = stage(&upstream.url(), more).await;
    let refused = ask(&stage, "mail bob@example.org", &[], false).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "TM1150"));
    assert!(!refused.text().contains("bob@"), "{}", refused.text());
    let vectors = stage.post("/v1/embeddings", &json!({"model": "m", "input": "mail bob@example.org"})).await;
    assert_eq!((vectors.status, vectors.code().as_str()), (400, "TM1150"));
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identical_requests_at_once_are_one_call() {
    let upstream = Upstream::start(|seen| {
        let mut steps = vec![Step::Wait(std::time::Duration::from_millis(300))];
        steps.extend(echo(&seen));
        steps
    })
    .await;
    let stage = stage(&upstream.url(), json!({})).await;
    let asks = (0..20).map(|n| {
        let stage = &stage;
        async move { ask(stage, "Count the orders", &[NAMESPACE], n % 2 == 0).await }
    });
    let all = futures::future::join_all(asks).await;
    assert!(all.iter().all(|response| response.status == 200));
    println!("counted: 20 identical requests at once: {} call of the provider", upstream.calls());
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counted_prompts_fit_where_bytes_do_not() {
    let upstream = Upstream::start(|seen| echo(&seen)).await;
    let limits = |exact: bool| {
        json!({
            "deployments": {"m": {"model": "gpt-4o-mini", "max_output": 50}},
            "tiers": {"default": {"limits": [{"per": "1m", "tokens": 1_000}]}},
            "ledger": {"exact_tokens": exact},
        })
    };
    // 1,800 bytes, about 360 tokens.
    let long = "Load the orders of each day. ".repeat(62);
    let by_bytes = stage(&upstream.url(), limits(false)).await;
    assert_eq!(ask(&by_bytes, &long, &[], false).await.code(), "TM1107");
    let counted = stage(&upstream.url(), limits(true)).await;
    assert_eq!(ask(&counted, &long, &[], false).await.status, 200);
    until("the call was recorded", || !counted.records.0.lock().expect("sound").is_empty()).await;
}

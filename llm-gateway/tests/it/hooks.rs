//! Privacy and cache on the way of a call.

use std::sync::Arc;

use serde_json::{Value, json};
use tidemill_llm_gateway::Outside;
use tidemill_testkit::{ManualClock, SeededChance};

use crate::stage::{Stage, config, question};
use crate::upstream::{Seen, Step, Upstream, answer, chunk, json_answer, stream_end, stream_head, well_behaved};

async fn with_all(url: &str) -> Stage {
    let clock = ManualClock::default();
    let config = config(url, json!({}));
    let outside = Outside::of(&config, Arc::new(clock.clone()), Arc::new(SeededChance::new(1))).expect("sections");
    Stage::with(config, outside, clock).await
}

/// Says the question again, in pieces of two signs where it streams.
fn echo(seen: &Seen) -> Vec<Step> {
    let text = seen.body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
    if !seen.streams() {
        return json_answer(200, &answer(&text, 20, 20));
    }
    let signs: Vec<char> = text.chars().collect();
    let pieces = signs.chunks(2).map(|two| chunk(&two.iter().collect::<String>()));
    std::iter::once(stream_head()).chain(pieces).chain(stream_end(20, 20)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_masked_on_the_way_out_is_back_in_the_answer() {
    let upstream = Upstream::start(|seen| echo(&seen)).await;
    let stage = with_all(&upstream.url()).await;
    let said = "Write to ann.smith@example.org about card 4111 1111 1111 1111, please.";
    let ask = json!({"messages": [{"role": "user", "content": said}], "logprobs": false, "seed": 3});
    let response = stage.ask(ask.clone()).await;
    assert_eq!(response.json()["choices"][0]["message"]["content"], said, "{}", response.text());
    let sent = upstream.last().body;
    assert!(!sent.to_string().contains("ann.smith") && !sent.to_string().contains("4111"), "{sent}");
    // What is not masked still goes out as it came.
    assert_eq!((&sent["logprobs"], &sent["seed"]), (&json!(false), &json!(3)));
    let mut ask = ask;
    ask["stream"] = true.into();
    let response = stage.ask(ask).await;
    let text: String = response
        .frames()
        .iter()
        .filter_map(|frame| {
            let value: Value = serde_json::from_str(frame).ok()?;
            Some(value.pointer("/choices/0/delta/content")?.as_str()?.to_owned())
        })
        .collect();
    assert_eq!(text, said, "{}", response.text());
    assert!(!upstream.last().body.to_string().contains("ann.smith"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_is_answered_once() {
    let upstream = Upstream::start(|seen| well_behaved(&seen)).await;
    let stage = with_all(&upstream.url()).await;
    let headers = [("x-tidemill-cache-namespace", "orders")];
    let ask =
        async |more: Value| stage.send("POST", "/v1/chat/completions", &headers, question(more).to_string()).await;
    let cold = json!({"temperature": 0});
    assert_eq!(ask(cold.clone()).await.header("x-tidemill-cache"), Some("miss"));
    // It is kept beside the path of the answer.
    let mut hit = ask(cold.clone()).await;
    for _ in 0..200 {
        if hit.header("x-tidemill-cache") == Some("exact") {
            break;
        }
        hit = ask(cold.clone()).await;
    }
    assert_eq!(hit.header("x-tidemill-cache"), Some("exact"));
    assert_eq!(hit.json()["choices"][0]["message"]["content"], "Hello there");
    let calls = upstream.calls();
    let streamed = ask(json!({"temperature": 0, "stream": true})).await;
    assert!(streamed.text().contains("Hello there") && streamed.text().contains("[DONE]"), "{}", streamed.text());
    // Without a namespace, or with chance in the answer, nothing is kept.
    for response in [ask(json!({})).await, stage.ask(cold).await] {
        assert_eq!(response.header("x-tidemill-cache"), Some("off"));
    }
    assert!(upstream.calls() > calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_that_is_left_is_passed_on() {
    let upstream = Upstream::start(|seen| well_behaved(&seen)).await;
    let stage = Stage::before(&upstream.url(), json!({})).await;
    let body = question(json!({})).to_string();
    stage.send("POST", "/v1/chat/completions", &[("x-tidemill-timeout-ms", "30000")], body).await;
    let left: u64 = upstream.last().header("x-tidemill-timeout-ms").expect("it").parse().expect("a number");
    assert!((1..=30_000).contains(&left), "{left}");
}

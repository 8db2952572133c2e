//! Answers in pieces, as callers see them.

use serde_json::{Value, json};

use crate::stage::{Stage, until};
use crate::upstream::{Step, Upstream, chunk, stream_end, stream_head, well_behaved};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_the_same_dialect_is_passed_on_untouched() {
    let upstream = Upstream::start(|seen| well_behaved(&seen)).await;
    let stage = Stage::before(&upstream.url(), json!({})).await;
    let response = stage.ask(json!({"stream": true, "stream_options": {"include_usage": true}})).await;
    let Step::Send(first) = chunk("Hello") else { unreachable!() };
    assert!(response.body.starts_with(&first), "{}", response.text());
    let frames = response.frames();
    assert_eq!(frames.len(), 5, "{frames:?}");
    assert_eq!(frames[4], "[DONE]");
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    assert_eq!(response.header("x-tidemill-model"), Some("m-1"));

    // Whoever did not ask for the usage does not get it, and it is counted all the same.
    let response = stage.ask(json!({"stream": true})).await;
    assert!(!response.text().contains("prompt_tokens"), "{}", response.text());
    assert!(response.text().contains("tokens-input=12 tokens-output=3"), "{}", response.text());
    assert_eq!(upstream.last().body["stream_options"], json!({"include_usage": true}));
    assert_eq!(upstream.last().body["max_tokens"], 100, "the cap that was reserved is passed on");
    until("two records", || stage.records.0.lock().expect("sound").len() == 2).await;
    let records = stage.records.0.lock().expect("sound");
    assert!(records.iter().all(|record| record.usage.total() == 15 && record.first_piece.is_some()));
}

/// The same bytes in every cut: frames and UTF-8 signs are split in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn frames_may_be_cut_anywhere() {
    let mut whole: Vec<u8> = Vec::new();
    for step in [vec![chunk("Grüße, 世界"), chunk(" 🚀")], stream_end(5, 5)].concat() {
        let Step::Send(bytes) = step else { unreachable!() };
        whole.extend(bytes);
    }
    let upstream = Upstream::start(move |seen| {
        let size = seen.number + 1;
        let pieces = whole.chunks(size).map(|piece| Step::Send(piece.to_vec()));
        std::iter::once(stream_head()).chain(pieces).collect()
    })
    .await;
    let stage = Stage::before(&upstream.url(), json!({})).await;
    for number in 0..40 {
        // In turn: passed on, and written anew in the other protocol.
        let response = match number % 2 {
            0 => stage.ask(json!({"stream": true})).await,
            _ => stage.ask_anthropic(json!({"stream": true})).await,
        };
        let text: String = response
            .frames()
            .iter()
            .filter_map(|frame| {
                let value: Value = serde_json::from_str(frame).ok()?;
                let words = value.pointer("/choices/0/delta/content").or_else(|| value.pointer("/delta/text"))?;
                Some(words.as_str()?.to_owned())
            })
            .collect();
        assert_eq!(text, "Grüße, 世界 🚀", "cut every {} bytes", number + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_before_its_first_word_is_tried_elsewhere() {
    let bad = Upstream::start(|_| vec![stream_head(), Step::Send(b": wait\n\n".to_vec())]).await;
    let good = Upstream::start(|seen| well_behaved(&seen)).await;
    let more = json!({
        "providers": {"other": {"kind": "compatible", "url": good.url()}},
        "deployments": {"n": {"provider": "other", "model": "n-1"}},
        "routes": {"auto": {"use": [{"deployment": "m"}], "fallbacks": ["n"]}},
    });
    let stage = Stage::before(&bad.url(), more).await;
    let response = stage.ask(json!({"model": "auto", "stream": true})).await;
    assert_eq!(response.header("x-tidemill-attempts"), Some("2"));
    assert_eq!(response.header("x-tidemill-deployment"), Some("n"));
    assert!(response.text().contains("Hello") && response.text().contains("[DONE]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_gives_events() {
    let upstream = Upstream::start(|seen| well_behaved(&seen)).await;
    let stage = Stage::before(&upstream.url(), json!({})).await;
    let caller = stage.gateway.caller("acme");
    let request = tidemill_llm_gateway::Request::ask("m", "Hi");
    let (answer, facts) = stage.gateway.answer(&caller, request.clone()).await.expect("an answer");
    assert_eq!((answer.text().as_str(), facts.usage.total()), ("Hello there", 15));
    let (mut stream, _) = stage.gateway.stream(&caller, request).await.expect("a stream");
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        if let tidemill_llm_gateway::answer::Event::Text(more) = event.expect("no error") {
            text.push_str(&more);
        }
    }
    assert_eq!(text, "Hello there");
}

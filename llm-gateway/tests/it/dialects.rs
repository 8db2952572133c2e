//! Any front protocol to any provider: what goes out, and what comes back.

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::upstream::{Seen, Step, Upstream, json_answer, stream_head};

/// A conversation with everything in it: instructions, a tool, its call and result, and a form.
fn openai_request() -> Value {
    json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c9", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Bonn\"}"}}]},
            {"role": "tool", "tool_call_id": "c9", "content": "12 degrees"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "Tells", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
        "temperature": 0.5, "stop": "END", "max_tokens": 40, "user": "ann",
    })
}

fn anthropic_request() -> Value {
    json!({
        "model": "m", "max_tokens": 40, "system": "Be brief.", "temperature": 0.5, "stop_sequences": ["END"],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c9", "name": "weather", "input": {"city": "Bonn"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c9", "content": "12 degrees"}]},
        ],
        "tools": [{"name": "weather", "description": "Tells", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
    })
}

/// What a provider of each protocol answers: some words and a call of a tool.
fn provider_answer(seen: &Seen) -> Vec<Step> {
    let openai = json!({"id": "x", "model": "real", "choices": [{"message": {"role": "assistant", "content": "Looking.", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Ulm\"}"}}]}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 30, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 10}}});
    let anthropic = json!({"id": "x", "type": "message", "role": "assistant", "model": "real", "content": [{"type": "text", "text": "Looking."}, {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}}], "stop_reason": "tool_use", "usage": {"input_tokens": 20, "cache_read_input_tokens": 10, "output_tokens": 8}});
    let gemini = json!({"responseId": "x", "modelVersion": "real", "candidates": [{"content": {"parts": [{"text": "Looking."}, {"functionCall": {"name": "weather", "args": {"city": "Ulm"}}}]}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "cachedContentTokenCount": 10}});
    let pieces = |frames: &[Value], named: bool| {
        let frames = frames.iter().map(|value| {
            let event =
                value["type"].as_str().filter(|_| named).map_or_else(String::new, |name| format!("event: {name}\n"));
            Step::Send(format!("{event}data: {value}\n\n").into_bytes())
        });
        std::iter::once(stream_head()).chain(frames).collect::<Vec<_>>()
    };
    if seen.path.contains("streamGenerateContent") {
        let mut first = gemini.clone();
        first["candidates"][0]["content"]["parts"] = json!([{"text": "Looking."}]);
        first["candidates"][0]["finishReason"] = Value::Null;
        let mut second = gemini;
        second["candidates"][0]["content"]["parts"].as_array_mut().expect("parts").remove(0);
        return pieces(&[first, second], false);
    }
    if seen.path.contains("generateContent") {
        return json_answer(200, &gemini);
    }
    if seen.path.ends_with("/v1/messages") {
        return if seen.streams() {
            pieces(
                &[
                    json!({"type": "message_start", "message": {"id": "x", "model": "real", "usage": {"input_tokens": 20, "cache_read_input_tokens": 10, "output_tokens": 1}}}),
                    json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                    json!({"type": "ping"}),
                    json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Looking."}}),
                    json!({"type": "content_block_stop", "index": 0}),
                    json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "c1", "name": "weather", "input": {}}}),
                    json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"city\":"}}),
                    json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "\"Ulm\"}"}}),
                    json!({"type": "content_block_stop", "index": 1}),
                    json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 8}}),
                    json!({"type": "message_stop"}),
                ],
                true,
            )
        } else {
            json_answer(200, &anthropic)
        };
    }
    if seen.streams() {
        let delta = |delta: Value| json!({"id": "x", "model": "real", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        let mut steps = pieces(
            &[
                delta(json!({"role": "assistant", "content": "Looking."})),
                delta(
                    json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}]}),
                ),
                delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"city\":\"Ulm\"}"}}]})),
                json!({"id": "x", "model": "real", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
                json!({"id": "x", "model": "real", "choices": [], "usage": openai["usage"]}),
            ],
            false,
        );
        steps.push(Step::Send(b"data: [DONE]\n\n".to_vec()));
        return steps;
    }
    json_answer(200, &openai)
}

const KINDS: [&str; 7] = ["openai", "anthropic", "qwen", "deepseek", "azure", "gemini", "compatible"];

async fn stage_for(kind: &str, upstream: &Upstream) -> Stage {
    // The key comes from a place, as in life; a file stands for it here.
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "sk-secret\n").expect("written");
    let place = format!("${{file:{}}}", file.path().display());
    let prices = json!([{"model": "m-1", "input": 1, "output": 2, "cached": "0.5"}]);
    Stage::before(
        &upstream.url(),
        json!({"providers": {"up": {"kind": kind, "keys": [{"key": place}]}}, "prices": prices}),
    )
    .await
}

/// Words, call, tokens and reason as a caller of OpenAI's protocol reads them.
fn check_openai(kind: &str, value: &Value) {
    let message = &value["choices"][0]["message"];
    assert_eq!(message["content"], "Looking.", "{kind}");
    assert_eq!(message["tool_calls"][0]["function"]["name"], "weather", "{kind}");
    let arguments = message["tool_calls"][0]["function"]["arguments"].as_str().expect("text");
    assert_eq!(serde_json::from_str::<Value>(arguments).expect("JSON"), json!({"city": "Ulm"}), "{kind}");
    assert_eq!(value["choices"][0]["finish_reason"], "tool_calls", "{kind}");
    let usage = &value["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(30), &json!(8)), "{kind}");
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 10, "{kind}");
}

fn check_anthropic(kind: &str, value: &Value) {
    assert_eq!(value["content"][0], json!({"type": "text", "text": "Looking."}), "{kind}");
    assert_eq!(value["content"][1]["name"], "weather", "{kind}");
    assert_eq!(value["content"][1]["input"], json!({"city": "Ulm"}), "{kind}");
    assert_eq!(value["stop_reason"], "tool_use", "{kind}");
    let usage = &value["usage"];
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(20), &json!(10)), "{kind}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_front_reaches_every_provider() {
    for kind in KINDS {
        let upstream = Upstream::start(|seen| provider_answer(&seen)).await;
        let stage = stage_for(kind, &upstream).await;
        let response = stage.post("/v1/chat/completions", &openai_request()).await;
        assert_eq!(response.status, 200, "{kind}: {}", response.text());
        check_openai(kind, &response.json());
        // 20 × 1 + 10 × 0.5 + 8 × 2 = 41 millionths.
        assert_eq!(response.header("x-tidemill-cost"), Some("0.000041"), "{kind}");
        let from_openai = upstream.last();
        let response = stage.post("/v1/messages", &anthropic_request()).await;
        assert_eq!(response.status, 200, "{kind}: {}", response.text());
        check_anthropic(kind, &response.json());
        check_sent(kind, &from_openai);
        check_sent(kind, &upstream.last());
        for (path, body) in [("/v1/chat/completions", openai_request()), ("/v1/messages", anthropic_request())] {
            let mut body = body;
            body["stream"] = true.into();
            let response = stage.post(path, &body).await;
            let text = response.text();
            assert!(
                response.status == 200 && text.contains("Looking.") && text.contains("weather"),
                "{kind} {path}: {text}"
            );
            assert!(text.contains("tokens-input=30 tokens-output=8 cost=0.000041"), "{kind} {path}: {text}");
            let end = if path.ends_with("messages") { "message_stop" } else { "[DONE]" };
            assert!(text.contains(end) && !text.contains("\"error\""), "{kind} {path}: {text}");
        }
    }
    println!("counted: {} pairs of a caller's protocol and a provider, whole and in pieces", 2 * KINDS.len());
}

/// What the provider saw, by its own protocol.
fn check_sent(kind: &str, seen: &Seen) {
    let body = &seen.body;
    let text = body.to_string();
    for needed in ["Be brief.", "Weather?", "Bonn", "12 degrees", "END", "AAAA"] {
        assert!(text.contains(needed), "{kind} lost `{needed}`: {text}");
    }
    assert!(!text.contains("sk-secret"), "{kind}");
    match kind {
        "anthropic" => {
            assert_eq!(seen.header("x-api-key"), Some("sk-secret"));
            assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
            assert_eq!((&body["max_tokens"], &body["tool_choice"]["type"]), (&json!(40), &json!("any")), "{text}");
        }
        "gemini" => {
            assert_eq!(seen.header("x-goog-api-key"), Some("sk-secret"));
            assert_eq!(seen.path, "/v1beta/models/m-1:generateContent");
            assert_eq!(body["generationConfig"]["maxOutputTokens"], 40);
            assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["name"], "weather");
        }
        "azure" => {
            assert_eq!(seen.header("api-key"), Some("sk-secret"));
            assert_eq!(seen.path, "/openai/deployments/m-1/chat/completions?api-version=2024-10-21");
        }
        _ => {
            assert_eq!(seen.header("authorization"), Some("Bearer sk-secret"), "{kind}");
            assert_eq!(seen.path, "/chat/completions", "{kind}");
        }
    }
    if ["openai", "azure"].contains(&kind) {
        assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&json!(40), &Value::Null), "{text}");
    }
    if ["qwen", "deepseek", "compatible"].contains(&kind) {
        assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&Value::Null, &json!(40)), "{text}");
    }
    assert_eq!(kind == "qwen", body["enable_thinking"] == false, "{kind}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_counterpart_is_refused_by_name() {
    for (kind, path, more, what) in [
        ("anthropic", "/v1/chat/completions", json!({"logit_bias": {"5": 1}}), "logit_bias"),
        ("anthropic", "/v1/chat/completions", json!({"seed": 5}), "seed"),
        ("gemini", "/v1/chat/completions", json!({"logprobs": true}), "logprobs"),
        ("openai", "/v1/messages", json!({"top_k": 5}), "top_k"),
        ("openai", "/v1/messages", json!({"thinking": {"type": "enabled", "budget_tokens": 9}}), "thinking"),
        (
            "openai",
            "/v1/messages",
            json!({"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}),
            "document",
        ),
    ] {
        let upstream = Upstream::start(|seen| provider_answer(&seen)).await;
        let stage = stage_for(kind, &upstream).await;
        let response = match path {
            "/v1/messages" => stage.ask_anthropic(more).await,
            _ => stage.ask(more).await,
        };
        assert_eq!((response.status, response.code().as_str()), (400, "TM1102"), "{kind} {what}: {}", response.text());
        assert!(response.text().contains(what), "{}", response.text());
        assert_eq!(upstream.calls(), 0);
    }
}

/// A schema is asked for in the way of each provider, and the answer comes back as text.
#[tokio::test(flavor = "multi_thread")]
async fn json_of_a_schema_is_asked_for_in_each_providers_way() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    for kind in KINDS {
        let upstream = Upstream::start(|seen| {
            let text = "{\"n\":7}";
            json_answer(200, &match seen.path.as_str() {
                path if path.contains("generateContent") => json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}),
                path if path.ends_with("/v1/messages") => json!({"id": "x", "content": [{"type": "tool_use", "id": "t", "name": "structured_answer", "input": {"n": 7}}], "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}}),
                _ => crate::upstream::answer(text, 1, 1),
            })
        })
        .await;
        let stage = stage_for(kind, &upstream).await;
        let response = stage.ask(json!({"response_format": format})).await;
        assert_eq!(response.json()["choices"][0]["message"]["content"], "{\"n\":7}", "{kind}: {}", response.text());
        assert_eq!(response.json()["choices"][0]["finish_reason"], "stop", "{kind}");
        let body = upstream.last().body;
        let asked = match kind {
            "anthropic" => &body["tools"][0]["input_schema"],
            "gemini" => &body["generationConfig"]["responseJsonSchema"],
            "deepseek" => {
                assert_eq!(body["response_format"], json!({"type": "json_object"}));
                assert!(
                    body["messages"][0]["content"].as_str().is_some_and(|text| text.contains("\"integer\"")),
                    "{body}"
                );
                &schema
            }
            _ => &body["response_format"]["json_schema"]["schema"],
        };
        assert_eq!(asked, &schema, "{kind}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_come_from_every_provider_that_makes_them() {
    for kind in ["openai", "qwen", "azure", "gemini", "compatible"] {
        let upstream = Upstream::start(|seen| {
            json_answer(200, &match seen.path.as_str() {
                "/v1beta/models/m-1:batchEmbedContents" => json!({"embeddings": [{"values": [1.0, 2.0]}, {"values": [3.0, 4.0]}]}),
                _ => json!({"model": "m-1", "data": [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [1.0, 2.0]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}),
            })
        })
        .await;
        let stage = Stage::before(
            &upstream.url(),
            json!({"providers": {"up": {"kind": kind}}, "deployments": {"m": {"embeds": true}}}),
        )
        .await;
        let response = stage.post("/v1/embeddings", &json!({"model": "m", "input": ["a", "b"]})).await;
        assert_eq!(response.json()["data"][1]["embedding"], json!([3.0, 4.0]), "{kind}: {}", response.text());
        assert_eq!(stage.ask(json!({})).await.code(), "TM1102", "it gives no answers");
        let tokens = stage.post("/v1/embeddings", &json!({"model": "m", "input": [[1, 2]]})).await;
        assert_eq!(tokens.code(), "TM1101", "numbers of tokens mean another thing for each model");
    }
}

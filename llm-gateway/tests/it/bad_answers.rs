//! What providers do wrong, each with the one error that the caller gets.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Asker, Stage, until};
use crate::upstream::{Step, Upstream, answer, chunk, json_answer, plain, stream_end, stream_head, well_behaved};

/// Timeouts short enough for a test.
fn hurried() -> Value {
    json!({"timeouts": {"first": "300ms", "idle": "300ms", "total": "5s"}, "server": {"max_answer": 1_000_000}})
}

fn schema() -> Value {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}})
}

fn with_choice(change: impl Fn(&mut Value)) -> Vec<Step> {
    let mut value = answer("", 5, 5);
    change(&mut value["choices"][0]);
    json_answer(200, &value)
}

/// (what it is, what the upstream does, what is asked on top, the code, the status).
type Case = (&'static str, Vec<Step>, Value, &'static str, u16);

fn cases() -> Vec<Case> {
    [wrong_answers(), endless_answers(), refused_requests()].concat()
}

fn none() -> Value {
    json!({})
}

fn head(more: &str) -> Step {
    Step::Send(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}\r\n").into_bytes())
}

fn wrong_answers() -> Vec<Case> {
    vec![
        ("an empty body", plain(200, "application/json", "", b""), none(), "TM1117", 502),
        ("no words", json_answer(200, &answer("", 5, 0)), none(), "TM1117", 502),
        ("no choices", json_answer(200, &json!({"choices": []})), none(), "TM1117", 502),
        ("JSON that ends early", plain(200, "application/json", "", b"{\"choices\": [{\"mess"), none(), "TM1118", 502),
        (
            "a body shorter than told",
            vec![
                head("content-length: 900\r\nconnection: close\r\n"),
                Step::Send(b"{\"choices\"".to_vec()),
                head("x: y\r\n"),
            ],
            none(),
            "TM1118",
            502,
        ),
        ("a connection that breaks", vec![Step::Send(b"HTTP/1.1 200".to_vec())], none(), "TM1118", 502),
        ("a page instead of JSON", plain(200, "text/html", "", b"<html>sign in</html>"), none(), "TM1119", 502),
        ("other JSON", json_answer(200, &json!({"hello": 1})), none(), "TM1119", 502),
        ("words instead of JSON", json_answer(200, &answer("Sure! Here it is", 5, 5)), schema(), "TM1120", 502),
        ("the wrong schema", json_answer(200, &answer("{\"n\": \"one\"}", 5, 5)), schema(), "TM1120", 502),
        ("a refusal", with_choice(|c| c["message"]["refusal"] = "I cannot".into()), none(), "TM1121", 422),
        ("a filter", with_choice(|c| c["finish_reason"] = "content_filter".into()), none(), "TM1121", 422),
        ("a loop", json_answer(200, &answer(&"and again ".repeat(900), 5, 5)), none(), "TM1122", 502),
        (
            "arguments that are no JSON",
            with_choice(|c| {
                c["message"]["tool_calls"] =
                    json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{]"}}])
            }),
            none(),
            "TM1119",
            502,
        ),
    ]
}

fn endless_answers() -> Vec<Case> {
    vec![
        (
            "200 MB with their length",
            vec![head("content-length: 209715200\r\n"), Step::Repeat(vec![b' '; 1 << 20], 200)],
            none(),
            "TM1123",
            502,
        ),
        (
            "200 MB without",
            vec![
                head("transfer-encoding: chunked\r\n"),
                Step::Repeat([b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat(), 200),
            ],
            none(),
            "TM1123",
            502,
        ),
        ("no answer", vec![Step::UntilGone], none(), "TM1116", 504),
        ("a head and then nothing", vec![head("content-length: 50\r\n"), Step::UntilGone], none(), "TM1116", 504),
        ("a slow drip", [vec![head("content-length: 5000\r\n")], drip()].concat(), none(), "TM1116", 504),
    ]
}

fn refused_requests() -> Vec<Case> {
    vec![
        (
            "a key that expired",
            json_answer(401, &json!({"error": {"message": "expired", "type": "invalid_request_error"}})),
            none(),
            "TM1110",
            502,
        ),
        ("a limit", plain(429, "application/json", "retry-after: 7\r\n", b"{}"), none(), "TM1111", 429),
        ("a server error", plain(500, "text/plain", "", b"oops"), none(), "TM1112", 502),
        ("overload", plain(503, "text/plain", "", b""), none(), "TM1112", 502),
        (
            "a request it finds wrong",
            json_answer(400, &json!({"error": {"message": "bad temperature", "type": "invalid_request_error"}})),
            none(),
            "TM1113",
            400,
        ),
        (
            "a prompt over its window",
            json_answer(
                400,
                &json!({"error": {"message": "This model's maximum context length is 8 tokens", "code": "context_length_exceeded"}}),
            ),
            none(),
            "TM1109",
            400,
        ),
    ]
}

/// One byte now and then: never silent, and slower than is allowed.
fn drip() -> Vec<Step> {
    let step = |_| [Step::Send(b" ".to_vec()), Step::Wait(Duration::from_millis(50))];
    (0..100).flat_map(step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_answer_is_one_typed_error_with_the_route() {
    let mut checked = 0;
    for (what, steps, more, code, status) in cases() {
        let upstream = Upstream::start(move |_| steps.clone()).await;
        let stage = Stage::before(&upstream.url(), hurried()).await;
        let response = stage.ask(more.clone()).await;
        assert_eq!((response.status, response.code().as_str()), (status, code), "{what}: {}", response.text());
        let error = &response.json()["error"];
        assert_eq!(error["route"], json!([{"deployment": "m", "outcome": code}]), "{what}");
        assert!(error["message"].as_str().is_some_and(|text| !text.contains("oops")), "{what}");
        if code == "TM1111" {
            assert_eq!(response.header("retry-after"), Some("7"));
        }
        // The same in the other protocol, with its own shape.
        if more == json!({}) {
            let response = stage.ask_anthropic(json!({})).await;
            assert_eq!((response.status, response.code().as_str()), (status, code), "{what}: {}", response.text());
            assert_eq!(response.json()["type"], "error", "{what}");
        }
        checked += 1;
    }
    println!("counted: {checked} wrong answers of providers, each with its own error");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_stream_ends_with_one_typed_error() {
    let endless = || {
        Step::Repeat(
            match chunk("something new and ") {
                Step::Send(b) => b,
                _ => Vec::new(),
            },
            2_000_000,
        )
    };
    let many = || {
        Step::Repeat(
            match chunk(&"0123456789 abcdefghij".repeat(50)) {
                Step::Send(b) => b,
                _ => Vec::new(),
            },
            1,
        )
    };
    let cases: Vec<(&str, Vec<Step>, Value, &str)> = vec![
        ("nothing", vec![stream_head()], json!({}), "TM1117"),
        ("only its mark", vec![stream_head(), Step::Send(b"data: [DONE]\n\n".to_vec())], json!({}), "TM1117"),
        ("cut", vec![stream_head(), chunk("Hello")], json!({}), "TM1118"),
        ("cut inside a frame", vec![stream_head(), chunk("Hello"), Step::Send(b"data: {\"choices\": [{\"del".to_vec())], json!({}), "TM1118"),
        ("no JSON", vec![stream_head(), chunk("Hello"), Step::Send(b"data: <html>\n\n".to_vec())], json!({}), "TM1119"),
        ("an error inside", vec![stream_head(), chunk("Hello"), Step::Send(b"data: {\"error\": {\"message\": \"secret\"}}\n\n".to_vec())], json!({}), "TM1112"),
        ("a stall", vec![stream_head(), chunk("Hello"), Step::UntilGone], json!({}), "TM1116"),
        ("a loop", vec![stream_head(), many(), endless()], json!({}), "TM1122"),
        ("the wrong schema", [vec![stream_head(), chunk("{\"n\": true}")], stream_end(5, 5)].concat(), schema(), "TM1120"),
        ("a slow drip", [vec![stream_head(), chunk("Hello")], drip()].concat(), json!({}), "TM1116"),
        ("a refusal", vec![stream_head(), chunk("I"), Step::Send(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"no\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_vec())], json!({}), "TM1121"),
    ];
    let refused = refused_requests().into_iter().map(|(what, steps, more, code, _)| (what, steps, more, code));
    let mut checked = 0;
    for (what, steps, more, code) in cases.into_iter().chain(refused) {
        checked += 1;
        let upstream = Upstream::start(move |_| steps.clone()).await;
        let stage = Stage::before(&upstream.url(), hurried()).await;
        let mut body = more;
        body["stream"] = true.into();
        let response = stage.ask(body.clone()).await;
        let found = if response.status == 200 {
            let frames = response.frames();
            assert!(!frames.iter().any(|frame| frame == "[DONE]"), "{what}: it is not whole and says so");
            let last: Value = serde_json::from_str(frames.last().expect("a frame")).expect("JSON");
            assert_eq!(last["error"]["route"][0]["deployment"], "m", "{what}: {last}");
            last["error"]["code"].as_str().unwrap_or("none").to_owned()
        } else {
            assert_eq!(response.json()["error"]["route"], json!([{"deployment": "m", "outcome": code}]), "{what}");
            response.code()
        };
        assert_eq!(found, code, "{what}: {}", response.text().chars().rev().take(400).collect::<String>());
        assert!(!response.text().contains("secret"), "{what}");
        until("the record", || stage.records.0.lock().expect("sound").iter().any(|r| r.error == Some(code))).await;
    }
    println!("counted: {checked} wrong streams of providers, each with its own error");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_answer_with_vectors_is_one_typed_error_with_the_route() {
    let row = |vector: Value| json!({"object": "embedding", "index": 0, "embedding": vector});
    let of = |rows: Value| json_answer(200, &json!({"object": "list", "model": "m-1", "data": rows}));
    let mut cases = vec![
        ("an empty body", plain(200, "application/json", "", b""), "TM1117"),
        ("no vectors", of(json!([])), "TM1117"),
        ("fewer vectors than texts", of(json!([row(json!([0.5]))])), "TM1117"),
        ("vectors of nothing", of(json!([row(json!([])), row(json!([]))])), "TM1117"),
        ("JSON that ends early", plain(200, "application/json", "", b"{\"data\": [{\"emb"), "TM1118"),
        ("a page instead of JSON", plain(200, "text/html", "", b"<html>sign in</html>"), "TM1119"),
        ("words for numbers", of(json!([row(json!(["a"])), row(json!(["b"]))])), "TM1119"),
    ];
    let others = endless_answers().into_iter().chain(refused_requests());
    cases.extend(others.map(|(what, steps, _, code, _)| (what, steps, code)));
    for (what, steps, code) in cases {
        let upstream = Upstream::start(move |_| steps.clone()).await;
        let mut more = hurried();
        more["deployments"] = json!({"m": {"embeds": true}});
        let stage = Stage::before(&upstream.url(), more).await;
        let response = stage.post("/v1/embeddings", &json!({"model": "m", "input": ["one", "two"]})).await;
        assert_eq!(response.code(), code, "{what}: {}", response.text());
        assert_eq!(response.json()["error"]["route"], json!([{"deployment": "m", "outcome": code}]), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_stream_is_stopped_at_its_bound_and_the_provider_notices() {
    let mut number = 0_u64;
    let pieces: Vec<u8> = std::iter::repeat_with(|| {
        number += 1;
        match chunk(&format!("piece {number} of many, each another {}", number * 7_919)) {
            Step::Send(b) => b,
            _ => Vec::new(),
        }
    })
    .take(5_000)
    .flatten()
    .collect();
    let upstream = Upstream::start(move |_| vec![stream_head(), Step::Repeat(pieces.clone(), 1_000)]).await;
    let stage = Stage::before(&upstream.url(), hurried()).await;
    let response = stage.ask(json!({"stream": true})).await;
    let frames = response.frames();
    assert!(frames.last().expect("a frame").contains("TM1123"), "{:?}", frames.last());
    assert!(response.body.len() < 1_100_000, "{} bytes came", response.body.len());
    until("the upstream sees that nobody reads", || upstream.gone.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_ends_the_call_of_the_provider() {
    for stream in [false, true] {
        let upstream = Upstream::start(move |_| match stream {
            true => vec![stream_head(), chunk("Hello"), Step::UntilGone],
            false => vec![Step::UntilGone],
        })
        .await;
        let stage = Stage::before(&upstream.url(), json!({})).await;
        let call = stage.ask(json!({"stream": stream}));
        tokio::select! {
            _ = call => panic!("it cannot end"),
            () = until("the call arrives", || upstream.calls() == 1) => {}
        }
        // The caller's connection is dropped with its unfinished request.
        until("the provider's call ends", || upstream.gone.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_waits_past_its_deadline() {
    type Act = fn(&crate::upstream::Seen) -> Vec<Step>;
    let cases: [(&str, Act, Value); 5] = [
        ("nothing comes", |_| vec![Step::UntilGone], json!({})),
        (
            "it stops in the middle",
            |seen| match seen.streams() {
                true => vec![stream_head(), chunk("Hello"), Step::UntilGone],
                false => vec![head("content-length: 900\r\n"), Step::UntilGone],
            },
            json!({}),
        ),
        (
            "it never ends",
            |seen| match seen.streams() {
                true => (0..500_u32)
                    .flat_map(|n| [chunk(&format!("{} ", n * 7_919)), Step::Wait(Duration::from_millis(20))])
                    .fold(vec![stream_head()], |mut all, step| {
                        all.push(step);
                        all
                    }),
                false => [vec![head("content-length: 90000\r\n")], drip(), drip()].concat(),
            },
            json!({}),
        ),
        (
            "each try fails after a while",
            |_| [vec![Step::Wait(Duration::from_millis(60))], plain(503, "text/plain", "", b"")].concat(),
            json!({"retry": {"attempts": 1_000, "base": "50ms"}, "breaker": {"failures": 1_000_000}}),
        ),
        ("all places are taken", |_| vec![Step::UntilGone], json!({"deployments": {"m": {"concurrency": 1}}})),
    ];
    let began = std::time::Instant::now();
    let calls = cases.len() * 2;
    for (what, act, more) in cases {
        let upstream = Upstream::start(move |seen| act(&seen)).await;
        let stage = Stage::before(&upstream.url(), more).await;
        // Somebody without a hurry has the only place.
        let before = tokio::spawn({
            let (asker, wanted) = (Asker::of(stage.address), what == "all places are taken");
            async move {
                if wanted {
                    asker.ask(json!({})).await;
                }
            }
        });
        if what == "all places are taken" {
            until("the place is taken", || upstream.calls() == 1).await;
        }
        for stream in [false, true] {
            let body = crate::stage::question(json!({"stream": stream})).to_string();
            let response = stage.send("POST", "/v1/chat/completions", &[("x-tidemill-timeout-ms", "250")], body).await;
            let last = response.frames().last().cloned().unwrap_or_default();
            // A wait that would pass the deadline is not begun: then the last failure is told at once.
            let told = |code: &str| last.contains(code) || response.text().contains(code);
            assert!(told("TM1115") || (what.starts_with("each try") && told("TM1112")), "{what}: {}", response.text());
        }
        before.abort();
    }
    println!("timed: {calls} calls with a deadline of 250 ms each took {} ms", began.elapsed().as_millis());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_cost_nothing_and_name_the_field() {
    let upstream = Upstream::start(|seen| well_behaved(&seen)).await;
    let stage = Stage::before(&upstream.url(), json!({"server": {"max_request": 100_000}})).await;
    let wrong: Vec<(Value, u16, &str)> = vec![
        (json!({"messages": 3}), 400, "messages"),
        (json!({"messages": []}), 400, "messages"),
        (json!({"temperature": "hot"}), 400, "temperature"),
        (json!({"n": 3}), 400, "n"),
        (json!({"tool_choice": 7}), 400, "tool_choice"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 9}}}}),
            400,
            "response_format",
        ),
    ];
    for (more, status, field) in wrong {
        let response = stage.ask(more).await;
        assert_eq!((response.status, response.code().as_str()), (status, "TM1101"), "{}", response.text());
        assert_eq!(response.json()["error"]["param"], field);
    }
    for (body, code) in [("", "TM1101"), ("[]", "TM1101"), ("{\"model\":\"m\",\"model\":\"m\"}", "TM1101")] {
        assert_eq!(stage.send("POST", "/v1/chat/completions", &[], body).await.code(), code);
    }
    let long = stage.send("POST", "/v1/chat/completions", &[], vec![b' '; 200_000]).await;
    assert_eq!((long.status, long.code().as_str()), (413, "TM1108"));
    assert_eq!(stage.ask(json!({"model": "nothing"})).await.code(), "TM1105");
    assert_eq!(stage.post("/v1/completions", &json!({})).await.code(), "TM1129");
    assert_eq!(upstream.calls(), 0);
}

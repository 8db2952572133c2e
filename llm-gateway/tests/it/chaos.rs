//! Upstreams that die, stall and lie, for a long while: every call ends in time, and memory stays where it was.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::apart::Apart;
use crate::stage::{config, question};
use crate::upstream::{Step, Upstream, answer, chunk, json_answer, plain, stream_end, stream_head};

/// So many calls; the benchmark makes a million.
const CALLS: usize = 9_600;
const AT_ONCE: usize = 24;
const DEADLINE: Duration = Duration::from_millis(1_500);

async fn unruly() -> Upstream {
    Upstream::start(|seen| {
        let streams = seen.streams();
        match seen.number % 40 {
            1 => plain(500, "text/plain", "", b"no"),
            5 => plain(429, "text/plain", "retry-after: 0\r\n", b""),
            9 => vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec())],
            13 => plain(200, "text/html", "", b"<html>"),
            17 if streams => vec![stream_head(), chunk("Hel")],
            21 => json_answer(200, &answer(&"again ".repeat(900), 5, 5)),
            25 if seen.number % 400 == 25 => vec![Step::UntilGone],
            29 => plain(200, "application/json", "", &[b' '; 50_000]),
            _ if streams => {
                let words = (0..20).map(|number| chunk(&format!("word {number} ")));
                std::iter::once(stream_head()).chain(words).chain(stream_end(20, 40)).collect()
            }
            _ => json_answer(200, &answer(&"A fine answer of some length. ".repeat(8), 20, 60)),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_ends_in_time_and_memory_stays_flat() {
    let (one, two) = (unruly().await, unruly().await);
    let more = json!({
        "providers": {"other": {"kind": "compatible", "url": two.url()}},
        "deployments": {"n": {"provider": "other", "model": "n-1"}},
        "routes": {"auto": {"use": [{"deployment": "m"}, {"deployment": "n"}]}},
        "retry": {"attempts": 3, "base": "2ms"},
        "breaker": {"failures": 1_000_000},
        "timeouts": {"first": "500ms", "idle": "500ms"},
        "limits": {"run": [{"tokens": 100_000, "per": "1s"}]},
    });
    let gateway = Apart::start(&config(&one.url(), more));
    let asker = &gateway.asker;
    let (mut longest, mut codes) = (Duration::ZERO, std::collections::BTreeMap::<String, usize>::new());
    let mut memory = Vec::new();
    for round in 0..CALLS / AT_ONCE {
        let calls = (0..AT_ONCE).map(|place| async move {
            let number = round * AT_ONCE + place;
            let body = question(json!({"model": "auto", "stream": number.is_multiple_of(3)})).to_string();
            let run = format!("run_{number}");
            let wait = DEADLINE.as_millis().to_string();
            let headers = [("x-tidemill-timeout-ms", wait.as_str()), ("x-tidemill-run", &run)];
            let began = Instant::now();
            let response = asker.send("POST", "/v1/chat/completions", &headers, body).await;
            let broken = response
                .frames()
                .last()
                .and_then(|frame| frame.split("\"TM").nth(1).map(|code| format!("TM{}", &code[..4])));
            let code = match (response.status, broken) {
                (200, None) => "ok".to_owned(),
                (200, Some(code)) => code,
                _ => response.code(),
            };
            (began.elapsed(), code)
        });
        for (took, code) in futures::future::join_all(calls).await {
            longest = longest.max(took);
            *codes.entry(code).or_default() += 1;
        }
        memory.push(gateway.resident());
    }
    let (start, middle, end) = (memory[0], memory[memory.len() / 2], memory[memory.len() - 1]);
    println!("counted: {CALLS} calls of unruly upstreams: {codes:?}");
    println!("counted: resident MiB of the gateway at the start {start:.1}, at half {middle:.1}, at the end {end:.1}");
    println!("timed: the longest call took {} ms, its deadline is {} ms", longest.as_millis(), DEADLINE.as_millis());
    assert!(codes["ok"] > CALLS * 7 / 10, "{codes:?}");
    assert!(codes.len() > 2, "chaos was felt: {codes:?}");
    assert!(longest < DEADLINE * 3, "a call waited past its deadline: {longest:?}");
    assert!(end - middle < 3.0, "memory grows: {memory:?}");
}

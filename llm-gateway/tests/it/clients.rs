//! The official Python clients, unchanged, against the gateway.

use serde_json::json;

use crate::stage::Stage;
use crate::upstream::{Seen, Step, Upstream, answer, chunk, frame, json_answer, plain, stream_end, stream_head};

/// An upstream of OpenAI's protocol with enough of a mind for the clients' questions.
fn mind(seen: &Seen) -> Vec<Step> {
    if seen.path.ends_with("/embeddings") {
        return json_answer(
            200,
            &json!({"object": "list", "model": "m-1", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}], "usage": {"prompt_tokens": 2, "total_tokens": 2}}),
        );
    }
    let text = seen.body["messages"].to_string();
    if text.contains("limit please") {
        return plain(429, "application/json", "retry-after: 1\r\n", b"{}");
    }
    if seen.body["response_format"]["type"] == "json_schema" {
        return json_answer(200, &answer("{\"name\":\"Ann\",\"age\":7}", 20, 9));
    }
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Bonn\"}"}});
    let wants_tool = seen.body["tools"].is_array() && !text.contains("12 degrees");
    match (seen.streams(), wants_tool) {
        (false, true) => {
            let mut value = answer("", 20, 9);
            value["choices"][0]["message"]["tool_calls"] = json!([call]);
            value["choices"][0]["finish_reason"] = "tool_calls".into();
            json_answer(200, &value)
        }
        (true, true) => {
            let mut first = call;
            first["index"] = 0.into();
            let delta = json!({"id": "c1", "model": "m-1", "object": "chat.completion.chunk", "created": 1, "choices": [{"index": 0, "delta": {"tool_calls": [first]}, "finish_reason": null}]});
            let mut steps = vec![stream_head(), frame(&delta)];
            steps.extend(stream_end(20, 9));
            steps
        }
        (true, false) => {
            let mut steps = vec![stream_head(), chunk("Hello"), chunk(" from"), chunk(" here")];
            steps.extend(stream_end(12, 3));
            steps
        }
        (false, false) => json_answer(200, &answer("Hello from here", 12, 3)),
    }
}

async fn python(script: &str) {
    let python = std::env::var_os("TIDEMILL_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let upstream = Upstream::start(|seen| mind(&seen)).await;
    let more = json!({
        "providers": {"other": {"kind": "compatible", "url": upstream.url()}},
        "deployments": {"e": {"provider": "up", "model": "m-1", "embeds": true}},
    });
    let stage = Stage::before(&upstream.url(), more).await;
    let output = tokio::process::Command::new(python)
        .args(["-c", script])
        .env("GATEWAY", stage.url())
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .await
        .expect("Python runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("all good"), "{out}\n{err}");
    print!(
        "{}",
        out.lines().filter(|line| line.starts_with("counted:")).map(|line| format!("{line}\n")).collect::<String>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_works_unchanged() {
    python(include_str!("openai_client.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anthropic_client_works_unchanged() {
    python(include_str!("anthropic_client.py")).await;
}

//! Calls of models through `tidemill gateway` are on record: in a file, and in ClickHouse.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};
use tidemill_stories::Project;
use tidemill_testkit::ClickHouseServer;

/// A model that says hello: whole, or in two pieces.
fn model() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || hello(stream));
        }
    });
    format!("http://{address}/v1")
}

fn hello(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("the same"));
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        if let Some((_, value)) = line.to_ascii_lowercase().split_once("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let usage = json!({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15});
    let asked: Value = serde_json::from_slice(&body).expect("JSON");
    let (kind, body) = if asked["stream"] == true {
        let piece = json!({"id": "c", "model": "m-1", "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]});
        let last = json!({"id": "c", "model": "m-1", "choices": [], "usage": usage});
        ("text/event-stream", format!("data: {piece}\n\ndata: {last}\n\ndata: [DONE]\n\n"))
    } else {
        let message = json!({"role": "assistant", "content": "Hello"});
        let answer = json!({"id": "c", "model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage});
        ("application/json", answer.to_string())
    };
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes());
}

fn ask(address: &str, model: &str, stream: bool) -> String {
    let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let mut socket = TcpStream::connect(address).expect("the gateway listens");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-tidemill-user: ann\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).expect("sent");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn every_call_is_on_record() {
    let clickhouse = ClickHouseServer::start();
    let place = format!("telemetry:\n  clickhouse: {{url: \"{}\"}}\n", clickhouse.url());
    for telemetry in ["", place.as_str()] {
        let project = Project::examples();
        let file = project.path().join("tidemill.yaml");
        let section = format!(
            "gateway:\n  providers:\n    up: {{kind: compatible, url: \"{}\"}}\n  deployments:\n    m: {{provider: up, model: m-1}}\n  prices:\n    - {{model: m-1, input: 1, output: 2}}\n",
            model()
        );
        let settings = std::fs::read_to_string(&file).expect("settings") + &section + telemetry;
        std::fs::write(&file, settings).expect("settings");
        let gateway = project.serve("gateway", &[]);
        for number in 0..20 {
            assert!(ask(gateway.address(), "m", number % 2 == 0).contains("Hello"));
        }
        assert!(ask(gateway.address(), "nobody", false).contains("TM1105"));
        assert_eq!(gateway.stop(), 0);
        let stats = project.run(&["stats", "--models", "--json"]).ok().json();
        // 12 tokens at 1 and 3 tokens at 2 for each million, twenty times.
        let expected = json!([
            {"tenant": "default", "model": "m-1", "calls": 20, "failed": 0, "from_cache": 0, "input": 240, "output": 60, "micros": 360},
            {"tenant": "default", "model": "nobody", "calls": 1, "failed": 1, "from_cache": 0, "input": 0, "output": 0, "micros": 0},
        ]);
        assert_eq!(stats["models"], expected, "{telemetry}");
        project.run(&["stats", "--models"]).ok();
    }
}

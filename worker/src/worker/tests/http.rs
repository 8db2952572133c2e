//! HTTP calls, against a small server that answers by path.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::bed::Bed;

#[derive(Default)]
pub struct Server {
    calls: AtomicUsize,
    pub heard: Mutex<HashMap<String, String>>,
}

pub async fn serve() -> (String, Arc<Server>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let server = Arc::new(Server::default());
    let state = server.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let state = state.clone();
            tokio::spawn(async move {
                let request = whole_request(&mut socket).await;
                let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
                state.heard.lock().expect("a lock").insert(path.clone(), request);
                let answer = answer(&path, &state);
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    (address, server)
}

/// A request with its body.
async fn whole_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut request = String::new();
    let mut part = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = socket.read(&mut part).await {
        request.push_str(&String::from_utf8_lossy(&part[..length]));
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    request
}

fn answer(path: &str, server: &Server) -> String {
    let with = |status: &str, extra: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{extra}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    };
    match path.split('?').next().unwrap_or_default() {
        "/json" => with("200 OK", "", r#"{"rate": 1.5}"#),
        "/text" => with("201 Created", "", "hello"),
        "/teapot" => with("418 I'm a teapot", "", "short and stout"),
        "/big" => with("200 OK", "", &"x".repeat(2 << 20)),
        "/busy" if server.calls.fetch_add(1, Ordering::SeqCst) == 0 => {
            with("429 Too Many Requests", "retry-after: 1\r\n", "")
        }
        "/busy" => with("200 OK", "", "1"),
        "/state" if server.calls.fetch_add(1, Ordering::SeqCst) < 2 => with("200 OK", "", r#"{"state": "busy"}"#),
        "/state" => with("200 OK", "", r#"{"state": "done"}"#),
        "/hook" | "/alarm" => with("204 No Content", "", ""),
        "/down" => with("503 Service Unavailable", "", ""),
        _ => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_become_results() {
    let (address, server) = serve().await;
    let bed = Bed::new().await;
    let token = bed.file("token", "s3cr3t-token");
    let tasks = bed
        .success(&format!(
            r#"
pipeline: h
tasks:
  rate:
    http:
      url: "{address}/json?key=1"
      headers: {{authorization: "Bearer ${{file:{0}}}"}}
  post: {{http: {{url: "{address}/text", method: POST, json: {{rate: "{{{{ tasks.rate.result.rate }}}}"}}}}}}
  tea: {{http: {{url: "{address}/teapot", expect_status: [418]}}}}
  busy: {{http: {{url: "{address}/busy"}}}}
"#,
            token.display()
        ))
        .await;
    let result = |name: &str| {
        tasks.iter().find(|task| task.name == name).and_then(|task| task.output.clone()).expect("an output")["result"]
            .clone()
    };
    assert_eq!(result("rate"), json!({"rate": 1.5}));
    assert_eq!(result("post"), json!("hello"));
    assert_eq!(result("tea"), json!("short and stout"));
    assert_eq!(result("busy"), json!(1));
    let busy = tasks.iter().find(|task| task.name == "busy").expect("the task");
    assert_eq!(busy.failures, 0, "patience is no failure");
    let waited = busy.finished_at.expect("an end").since(busy.ready_at.expect("a start"));
    assert!(waited.as_millis() >= 1_000, "Retry-After is honoured: {waited:?}");
    let heard = server.heard.lock().expect("a lock");
    let rate = heard.get("/json?key=1").expect("the call");
    assert!(rate.contains("authorization: Bearer s3cr3t-token"), "{rate}");
    assert!(heard["/text"].contains(r#"{"rate":1.5}"#), "{}", heard["/text"]);
    assert!(!format!("{tasks:?}").contains("s3cr3t"));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_whether_another_try_may_help() {
    let (address, _server) = serve().await;
    let bed = Bed::new().await;
    let token = bed.file("token", "s3cr3t-token");
    let cases = [
        ("/teapot", "TM0711", false, "answered 418: short and stout"),
        ("/down", "TM0711", true, "answered 503"),
        ("/big", "TM0712", false, "larger than"),
        ("/hang", "TM0710", true, ""),
    ];
    for (path, code, retryable, text) in cases {
        let task = bed
            .failure(&format!(
                "pipeline: f\ntasks: {{x: {{http: {{url: \"{address}{path}?key=1\", headers: {{x: \"${{file:{}}}\"}}}}, timeout: 5s}}}}",
                token.display()
            ))
            .await;
        let error = task.error.expect("an error");
        assert_eq!((error.code.as_str(), error.retryable), (code, retryable), "{path}: {}", error.message);
        assert!(error.message.contains(text), "{path}: {}", error.message);
        assert!(!error.message.contains("s3cr3t"), "{path}: {}", error.message);
    }
}

//! A gateway on a port of its own, and a caller that sees what people see.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tidemill_dag::time::{Clock, Timestamp};
use tidemill_llm_gateway::usage::{UsageRecord, UsageSink};
use tidemill_llm_gateway::{Gateway, GatewayConfig, Outside, Server};
use tidemill_testkit::{ManualClock, SeededChance};

/// The machine's clock, for tests that wait for real servers.
#[derive(Debug)]
pub struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "tests beside real servers need the real time")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        Timestamp(i64::try_from(since.as_micros()).expect("before 290000"))
    }
}

/// Keeps records of use.
#[derive(Debug, Default, Clone)]
pub struct Records(pub Arc<Mutex<Vec<UsageRecord>>>);

impl UsageSink for Records {
    fn record(&self, record: UsageRecord) {
        self.0.lock().expect("sound").push(record);
    }
}

/// Whoever asks a gateway at an address.
pub struct Asker {
    pub address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A gateway that serves until it is dropped.
pub struct Stage {
    pub gateway: Gateway,
    pub clock: ManualClock,
    pub records: Records,
    asker: Asker,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl std::ops::Deref for Stage {
    type Target = Asker;

    fn deref(&self) -> &Asker {
        &self.asker
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        self.json().pointer("/error/code").and_then(Value::as_str).unwrap_or("none").to_owned()
    }

    /// The data of each frame of a stream.
    pub fn frames(&self) -> Vec<String> {
        self.text().lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
    }
}

/// A configuration with one provider of OpenAI's protocol and one deployment `m`, and more over it.
pub fn config(url: &str, more: Value) -> GatewayConfig {
    let mut base = json!({
        "server": {"listen": "127.0.0.1:0", "threads": 1},
        "providers": {"up": {"kind": "compatible", "url": url}},
        "deployments": {"m": {"provider": "up", "model": "m-1", "max_output": 100}},
        "retry": {"attempts": 1, "base": "1ms"},
    });
    merge(&mut base, more);
    serde_json::from_value(base).expect("a configuration")
}

fn merge(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more,
    }
}

impl Stage {
    pub async fn of(config: GatewayConfig) -> Self {
        let clock = ManualClock::default();
        let outside = Outside::plain(Arc::new(clock.clone()), Arc::new(SeededChance::new(1)));
        Self::with(config, outside, clock).await
    }

    /// In front of one upstream.
    pub async fn before(url: &str, more: Value) -> Self {
        Self::of(config(url, more)).await
    }

    pub async fn with(config: GatewayConfig, mut outside: Outside, clock: ManualClock) -> Self {
        let records = Records::default();
        outside.usage = Some(Arc::new(records.clone()));
        let gateway = Gateway::new(config, outside).expect("a gateway");
        let server = Server::bind(gateway.clone()).expect("a port");
        let address = server.address();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(server.run(async move { drop(stopped.await) }));
        Self { gateway, clock, records, asker: Asker::of(address), stop: Some(stop) }
    }
}

impl Asker {
    pub fn of(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (key, value) in headers {
            request = request.header(*key, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let response = self.client.request(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Response { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Asks deployment `m` in OpenAI's protocol.
    pub async fn ask(&self, more: Value) -> Response {
        self.post("/v1/chat/completions", &question(more)).await
    }

    /// Asks deployment `m` in Anthropic's protocol.
    pub async fn ask_anthropic(&self, more: Value) -> Response {
        let mut body = json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]});
        merge(&mut body, more);
        self.post("/v1/messages", &body).await
    }
}

/// A question to deployment `m`.
pub fn question(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    merge(&mut body, more);
    body
}

/// Waits until something holds; a test that waits for nothing fails after a while.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen");
}

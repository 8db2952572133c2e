//! An upstream that does as it is told, byte by byte.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Counts requests from 0.
    pub number: usize,
    pub path: String,
    pub head: String,
    pub body: Value,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn streams(&self) -> bool {
        self.body["stream"] == true
    }
}

/// What it does next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends the same bytes many times, or until the other side goes away.
    Repeat(Vec<u8>, usize),
    /// Waits.
    Wait(Duration),
    /// Waits until the other side goes away, and counts that.
    UntilGone,
}

type Script = dyn Fn(Seen) -> Vec<Step> + Send + Sync;

/// A server on a port of its own; dropped, it is gone.
pub struct Upstream {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// How many times the other side went away while it was waited for.
    pub gone: Arc<AtomicUsize>,
    /// How many connections are open.
    pub open: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    pub async fn start(script: impl Fn(Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, gone, open) = (Arc::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let script: Arc<Script> = Arc::new(script);
        let counter = Arc::new(AtomicUsize::new(0));
        let shared = (Arc::clone(&seen), Arc::clone(&gone), Arc::clone(&open));
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let _ = stream.set_nodelay(true);
                let (script, counter) = (Arc::clone(&script), Arc::clone(&counter));
                let (seen, gone, open) = shared.clone();
                tasks.spawn(async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    serve(stream, &*script, &counter, &seen, &gone).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
                while tasks.try_join_next().is_some() {}
            }
        });
        Self { address, seen, gone, open, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn calls(&self) -> usize {
        self.seen.lock().expect("sound").len()
    }

    pub fn last(&self) -> Seen {
        self.seen.lock().expect("sound").last().expect("a request came").clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &Script,
    counter: &AtomicUsize,
    seen: &Mutex<Vec<Seen>>,
    gone: &AtomicUsize,
) {
    while let Some((head, body)) = read(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let number = counter.fetch_add(1, Ordering::SeqCst);
        let request = Seen { number, path, head, body: serde_json::from_slice(&body).unwrap_or_default() };
        {
            let mut all = seen.lock().expect("sound");
            // Long runs must not grow.
            if all.len() < 1_200 {
                all.push(request.clone());
            }
        }
        let steps = script(request);
        // An answer without length ends with the connection.
        let closes = steps.iter().any(|step| matches!(step, Step::Send(bytes) if is_open_ended(bytes)));
        for step in steps {
            match step {
                Step::Send(bytes) if stream.write_all(&bytes).await.is_err() => return,
                Step::Send(_) => {}
                Step::Repeat(bytes, times) => {
                    for _ in 0..times {
                        if stream.write_all(&bytes).await.is_err() {
                            gone.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                    }
                }
                Step::Wait(length) => tokio::time::sleep(length).await,
                Step::UntilGone => {
                    let mut byte = [0];
                    while stream.read(&mut byte).await.is_ok_and(|n| n > 0) {}
                    gone.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
        if closes {
            return;
        }
    }
}

fn is_open_ended(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    text.starts_with("http/") && !text.contains("content-length") && !text.contains("chunked")
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut buffer = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let mut body = buffer.split_off(end + 4);
            while body.len() < length.unwrap_or(0) {
                let read = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
                body.extend_from_slice(&piece[..read]);
            }
            return Some((head, body));
        }
        let read = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        buffer.extend_from_slice(&piece[..read]);
    }
}

/// A whole JSON response.
pub fn json_answer(status: u16, value: &Value) -> Vec<Step> {
    plain(status, "application/json", "", value.to_string().as_bytes())
}

/// A whole response with more headers.
pub fn plain(status: u16, kind: &str, more: &str, body: &[u8]) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{more}\r\n", body.len());
    vec![Step::Send([head.as_bytes(), body].concat())]
}

/// The head of a stream that ends with the connection.
pub fn stream_head() -> Step {
    Step::Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec())
}

/// One frame of a stream.
pub fn frame(value: &Value) -> Step {
    Step::Send(format!("data: {value}\n\n").into_bytes())
}

/// A chunk with words.
pub fn chunk(text: &str) -> Step {
    frame(&json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

/// The end of a stream: reason, usage, mark.
pub fn stream_end(input: u64, output: u64) -> Vec<Step> {
    let stop = json!({"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"id": "c1", "model": "m-1", "choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}});
    vec![frame(&stop), frame(&usage), Step::Send(b"data: [DONE]\n\n".to_vec())]
}

/// An answer of OpenAI's protocol.
pub fn answer(text: &str, input: u64, output: u64) -> Value {
    json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
    })
}

/// What a well-behaved upstream of OpenAI's protocol does.
pub fn well_behaved(seen: &Seen) -> Vec<Step> {
    if !seen.streams() {
        return json_answer(200, &answer("Hello there", 12, 3));
    }
    let mut steps = vec![stream_head(), chunk("Hello"), chunk(" there")];
    steps.extend(stream_end(12, 3));
    steps
}

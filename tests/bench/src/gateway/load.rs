//! The load: closed loop, each connection asks again when it has its answer. Blocking sockets and a thread for each
//! connection at one, an event loop at many, so that the load itself costs little.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidemill_dag::time::Clock as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::AT_ONCE;
use super::upstream::FRAMES;
use crate::Outcome;
use crate::ambient::Ambient;

/// What is asked.
pub struct Target {
    pub name: String,
    address: SocketAddr,
    headers: String,
}

/// Latencies in microseconds, and requests per second of each round.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    pub micros: Vec<f64>,
    pub rates: Vec<f64>,
}

impl Measured {
    pub fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.rates.extend(other.rates);
    }
}

/// The body of the message at the start of a buffer, once it is all there.
pub fn whole(buffer: &[u8]) -> Option<Range<usize>> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let length = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let Some(length) = length else {
        // In chunks, then; nobody here sends trailers.
        return buffer.ends_with(b"\r\n0\r\n\r\n").then_some(head..buffer.len());
    };
    (buffer.len() >= head + length).then_some(head..head + length)
}

/// A header of an answer that is a number.
fn number(buffer: &[u8], name: &str) -> Option<f64> {
    let text = std::str::from_utf8(buffer.get(..whole(buffer)?.start)?).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

impl Target {
    pub fn new(name: &str, address: SocketAddr, headers: &[String]) -> Self {
        let headers = headers.iter().map(|header| format!("{header}\r\n")).collect();
        Self { name: name.to_owned(), address, headers }
    }

    /// How long the gateway itself says that it had each of some requests, in microseconds; the first ones warm up.
    pub fn overheads(&self, requests: usize) -> Outcome<Vec<f64>> {
        let (request, address) = (self.request(AT_ONCE, false), self.address);
        on_own_thread(async move {
            let mut stream = connect(address).await?;
            let (mut buffer, mut all) = (Vec::with_capacity(8_192), Vec::new());
            for turn in 0..requests + 200 {
                exchange(&mut stream, &request, &mut buffer).await?;
                let millis = number(&buffer, "x-tidemill-overhead-ms").ok_or("it does not say how long it took")?;
                all.extend((turn >= 200).then_some(millis * 1e3));
            }
            Ok(all)
        })
    }

    fn request(&self, model: &str, stream: bool) -> Vec<u8> {
        let body = super::body(model, stream);
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{body}",
            self.address,
            self.headers,
            body.len()
        )
        .into_bytes()
    }

    /// Asks for some time.
    pub fn whole(&self, model: &str, connections: usize, length: Duration) -> Outcome<Measured> {
        let end = Instant::now() + length;
        let began = Instant::now();
        let micros = self.drive(model, connections, Arc::new(move || Instant::now() < end))?;
        let rate = micros.len() as f64 / began.elapsed().as_secs_f64();
        Ok(Measured { micros, rates: vec![rate] })
    }

    /// Asks so often.
    pub fn many(&self, model: &str, connections: usize, requests: u64) -> Outcome<()> {
        let left = AtomicU64::new(requests);
        let more = move || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        self.drive(model, connections, Arc::new(more)).map(drop)
    }

    fn drive(&self, model: &str, connections: usize, more: Arc<dyn Fn() -> bool + Send + Sync>) -> Outcome<Vec<f64>> {
        let request: Arc<[u8]> = self.request(model, false).into();
        let (address, name) = (self.address, self.name.clone());
        on_own_thread(async move {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..connections {
                let (request, more) = (Arc::clone(&request), Arc::clone(&more));
                tasks.spawn(async move { ask(address, &request, &*more).await });
            }
            let mut all = Vec::new();
            while let Some(done) = tasks.join_next().await {
                all.extend(done?.map_err(|error| format!("{name}: {error}"))?);
            }
            Ok(all)
        })
    }

    /// Streams, four at a time: the time to each first frame, and how long each frame is on its way.
    pub fn streams(&self, length: Duration) -> Outcome<(Vec<f64>, Vec<f64>)> {
        let request: Arc<[u8]> = self.request(AT_ONCE, true).into();
        let address = self.address;
        let end = Instant::now() + length;
        on_own_thread(async move {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..4 {
                tasks.spawn(streams(address, Arc::clone(&request), end));
            }
            let (mut firsts, mut lates) = (Vec::new(), Vec::new());
            while let Some(done) = tasks.join_next().await {
                let (first, late) = done??;
                firsts.extend(first);
                lates.extend(late);
            }
            Ok((firsts, lates))
        })
    }
}

fn on_own_thread<T: Send + 'static>(work: impl Future<Output = Outcome<T>> + Send + 'static) -> Outcome<T> {
    let thread = std::thread::spawn(move || -> Outcome<T> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
    });
    thread.join().map_err(|_| "the load generator panicked")?
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn ask(address: SocketAddr, request: &[u8], more: &(dyn Fn() -> bool + Send + Sync)) -> Outcome<Vec<f64>> {
    let mut stream = connect(address).await?;
    let (mut buffer, mut micros) = (Vec::with_capacity(8_192), Vec::new());
    while more() {
        let began = Instant::now();
        exchange(&mut stream, request, &mut buffer).await?;
        micros.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(micros)
}

/// One request and its whole answer.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Outcome<()> {
    stream.write_all(request).await?;
    buffer.clear();
    while whole(buffer).is_none() {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the connection closed in the middle".into());
        }
    }
    if buffer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(String::from_utf8_lossy(buffer).into_owned().into()) }
}

/// How the frames of one stream came.
struct Arrivals {
    first: Instant,
    /// From being sent to being here.
    micros: Vec<f64>,
}

/// Streams one after the other on one connection.
async fn streams(address: SocketAddr, request: Arc<[u8]>, end: Instant) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let (mut firsts, mut lates) = (Vec::new(), Vec::new());
    let mut stream = connect(address).await?;
    while Instant::now() < end {
        let asked = Instant::now();
        stream.write_all(&request).await?;
        let arrivals = frames(&mut stream).await?;
        firsts.push((arrivals.first - asked).as_secs_f64() * 1e6);
        lates.extend(arrivals.micros);
    }
    Ok((firsts, lates))
}

async fn frames(stream: &mut TcpStream) -> Outcome<Arrivals> {
    const WORD: &[u8] = b"\"content\":\" word ";
    let clock = Ambient::default();
    let mut buffer = Vec::with_capacity(32 << 10);
    let (mut first, mut micros, mut looked) = (None, Vec::with_capacity(FRAMES), 0);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err("the stream closed in the middle".into());
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(format!("no stream: {}", String::from_utf8_lossy(&buffer[..buffer.len().min(300)])).into());
        }
        let (now, here) = (Instant::now(), clock.now().0);
        while let Some(at) = buffer[looked..].windows(WORD.len()).position(|part| part == WORD) {
            let digits = looked + at + WORD.len();
            let Some(length) = buffer[digits..].iter().position(|sign| *sign == b'"') else { break };
            let sent: i64 = std::str::from_utf8(&buffer[digits..digits + length])?.parse()?;
            micros.push((here - sent) as f64);
            first.get_or_insert(now);
            looked = digits + length;
        }
        if buffer.ends_with(b"0\r\n\r\n") {
            return match first {
                Some(first) if micros.len() == FRAMES => Ok(Arrivals { first, micros }),
                _ => Err(format!("{} frames came: {}", micros.len(), String::from_utf8_lossy(&buffer)).into()),
            };
        }
    }
}

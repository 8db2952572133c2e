//! Requests to models, through the gateway.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tidemill_stories::cluster::Part;

use crate::{Outcome, gateway::load::whole};

/// The gateway's section, with one model behind it.
pub fn settings(upstream: SocketAddr) -> String {
    format!(
        "gateway:
  limits: {{key: [{{per: 1m, requests: 1000000000, tokens: 1000000000000}}]}}
  providers: {{up: {{kind: compatible, url: \"http://{upstream}/v1\"}}}}
  deployments: {{soak: {{provider: up, model: instant}}}}
  prices: [{{model: instant, input: 0.15, output: 0.6}}]
"
    )
}

/// How fast a connection asks.
#[derive(Debug, Clone, Copy)]
pub struct Pace(Option<Duration>);

const CONNECTIONS: u32 = 2;

impl Pace {
    /// Again as soon as it has its answer.
    pub const fn full() -> Self {
        Self(None)
    }

    /// So many requests per second, over all connections.
    pub fn of(rate: f64) -> Self {
        Self(Some(Duration::from_secs_f64(f64::from(CONNECTIONS) / rate.max(0.1))))
    }
}

/// Connections that ask until their time is over.
pub struct Models(Vec<JoinHandle<Outcome<u64>>>);

impl Models {
    /// Starts them.
    pub fn start(gateway: &Part, pace: Pace, end: Instant) -> Self {
        let url = gateway.hello["url"].as_str().unwrap_or_default();
        let address = url.trim_start_matches("http://").to_owned();
        let ask = |_| {
            let address = address.clone();
            std::thread::spawn(move || ask(&address, pace, end))
        };
        Self((0..CONNECTIONS).map(ask).collect())
    }

    /// Waits for their end; how many answers they got.
    pub fn finish(self) -> Outcome<u64> {
        let mut sum = 0;
        for thread in self.0 {
            sum += thread.join().map_err(|_| "a connection panicked")??;
        }
        Ok(sum)
    }
}

fn ask(address: &str, pace: Pace, end: Instant) -> Outcome<u64> {
    let body = r#"{"model": "soak", "max_tokens": 100, "messages": [{"role": "user", "content": "How were the orders of last week?"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut piece, mut count) = (Vec::new(), [0; 8_192], 0);
    let mut next = Instant::now();
    while Instant::now() < end {
        stream.write_all(request.as_bytes())?;
        buffer.clear();
        while whole(&buffer).is_none() {
            let read = stream.read(&mut piece)?;
            if read == 0 {
                return Err("the gateway closed the connection in the middle".into());
            }
            buffer.extend_from_slice(&piece[..read]);
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&buffer).into_owned().into());
        }
        count += 1;
        if let Some(pause) = pace.0 {
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
    Ok(count)
}

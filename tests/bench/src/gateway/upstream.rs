//! A model that costs nothing: reads a request, answers with the same 60 tokens.

use std::net::SocketAddr;
use std::time::Duration;

use tidemill_dag::time::Clock as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::LATER;
use crate::Outcome;
use crate::ambient::Ambient;

/// Frames of a stream.
pub const FRAMES: usize = 60;
/// The time between two.
const PAUSE: Duration = Duration::from_millis(5);
const DELAY: Duration = Duration::from_millis(50);

/// Serves until it is killed.
pub async fn upstream(listen: SocketAddr) -> Outcome<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("{}", listener.local_addr()?);
    let answer: &'static [u8] = answer().leak();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move { drop(serve(stream, answer).await) });
    }
}

fn answer() -> Vec<u8> {
    let words = "The orders of the week came mostly from three countries and a few large customers. ".repeat(4);
    let body = serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_780_000_000, "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": words.trim()}, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 260},
    })
    .to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

async fn serve(mut stream: TcpStream, answer: &'static [u8]) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(8_192);
    loop {
        buffer.clear();
        let body = loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            if let Some(at) = super::load::whole(&buffer) {
                break at;
            }
        };
        let text = &buffer[body];
        let has = |word: &str| text.windows(word.len()).any(|part| part == word.as_bytes());
        if has("\"stream\":true") {
            pieces(&mut stream).await?;
            continue;
        }
        if has(LATER) {
            tokio::time::sleep(DELAY).await;
        }
        stream.write_all(answer).await?;
    }
}

/// A stream.
async fn pieces(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    let (clock, began) = (Ambient::default(), Instant::now());
    for number in 0..FRAMES {
        let last = number + 1 == FRAMES;
        // When it is sent, in microseconds: the other end is on this machine and reads the same clock.
        let sent = clock.now().0;
        let finish = if last { "\"stop\"" } else { "null" };
        let frame = format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word {sent}\"}},\"finish_reason\":{finish}}}]}}\n\n"
        );
        let usage = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":60}}\n\ndata: [DONE]\n\n";
        let text = if last { format!("{frame}{usage}") } else { frame };
        let end = if last { "0\r\n\r\n" } else { "" };
        stream.write_all(format!("{:x}\r\n{text}\r\n{end}", text.len()).as_bytes()).await?;
        if !last {
            tokio::time::sleep_until(began + PAUSE * u32::try_from(number + 1).unwrap_or(0)).await;
        }
    }
    Ok(())
}

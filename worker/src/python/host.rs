//! One host process: the socket to it, its output, and its end.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value};
use tidemill_dag::spec::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{Call, Reply, output::Written};
use crate::{
    error::TaskError,
    logs::AttemptLog,
    process::{Running, describe_end},
    sandbox::DEFAULT_MEMORY_MB,
};

/// A host serves this many calls at most.
const MAX_CALLS: u32 = 2_000;
/// A host that has grown by more than this is replaced.
const MAX_GROWTH_KB: u64 = 256 * 1024;
/// Answers are bounded by the host already; this is for one that went mad.
const MAX_FRAME: u32 = 64 << 20;
/// How long a host may take until it says hello.
const START_TIME: Duration = Duration::from_secs(30);
/// How long the status of a process that closed its socket may take to appear.
const END_TIME: Duration = Duration::from_secs(2);

/// A warm Python process. Dropped, it dies with all it started, and its folder goes.
#[derive(Debug)]
pub(crate) struct Host {
    running: Running,
    link: UnixStream,
    scratch: PathBuf,
    limits: Limits,
    arrow: bool,
    calls: u32,
    first_peak_kb: u64,
    spoiled: bool,
}

#[derive(Deserialize)]
struct Hello {
    arrow: bool,
    peak_kb: u64,
}

#[derive(Deserialize)]
struct Fault {
    kind: String,
    message: String,
    line: Option<u64>,
    file: Option<String>,
    trace: String,
}

impl Drop for Host {
    fn drop(&mut self) {
        let scratch = std::mem::take(&mut self.scratch);
        // Large leftovers must not hold up a runtime thread.
        let _ = std::thread::Builder::new().spawn(move || std::fs::remove_dir_all(scratch));
    }
}

impl Host {
    /// Greets a process that was just started.
    pub async fn greet(
        running: Running,
        link: UnixStream,
        scratch: PathBuf,
        limits: Limits,
    ) -> Result<Self, TaskError> {
        let mut host =
            Self { running, link, scratch, limits, arrow: false, calls: 0, first_peak_kb: 0, spoiled: false };
        let hello = tokio::time::timeout(START_TIME, read_frame(&mut host.link)).await;
        let hello: Option<Hello> = match hello {
            Ok(Ok(frame)) => serde_json::from_slice(&frame).ok(),
            Ok(Err(_)) | Err(_) => None,
        };
        let Some(hello) = hello else {
            let said = host.complaint().await;
            return Err(TaskError::NoPython(format!("the host process did not start{said}")));
        };
        host.arrow = hello.arrow;
        host.first_peak_kb = hello.peak_kb;
        Ok(host)
    }

    async fn complaint(&mut self) -> String {
        self.running.leader.kill().await;
        let mut said = Vec::new();
        self.running.output.drain(|_, bytes| said.extend_from_slice(bytes));
        let said = String::from_utf8_lossy(&said);
        said.lines().last().map(|line| format!(": {line}")).unwrap_or_default()
    }

    /// Whether pyarrow can be imported there.
    pub fn arrow(&self) -> bool {
        self.arrow
    }

    /// The limits it runs under.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The folder it may write to.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Whether it may serve another call.
    pub fn reusable(&self) -> bool {
        !self.spoiled && self.calls < MAX_CALLS
    }

    /// Calls a function. When the future is dropped in the middle, the host must be dropped too.
    ///
    /// # Errors
    /// What the function raised, and the death of the process.
    pub async fn call(&mut self, call: &Call, log: &AttemptLog) -> Result<Reply, TaskError> {
        self.calls += 1;
        // Until an answer is in, nobody knows in what state it is.
        self.spoiled = true;
        let body = serde_json::to_vec(call).map_err(|error| TaskError::Internal(error.to_string()))?;
        let answered = {
            let Self { link, running, .. } = self;
            tokio::select! {
                answered = exchange(link, &body) => answered,
                never = running.output.pump(log) => match never {},
            }
        };
        self.running.output.drain(|stream, bytes| log.printed(stream, bytes));
        match answered {
            Ok(frame) => self.understand(&frame),
            Err(_) => Err(TaskError::HostDied(self.end().await)),
        }
    }

    async fn end(&mut self) -> String {
        match tokio::time::timeout(END_TIME, self.running.leader.wait()).await {
            Ok(Ok(status)) => describe_end(status),
            Ok(Err(_)) | Err(_) => {
                self.running.leader.kill().await;
                "stopped answering".to_owned()
            }
        }
    }

    fn understand(&mut self, frame: &[u8]) -> Result<Reply, TaskError> {
        let bad =
            |error: &dyn std::fmt::Display| TaskError::Internal(format!("a Python host answered nonsense: {error}"));
        let mut answer: Map<String, Value> = serde_json::from_slice(frame).map_err(|e| bad(&e))?;
        let peak_kb = answer.get("peak_kb").and_then(Value::as_u64).unwrap_or(0);
        self.spoiled = answer.get("spoiled").and_then(Value::as_bool).unwrap_or(true)
            || peak_kb.saturating_sub(self.first_peak_kb) > MAX_GROWTH_KB;
        if let Some(value) = answer.remove("value") {
            return Ok(Reply::Value(value));
        }
        if let Some(rows) = answer.remove("rows") {
            return serde_json::from_value::<Written>(rows).map(Reply::Rows).map_err(|e| bad(&e));
        }
        let fault = answer.remove("error").unwrap_or_default();
        let fault: Fault = serde_json::from_value(fault).map_err(|e| bad(&e))?;
        Err(self.fault(fault))
    }

    fn fault(&self, fault: Fault) -> TaskError {
        match fault.kind.as_str() {
            "memory" => TaskError::Memory(self.limits.memory_mb.unwrap_or(DEFAULT_MEMORY_MB)),
            "refused" => TaskError::Returned(fault.message),
            _ => {
                let place = match (fault.file, fault.line) {
                    (Some(file), Some(line)) => format!(" ({file}, line {line})"),
                    _ => String::new(),
                };
                TaskError::Raised { message: fault.message, place, trace: shorten(&fault.trace) }
            }
        }
    }
}

fn shorten(trace: &str) -> String {
    const MOST: usize = 8 * 1024;
    if trace.len() <= MOST {
        return trace.trim_end().to_owned();
    }
    // The end of a traceback names the cause.
    let start = (trace.len() - MOST..trace.len()).find(|at| trace.is_char_boundary(*at)).unwrap_or(trace.len());
    format!("…{}", trace[start..].trim_end())
}

async fn exchange(link: &mut UnixStream, body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    link.write_all(&frame).await?;
    read_frame(link).await
}

async fn read_frame(link: &mut UnixStream) -> io::Result<Vec<u8>> {
    let length = link.read_u32().await?;
    if length > MAX_FRAME {
        return Err(io::Error::other("the frame is too long"));
    }
    let mut frame = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    link.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Both ends of a socket pair: ours for the runtime, the other for the child's standard input.
pub(crate) fn socket_pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs.into()))
}

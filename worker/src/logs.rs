//! What a task prints, on its way to the store while the task still runs.
//!
//! Lines wait in one bounded buffer and are written in batches, at most 200 ms after they were printed.
//! A process is never made to wait: when the buffer or the attempt's allowance is full, lines are
//! dropped and counted, and the log says so.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidemill_dag::{id::Ticket, time::Clock};
use tidemill_store::{LogLine, LogStream, Store};
use tokio::sync::{Notify, watch};

use crate::secret::Masks;

/// The longest a line waits for others.
const BATCH_TIME: Duration = Duration::from_millis(200);
/// A batch of this many lines does not wait.
const BATCH_LINES: usize = 512;
/// Lines that may wait for the store, all attempts together.
const WAITING_LINES: usize = 20_000;
/// A longer line is cut.
const LINE_BYTES: usize = 8 * 1024;
/// An attempt that prints more is cut off.
const ATTEMPT_BYTES: usize = 8 * 1024 * 1024;
/// How long the end of an attempt waits for its last lines to be stored.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// Where all attempts of a worker put their lines.
#[derive(Clone)]
pub(crate) struct LogWriter(Arc<Shared>);

struct Shared {
    waiting: Mutex<Vec<LogLine>>,
    arrived: Notify,
    hurry: Notify,
    put: AtomicU64,
    stored: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LogWriter {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            hurry: Notify::new(),
            put: AtomicU64::new(0),
            stored: watch::Sender::new(0),
            clock,
        }))
    }

    /// Writes until the future is dropped. Lines of batches that the store refuses are kept and tried again.
    pub async fn run(&self, store: &Store) {
        loop {
            self.0.arrived.notified().await;
            let enough = lock(&self.0.waiting).len() >= BATCH_LINES;
            if !enough {
                // Cut short when somebody waits for the lines.
                let _ = tokio::time::timeout(BATCH_TIME, self.0.hurry.notified()).await;
            }
            self.write(store).await;
        }
    }

    async fn write(&self, store: &Store) {
        let mut pause = Duration::from_millis(50);
        loop {
            let batch: Vec<LogLine> = {
                let mut waiting = lock(&self.0.waiting);
                let count = waiting.len().min(BATCH_LINES * 4);
                waiting.drain(..count).collect()
            };
            if batch.is_empty() {
                return;
            }
            while let Err(error) = store.append_logs(&batch).await {
                tracing::warn!(error = %crate::error::chain(&error), lines = batch.len(), "logs cannot be stored, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            self.0.stored.send_modify(|stored| *stored += batch.len() as u64);
        }
    }

    /// Waits until everything put so far is stored, but not for ever.
    pub async fn flush(&self) {
        let goal = self.0.put.load(Ordering::Acquire);
        let mut stored = self.0.stored.subscribe();
        if *stored.borrow_and_update() >= goal {
            return;
        }
        self.0.hurry.notify_one();
        let _ = tokio::time::timeout(FLUSH_TIME, stored.wait_for(|stored| *stored >= goal)).await;
    }

    fn put(&self, line: LogLine) -> bool {
        let first = {
            let mut waiting = lock(&self.0.waiting);
            if waiting.len() >= WAITING_LINES {
                return false;
            }
            waiting.push(line);
            waiting.len()
        };
        self.0.put.fetch_add(1, Ordering::AcqRel);
        if first == 1 {
            self.0.arrived.notify_one();
        } else if first == BATCH_LINES {
            self.0.hurry.notify_one();
        }
        true
    }
}

/// The log of one attempt.
pub(crate) struct AttemptLog {
    writer: LogWriter,
    ticket: Ticket,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seq: u32,
    bytes: usize,
    dropped: u64,
    full: bool,
    masks: Masks,
    /// Lines without their end yet: standard output, standard error.
    partial: [Vec<u8>; 2],
    /// The last lines, for the message of a failure.
    last: std::collections::VecDeque<String>,
}

impl AttemptLog {
    pub fn new(writer: LogWriter, ticket: Ticket) -> Self {
        Self { writer, ticket, state: Mutex::default() }
    }

    /// From now on hides these values.
    pub fn hide(&self, masks: &Masks) {
        lock(&self.state).masks = masks.clone();
    }

    /// The values hidden so far.
    pub fn masks(&self) -> Masks {
        lock(&self.state).masks.clone()
    }

    /// A line of our own.
    pub fn say(&self, text: &str) {
        self.line(&mut lock(&self.state), LogStream::System, text);
    }

    /// Bytes that a process printed.
    pub fn printed(&self, stream: LogStream, bytes: &[u8]) {
        let state = &mut *lock(&self.state);
        let index = usize::from(stream == LogStream::Stderr);
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let mut whole = std::mem::take(&mut state.partial[index]);
            whole.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            self.raw(state, stream, &whole);
        }
        state.partial[index].extend_from_slice(rest);
        if state.partial[index].len() > LINE_BYTES * 2 {
            // A line without an end must not grow for ever.
            let whole = std::mem::take(&mut state.partial[index]);
            self.raw(state, stream, &whole);
        }
    }

    /// Lines without an end count as lines now. Waits until all is stored if anything was printed.
    pub async fn finish(&self) {
        if self.finish_lines() {
            self.writer.flush().await;
        }
    }

    /// Lines without an end count as lines now. Returns whether anything was printed.
    pub fn finish_lines(&self) -> bool {
        let state = &mut *lock(&self.state);
        for (index, stream) in [LogStream::Stdout, LogStream::Stderr].into_iter().enumerate() {
            let whole = std::mem::take(&mut state.partial[index]);
            if !whole.is_empty() {
                self.raw(state, stream, &whole);
            }
        }
        self.note_dropped(state);
        state.seq > 0
    }

    /// Lines dropped and not noted yet.
    #[cfg(test)]
    pub fn dropped(&self) -> u64 {
        lock(&self.state).dropped
    }

    /// The last few lines printed.
    pub fn last_lines(&self) -> Vec<String> {
        lock(&self.state).last.iter().cloned().collect()
    }

    fn raw(&self, state: &mut State, stream: LogStream, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        self.line(state, stream, text.trim_end_matches('\r'));
    }

    fn line(&self, state: &mut State, stream: LogStream, text: &str) {
        const LAST_LINES: usize = 10;
        let text = cut(&state.masks.apply(text));
        if stream != LogStream::System {
            if state.last.len() == LAST_LINES {
                state.last.pop_front();
            }
            state.last.push_back(text.clone());
        }
        if state.full {
            state.dropped += 1;
            return;
        }
        if state.bytes + text.len() > ATTEMPT_BYTES {
            state.full = true;
            state.dropped += 1;
            return;
        }
        self.note_dropped(state);
        self.put(state, stream, text);
    }

    fn note_dropped(&self, state: &mut State) {
        if state.dropped > 0 {
            let text = format!("{} lines were dropped here: more was printed than is kept", state.dropped);
            if self.put(state, LogStream::System, text) {
                state.dropped = 0;
            }
        }
    }

    fn put(&self, state: &mut State, stream: LogStream, text: String) -> bool {
        let bytes = text.len();
        let line = LogLine {
            task: self.ticket.task,
            attempt: self.ticket.attempt,
            seq: state.seq + 1,
            at: self.writer.0.clock.now(),
            stream,
            text,
        };
        let taken = self.writer.put(line);
        if taken {
            state.seq += 1;
            state.bytes += bytes;
        } else {
            state.dropped += 1;
        }
        taken
    }
}

fn cut(text: &str) -> String {
    if text.len() <= LINE_BYTES {
        return text.to_owned();
    }
    let end = (0..=LINE_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{} … ({} more bytes)", &text[..end], text.len() - end)
}

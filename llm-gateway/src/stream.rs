//! An answer in pieces, pulled by whoever reads it: nothing is read ahead, so memory is bounded by one piece, and
//! when the reader goes away the provider's connection closes.

mod seen;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::answer::{Answer, Event, Finish};
use crate::attempt::{Held, Work};
use crate::call::Facts;
use crate::caller::Caller;
use crate::error::{Failure, GatewayError};
use crate::gateway::Gateway;
use crate::hooks::{Ticket, Unmask};
use crate::masks;
use crate::request::{Format, Part, Request};
use crate::upstream::Pace;
use crate::usage::Usage;
use crate::validate;
use crate::wire::ReadStream;
use crate::wire::sse::{self, Splitter};
use seen::Seen;

/// Frames as they came, and what they say.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub raw: Vec<u8>,
    pub events: Vec<Event>,
}

/// An answer in pieces.
pub struct AnswerStream {
    source: Option<Source>,
    /// Read and not yet handed on.
    ready: Option<Chunk>,
    failing: Option<Failure>,
    seen: Seen,
    format: Format,
    native: bool,
    hide_usage: bool,
    after: Option<After>,
    began: Instant,
    first_piece: Option<Duration>,
    /// A good end that is not recorded yet.
    early: Option<(Usage, u64)>,
    /// For the library: events of the last chunk.
    queue: std::collections::VecDeque<Event>,
}

/// Where pieces come from.
struct Source {
    body: Incoming,
    held: Held,
    splitter: Splitter,
    reader: Box<dyn ReadStream>,
    deadline: Pin<Box<Sleep>>,
    idle: Pin<Box<Sleep>>,
    pace: Pace,
    came: u64,
    total: u64,
    most: u64,
}

/// What happens at the end.
struct After {
    gateway: Gateway,
    caller: Caller,
    request: Request,
    ticket: Option<Ticket>,
    held_words: Option<masks::Held>,
    /// Arguments of calls wait for their end where masked values go back in.
    held_arguments: Option<(usize, String)>,
    facts: Option<Facts>,
}

impl AnswerStream {
    /// Of a response that begins well.
    pub(crate) fn open(body: Incoming, held: Held, request: &Request, native: bool, work: &Work<'_>) -> Self {
        let shared = &held.shared;
        let (pace, most) = (shared.pace, shared.config.server.max_answer);
        let collect = request.format != Format::Text || work.collect;
        let reader = shared.table[held.place].provider.reader();
        let source = Source {
            body,
            held,
            splitter: Splitter::default(),
            reader,
            deadline: Box::pin(tokio::time::sleep_until(work.deadline)),
            idle: Box::pin(tokio::time::sleep(pace.idle)),
            pace,
            came: 0,
            total: 0,
            most,
        };
        let mut stream = Self::empty(collect);
        stream.source = Some(source);
        stream.format.clone_from(&request.format);
        stream.native = native;
        stream.hide_usage = native && !request.include_usage;
        stream
    }

    /// Of an answer that is there already.
    pub(crate) fn of(answer: &Answer) -> Self {
        let mut events = vec![Event::Start { id: answer.id.clone(), model: answer.model.clone() }];
        let mut calls = 0;
        for part in &answer.parts {
            match part {
                Part::Text(text) => events.push(Event::Text(text.clone())),
                Part::ToolCall { id, name, arguments } => {
                    events.push(Event::ToolStart { index: calls, id: id.clone(), name: name.clone() });
                    events.push(Event::ToolArguments { index: calls, text: arguments.clone() });
                    calls += 1;
                }
                Part::Image(_) | Part::ToolResult { .. } | Part::Foreign(_) => {}
            }
        }
        events.push(Event::Finish(answer.finish));
        events.push(Event::Usage(answer.usage));
        let mut stream = Self::empty(false);
        stream.ready = Some(Chunk { raw: Vec::new(), events });
        stream
    }

    fn empty(collect: bool) -> Self {
        Self {
            source: None,
            ready: None,
            failing: None,
            seen: Seen::new(collect),
            format: Format::Text,
            native: false,
            hide_usage: false,
            after: None,
            began: Instant::now(),
            first_piece: None,
            early: None,
            queue: std::collections::VecDeque::new(),
        }
    }

    /// Whether the frames are of the caller's own dialect.
    pub(crate) const fn native(&self) -> bool {
        self.native
    }

    /// Gives it what the end needs.
    pub(crate) fn with(
        mut self: Box<Self>,
        gateway: Gateway,
        (caller, request): (Caller, Request),
        ticket: Option<Ticket>,
        unmask: Option<Box<dyn Unmask>>,
    ) -> Self {
        self.native &= unmask.is_none();
        let held_words = unmask.map(masks::Held::new);
        self.after = Some(After { gateway, caller, request, ticket, held_words, held_arguments: None, facts: None });
        *self
    }

    /// Gives it what is told of the call.
    pub(crate) fn owned(mut self: Box<Self>, facts: &Facts) -> Self {
        self.first_piece = Some(facts.began.elapsed());
        self.began = facts.began;
        if let Some(after) = &mut self.after {
            after.facts = Some(facts.clone());
        }
        self.kept();
        *self
    }

    /// Waits for the first piece with something in it: until then another provider may still answer.
    pub(crate) async fn prime(&mut self) -> Result<(), (Failure, u64)> {
        let mut all = Chunk::default();
        while let Some(chunk) = poll_fn(|cx| self.poll_source(cx)).await {
            all.raw.extend(chunk.raw);
            all.events.extend(chunk.events);
            if all.events.iter().any(|event| !matches!(event, Event::Start { .. })) {
                break;
            }
        }
        let begun = all.events.iter().any(|event| matches!(event, Event::Text(_) | Event::ToolStart { .. }));
        match self.failing.take() {
            // Nothing of worth came before the failure.
            Some(failure) if !begun => Err((failure.clone(), self.close(&failure))),
            failing => {
                self.failing = failing;
                self.ready = Some(all);
                Ok(())
            }
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// The answer is not whole; what came before is not an answer.
    pub async fn next(&mut self) -> Option<Result<Event, GatewayError>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(Ok(event));
            }
            match poll_fn(|cx| self.poll_chunk(cx)).await? {
                Ok(chunk) => self.queue.extend(chunk.events),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What is told of the call, with the tokens and the cost once it has ended.
    pub(crate) fn facts(&self) -> Option<&Facts> {
        self.after.as_ref()?.facts.as_ref()
    }

    /// The next piece, with masked values back in their places.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, GatewayError>>> {
        let chunk = match self.ready.take() {
            Some(chunk) => Some(chunk),
            None if self.failing.is_some() => None,
            None => ready!(self.poll_source(cx)),
        };
        if let Some(mut chunk) = chunk {
            if let Some(after) = self.after.as_mut().filter(|after| after.held_words.is_some()) {
                chunk.events = after.unmask(chunk.events);
            }
            return Poll::Ready(Some(Ok(chunk)));
        }
        let Some(failure) = self.failing.take() else { return Poll::Ready(None) };
        self.close(&failure);
        let tried = self.facts().map(|facts| facts.tried.clone()).unwrap_or_default();
        Poll::Ready(Some(Err(GatewayError::Failed { failure, tried })))
    }

    /// Reads until there is something to hand on; `None` at the end, and `failing` says whether it is a good one.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        loop {
            if self.failing.is_some() {
                return Poll::Ready(None);
            }
            let Some(source) = &mut self.source else { return Poll::Ready(None) };
            if source.deadline.as_mut().poll(cx).is_ready() {
                self.failing = Some(Failure::Deadline);
                continue;
            }
            let mut chunk = Chunk::default();
            match Pin::new(&mut source.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.failing = self.take_in(&data, &mut chunk).err();
                }
                Poll::Ready(Some(Err(_))) => self.failing = Some(Failure::Cut),
                Poll::Ready(None) => self.failing = self.at_end(&mut chunk).err(),
                Poll::Pending => {
                    ready!(source.idle.as_mut().poll(cx));
                    if source.came < source.pace.slowest {
                        self.failing = Some(Failure::Stalled);
                    } else {
                        source.came = 0;
                        source.idle.as_mut().reset(Instant::now() + source.pace.idle);
                    }
                    continue;
                }
            }
            let something = if self.native { !chunk.raw.is_empty() } else { !chunk.events.is_empty() };
            if something {
                return Poll::Ready(Some(chunk));
            }
        }
    }

    /// Takes bytes in, frame by frame.
    fn take_in(&mut self, data: &[u8], chunk: &mut Chunk) -> Result<(), Failure> {
        let Some(source) = &mut self.source else { return Ok(()) };
        source.came += data.len() as u64;
        source.total += data.len() as u64;
        if source.total > source.most {
            return Err(Failure::TooLarge { most: source.most });
        }
        source.splitter.push(data);
        while let Some(frame) = self.source.as_mut().and_then(|source| source.splitter.next_frame()) {
            self.frame(&frame, chunk)?;
        }
        Ok(())
    }

    fn frame(&mut self, raw: &[u8], chunk: &mut Chunk) -> Result<(), Failure> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let frame = sse::parse(raw).map_err(|_| Failure::Garbled("a frame is not UTF-8".to_owned()))?;
        let from = chunk.events.len();
        source.reader.read(&frame, &mut chunk.events)?;
        let ended = source.reader.ended();
        let news = &chunk.events[from..];
        for event in news {
            self.seen.see(event)?;
        }
        let only_usage = !news.is_empty() && news.iter().all(|event| matches!(event, Event::Usage(_)));
        if ended {
            // Checked before the last frame goes out: after it nobody listens.
            self.checked()?;
        }
        if self.native && !(self.hide_usage && only_usage) {
            chunk.raw.extend_from_slice(raw);
        }
        if ended {
            self.well();
        }
        Ok(())
    }

    /// The provider's side closed.
    fn at_end(&mut self, chunk: &mut Chunk) -> Result<(), Failure> {
        let rest = self.source.as_mut().map(|source| source.splitter.rest()).unwrap_or_default();
        if !rest.iter().all(u8::is_ascii_whitespace) {
            // A last frame without its blank line; cut JSON is found out by reading it.
            self.frame(&rest, chunk)?;
        }
        if self.source.is_some() {
            self.checked()?;
            self.well();
        }
        Ok(())
    }

    /// Whether this is a whole answer.
    fn checked(&mut self) -> Result<(), Failure> {
        if self.source.as_ref().is_some_and(|source| !source.reader.complete()) {
            let nothing = !self.seen.anything && self.seen.finish.is_none();
            let empty = self.source.as_ref().is_some_and(|source| source.total == 0);
            return Err(if nothing && empty { Failure::Empty } else { Failure::Cut });
        }
        let finish = self.seen.finish.unwrap_or_default();
        if finish == Finish::Refused {
            return Err(Failure::Declined);
        }
        if !self.seen.anything {
            return Err(Failure::Empty);
        }
        if self.format != Format::Text && !self.seen.answer.calls_tools() {
            validate::form(&self.format, &self.seen.answer.text(), finish)?;
        }
        Ok(())
    }

    /// A good end: settles, keeps, records.
    fn well(&mut self) {
        let Some(source) = self.source.take() else { return };
        let (usage, micros) = source.held.settle(self.seen.usage);
        // Reading to the end gives the connection back to its pool.
        let mut body = source.body;
        tokio::spawn(async move {
            let rest =
                async { while http_body_util::BodyExt::frame(&mut body).await.is_some_and(|frame| frame.is_ok()) {} };
            let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
        });
        self.early = Some((usage, micros));
        self.kept();
    }

    /// Keeps and records a good end, once it is known for whom: it may have come with the first piece.
    fn kept(&mut self) {
        let Some(after) = self.after.as_mut().filter(|after| after.facts.is_some()) else { return };
        let Some((usage, micros)) = self.early.take() else { return };
        after.ended(usage, micros, self.first_piece, None);
        if let (Some(ticket), Some(cache)) = (after.ticket.take(), after.gateway.shared.outside.cache.clone()) {
            let (caller, request) = (after.caller.clone(), after.request.clone());
            let answer = Answer { usage, ..self.seen.answer.clone() };
            tokio::spawn(async move { cache.store(ticket, &caller, &request, &answer).await });
        }
    }

    /// A bad end: gives back and records. Answers with what is charged.
    fn close(&mut self, failure: &Failure) -> u64 {
        let Some(source) = self.source.take() else { return 0 };
        let usage = self.seen.finish.and(self.seen.usage);
        let micros = source.held.fail(failure, usage);
        if let Some(after) = &mut self.after {
            after.ended(usage.unwrap_or_default(), micros, self.first_piece, Some(failure.code()));
        }
        micros
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        // The reader went away: the reservation is settled at its worst, and the record says so.
        if let (Some(source), Some(after)) = (self.source.take(), &mut self.after) {
            let micros = source.held.hold.reserved().micros;
            after.ended(Usage::default(), micros, self.first_piece, Some(tidemill_dag::codes::tm11::CUT_ANSWER));
        }
    }
}

impl After {
    fn ended(&mut self, usage: Usage, micros: u64, first_piece: Option<Duration>, error: Option<&'static str>) {
        let Some(facts) = &mut self.facts else { return };
        facts.usage.input += usage.input;
        facts.usage.output += usage.output;
        facts.usage.cached += usage.cached;
        facts.usage.cache_written += usage.cache_written;
        facts.usage.reasoning += usage.reasoning;
        facts.micros += micros;
        self.gateway.shared.record(&self.caller, &self.request.model, facts, first_piece, error);
    }

    /// Events with masked values back in their places.
    fn unmask(&mut self, events: Vec<Event>) -> Vec<Event> {
        let mut out = Vec::with_capacity(events.len());
        let Some(words) = &mut self.held_words else { return events };
        for event in events {
            match event {
                Event::Text(text) => {
                    let sure = words.push(&text);
                    out.extend((!sure.is_empty()).then_some(Event::Text(sure)));
                    continue;
                }
                Event::ToolArguments { index, text } => {
                    match &mut self.held_arguments {
                        Some((_, waiting)) => waiting.push_str(&text),
                        None => self.held_arguments = Some((index, text)),
                    }
                    continue;
                }
                Event::Start { .. } | Event::Usage(_) => {}
                Event::Refusal(_) | Event::ToolStart { .. } | Event::Finish(_) => {
                    let rest = words.rest();
                    out.extend((!rest.is_empty()).then_some(Event::Text(rest)));
                    let arguments = self.held_arguments.take();
                    out.extend(arguments.map(|(index, text)| Event::ToolArguments { index, text: words.json(&text) }));
                }
            }
            out.push(event);
        }
        out
    }
}

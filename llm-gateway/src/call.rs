//! One call from the request to the answer: privacy, cache, route, tries, record.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tidemill_dag::spec::Backoff;
use tidemill_dag::time::{Span, Timestamp};
use tokio::time::Instant;

use crate::answer::{Answer, Embeddings};
use crate::attempt::{Done, Got, Missed, Next, What, Work};
use crate::caller::Caller;
use crate::error::{Attempt, Failure, GatewayError};
use crate::gateway::{Gateway, Shared};
use crate::hooks::{Example, Lookup, Ticket, Unmask};
use crate::limits::{Amount, Standing};
use crate::request::{EmbedRequest, Message, Part, Request, Role};
use crate::route::{Plan, Signals};
use crate::stream::AnswerStream;
use crate::usage::{CacheState, Usage, UsageRecord};
use crate::validate;
use crate::wire::Dialect;
use crate::wire::fields::Fields;

/// A request on its way.
pub(crate) struct Asked {
    pub caller: Caller,
    pub request: Request,
    /// The protocol it came in.
    pub front: Option<Dialect>,
    /// The bytes it came in, for a provider of the same protocol; none once something in it has changed.
    pub fields: Option<Fields>,
    /// How long the caller will wait.
    pub within: Option<Duration>,
    pub began: Instant,
}

impl Asked {
    pub fn of(caller: Caller, request: Request) -> Self {
        Self { caller, request, front: None, fields: None, within: None, began: Instant::now() }
    }
}

/// What came back.
pub(crate) enum Reply {
    /// The whole answer; the bytes too where the caller's dialect is the provider's.
    Whole { answer: Box<Answer>, raw: Option<bytes::Bytes> },
    /// The answer in pieces.
    Stream(Box<AnswerStream>),
}

/// What is told of a call beside its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// The call.
    pub call: Arc<str>,
    /// The deployment that answered; empty if none did.
    pub deployment: Arc<str>,
    /// Its provider.
    pub provider: Arc<str>,
    /// The model as the provider names it.
    pub model: Arc<str>,
    /// Every try, in order.
    pub tried: Vec<Attempt>,
    /// Whether the cache had a part.
    pub cache: CacheState,
    /// The embedding that near requests are found with; empty where the cache was not asked.
    pub embedding: Arc<str>,
    /// Tokens of all tries that are charged; of a stream only in its record.
    pub usage: Usage,
    /// What they cost, in millionths.
    pub micros: u64,
    /// Time in the gateway itself so far.
    pub overhead: Duration,
    /// How the caller's limits stand.
    #[serde(skip)]
    pub standing: Vec<Standing>,
    #[serde(skip)]
    pub(crate) began: Instant,
    #[serde(skip)]
    pub(crate) at: Timestamp,
    #[serde(skip)]
    pub(crate) waited: Duration,
}

impl Facts {
    fn new(shared: &Shared, began: Instant) -> Self {
        let none: Arc<str> = "".into();
        Self {
            call: shared.call_name(),
            deployment: none.clone(),
            provider: none.clone(),
            model: none,
            tried: Vec::new(),
            cache: CacheState::Off,
            embedding: "".into(),
            usage: Usage::default(),
            micros: 0,
            overhead: Duration::ZERO,
            standing: Vec::new(),
            began,
            at: shared.outside.clock.now(),
            waited: Duration::ZERO,
        }
    }

    fn charge(&mut self, usage: Usage, micros: u64) {
        let sum = &mut self.usage;
        sum.input += usage.input;
        sum.output += usage.output;
        sum.cached += usage.cached;
        sum.cache_written += usage.cache_written;
        sum.reasoning += usage.reasoning;
        self.micros += micros;
    }

    fn clocked(mut self) -> Self {
        self.overhead = self.began.elapsed().saturating_sub(self.waited);
        self
    }
}

/// How one try, or a race of two, ended.
struct Raced {
    place: usize,
    result: Result<Done, Missed>,
    lost: Option<(usize, Missed)>,
}

/// A call that failed, and what is told of it.
pub(crate) struct Failed(pub GatewayError, pub Box<Facts>);

impl Gateway {
    /// A request for an answer, whole or in pieces.
    pub(crate) async fn chat(&self, mut asked: Asked) -> Result<(Reply, Facts), Failed> {
        let mut facts = Facts::new(&self.shared, asked.began);
        match self.chat_through(&mut asked, &mut facts).await {
            Ok(Reply::Stream(stream)) => {
                let facts = facts.clocked();
                let stream = stream.owned(&facts);
                Ok((Reply::Stream(Box::new(stream)), facts))
            }
            Ok(reply) => {
                let facts = facts.clocked();
                self.shared.record(&asked.caller, &asked.request.model, &facts, None, None);
                Ok((reply, facts))
            }
            Err(error) => {
                let facts = facts.clocked();
                self.shared.record(&asked.caller, &asked.request.model, &facts, None, Some(error.code()));
                Err(Failed(error, Box::new(facts)))
            }
        }
    }

    async fn chat_through(&self, asked: &mut Asked, facts: &mut Facts) -> Result<Reply, GatewayError> {
        let shared = &*self.shared;
        let deadline = shared.deadline(asked.began, asked.within);
        validate::schema(&asked.request.format).map_err(|reason| GatewayError::BadRequest {
            reason: format!("the schema of the answer is none: {reason}"),
            field: Some("response_format".to_owned()),
        })?;
        let unmask = match &shared.outside.privacy {
            Some(privacy) => privacy.mask(&asked.caller, &mut asked.request)?,
            None => None,
        };
        if unmask.is_some() {
            asked.fields = None;
        }
        let limits = shared.rules.limits(&asked.caller);
        let mut ticket = None;
        if let Some(cache) = &shared.outside.cache {
            match cache.lookup(&asked.caller, &asked.request).await {
                Lookup::Off => {}
                Lookup::Hit { answer, state, shadow } => {
                    (facts.cache, facts.embedding) = (state, cache.embedding());
                    let once = Amount { requests: 1, ..Amount::default() };
                    let (hold, standing) = shared.ledger.reserve(limits, once, deadline - Instant::now()).await?;
                    hold.settle(once);
                    facts.standing = standing;
                    if let Some(ticket) = shadow {
                        self.shadow(asked, ticket);
                    }
                    return Ok(unmasked(*answer, unmask.as_deref(), &asked.request, None));
                }
                Lookup::Miss { ticket: found, example } => {
                    (facts.cache, ticket) = (CacheState::Miss, Some(found));
                    facts.embedding = cache.embedding();
                    if let Some(example) = example {
                        facts.cache = CacheState::Example;
                        show(&mut asked.request, &example);
                        asked.fields = None;
                    }
                }
            }
        }
        let tokens = shared.tokens(&asked.request);
        let (caller, request) = (&asked.caller, &asked.request);
        let signals = || Signals::of(request, tokens.1);
        let draw = || shared.outside.chance.draw();
        let plan = shared.plan(caller, &request.model, tokens, request.max_tokens, false, signals, draw)?;
        let what = What::Chat { request, front: asked.front, fields: asked.fields.as_ref() };
        let work = Work { what, limits, bound: tokens.0, deadline, collect: ticket.is_some() };
        let done = self.tries(&work, &plan, facts).await?;
        match done.got {
            Got::Whole(answer, raw) => {
                if let Some(ticket) = ticket {
                    self.keep(ticket, asked, &answer);
                }
                let raw = raw.filter(|_| unmask.is_none());
                Ok(unmasked(*answer, unmask.as_deref(), &asked.request, raw))
            }
            Got::Stream(stream) => {
                let told = (asked.caller.clone(), asked.request.clone());
                Ok(Reply::Stream(Box::new(stream.with(self.clone(), told, ticket, unmask))))
            }
            Got::Vectors(_) => unreachable!("an answer was asked for"),
        }
    }

    /// A request for vectors.
    pub(crate) async fn vectors(
        &self,
        caller: &Caller,
        mut request: EmbedRequest,
        within: Option<Duration>,
        began: Instant,
    ) -> Result<(Embeddings, Facts), Failed> {
        let shared = &*self.shared;
        let mut facts = Facts::new(shared, began);
        if let Err(error) = shared.mask_texts(caller, &mut request) {
            return Err(Failed(error, Box::new(facts)));
        }
        let tokens = Shared::embed_tokens(&request);
        let draw = || shared.outside.chance.draw();
        let planned = shared.plan(caller, &request.model, tokens, None, true, Signals::default, draw);
        let result = match planned {
            Ok(plan) => {
                let limits = shared.rules.limits(caller);
                let deadline = shared.deadline(began, within);
                let work = Work { what: What::Embed(&request), limits, bound: tokens.0, deadline, collect: false };
                self.tries(&work, &plan, &mut facts).await
            }
            Err(error) => Err(error),
        };
        let facts = facts.clocked();
        let error = result.as_ref().err().map(GatewayError::code);
        shared.record(caller, &request.model, &facts, None, error);
        match result {
            Ok(Done { got: Got::Vectors(vectors), .. }) => Ok((*vectors, facts)),
            Ok(_) => unreachable!("vectors were asked for"),
            Err(error) => Err(Failed(error, Box::new(facts))),
        }
    }

    /// Tries deployments in the order of the plan until one answers, the tries are used up, or time is over.
    async fn tries(&self, work: &Work<'_>, plan: &Plan, facts: &mut Facts) -> Result<Done, GatewayError> {
        let within = tokio::time::timeout_at(work.deadline, self.tries_without_end(work, plan, facts)).await;
        match within {
            Ok(result) => result,
            Err(_) => {
                let failure = Failure::Deadline;
                facts.tried.push(self.named(plan.order[0], failure.code()));
                Err(GatewayError::Failed { failure, tried: facts.tried.clone() })
            }
        }
    }

    async fn tries_without_end(&self, work: &Work<'_>, plan: &Plan, facts: &mut Facts) -> Result<Done, GatewayError> {
        let rules = &self.shared.config.retry;
        let most = (rules.attempts.max(1) as usize).max(plan.order.len());
        let (mut turn, mut rounds, mut requests, mut said) = (0usize, 0u32, 1, None);
        for number in 0..most {
            let place = plan.order[turn % plan.order.len()];
            let other = plan.order.get(turn + 1).copied().filter(|_| number == 0);
            let hedge = plan.hedge_after.zip(other);
            let raced = match hedge {
                Some((after, other)) => self.hedged(work, place, other, after).await,
                None => Raced { place, result: self.attempt(work, place, requests).await, lost: None },
            };
            if let Some((place, missed)) = &raced.lost {
                facts.tried.push(self.named(*place, missed.error.code()));
                facts.charge(Usage::default(), missed.micros);
                turn += 1;
            }
            let place = raced.place;
            let mut missed = match raced.result {
                Ok(done) => {
                    self.told(place, &done, facts);
                    return Ok(done);
                }
                Err(missed) => missed,
            };
            requests = if missed.reserved { 0 } else { requests };
            facts.tried.push(self.named(place, missed.error.code()));
            facts.charge(Usage::default(), missed.micros);
            facts.waited += missed.waited;
            missed.after(&mut said);
            let last = number + 1 == most;
            if last || missed.next == Next::Stop {
                return Err(missed.into_error(&facts.tried));
            }
            if missed.next == Next::Other {
                turn += 1;
            }
            // Another deployment is asked at once, the same one after a wait.
            if turn > 0 && turn.is_multiple_of(plan.order.len()) && missed.next == Next::Other {
                rounds += 1;
                let wait = self.wait(rounds, &missed);
                if wait > rules.most.0 || Instant::now() + wait >= work.deadline {
                    return Err(missed.into_error(&facts.tried));
                }
                tokio::time::sleep(wait).await;
                facts.waited += wait;
            }
        }
        Err(GatewayError::UnknownModel { model: String::new() })
    }

    /// The wait before a deployment is asked again: as it wishes, or drawn.
    fn wait(&self, rounds: u32, missed: &Missed) -> Duration {
        let rules = &self.shared.config.retry;
        let backoff = Backoff { initial: rules.base, max: Span(rules.most.0), factor: 2.0 };
        let drawn = tidemill_dag::backoff::wait(&backoff, rounds, self.shared.outside.chance.draw());
        missed.error.retry_after().map_or(drawn, |hint| hint.max(drawn.min(rules.base.0)))
    }

    /// Two deployments at once, the second a little later; the first to answer wins and the other is dropped.
    async fn hedged(&self, work: &Work<'_>, first: usize, second: usize, after: Duration) -> Raced {
        let mut one = std::pin::pin!(self.attempt(work, first, 1));
        tokio::select! {
            biased;
            result = &mut one => return Raced { place: first, result, lost: None },
            () = tokio::time::sleep(after) => {}
        }
        let mut two = std::pin::pin!(self.attempt(work, second, 0));
        tokio::select! {
            biased;
            result = &mut one => match result {
                Ok(done) => Raced { place: first, result: Ok(done), lost: None },
                Err(missed) => Raced { place: second, result: two.await, lost: Some((first, missed)) },
            },
            result = &mut two => match result {
                Ok(done) => Raced { place: second, result: Ok(done), lost: None },
                Err(missed) => Raced { place: first, result: one.await, lost: Some((second, missed)) },
            },
        }
    }

    fn named(&self, place: usize, outcome: &'static str) -> Attempt {
        Attempt { deployment: self.shared.table[place].name.to_string(), outcome }
    }

    fn told(&self, place: usize, done: &Done, facts: &mut Facts) {
        let deployment = &self.shared.table[place];
        facts.tried.push(self.named(place, "ok"));
        facts.deployment = deployment.name.clone();
        facts.provider = deployment.provider_name.clone();
        facts.model = deployment.model.clone();
        facts.charge(done.usage, done.micros);
        facts.waited += done.waited;
        facts.standing.clone_from(&done.standing);
    }

    /// Asks the model too where the cache has answered, off the path, so that false hits are found.
    fn shadow(&self, asked: &Asked, ticket: Ticket) {
        let request = Request { stream: false, ..asked.request.clone() };
        let (gateway, caller, front) = (self.clone(), asked.caller.clone(), asked.front);
        tokio::spawn(async move {
            let shared = &*gateway.shared;
            let Some(cache) = &shared.outside.cache else { return };
            let tokens = shared.tokens(&request);
            let signals = || Signals::of(&request, tokens.1);
            let draw = || shared.outside.chance.draw();
            let planned = shared.plan(&caller, &request.model, tokens, request.max_tokens, false, signals, draw);
            let Ok(plan) = planned else { return };
            let what = What::Chat { request: &request, front, fields: None };
            let deadline = shared.deadline(Instant::now(), None);
            let limits = shared.rules.limits(&caller);
            let work = Work { what, limits, bound: tokens.0, deadline, collect: false };
            let mut facts = Facts::new(shared, Instant::now());
            let done = gateway.tries(&work, &plan, &mut facts).await;
            let error = done.as_ref().err().map(GatewayError::code);
            shared.record(&caller, &request.model, &facts.clocked(), None, error);
            if let Ok(Done { got: Got::Whole(answer, _), .. }) = done {
                cache.store(ticket, &caller, &request, &answer).await;
            }
        });
    }

    /// Hands an answer to the cache, off the path.
    fn keep(&self, ticket: Ticket, asked: &Asked, answer: &Answer) {
        let Some(cache) = self.shared.outside.cache.clone() else { return };
        let (caller, request, answer) = (asked.caller.clone(), asked.request.clone(), answer.clone());
        tokio::spawn(async move { cache.store(ticket, &caller, &request, &answer).await });
    }
}

impl Shared {
    fn deadline(&self, began: Instant, within: Option<Duration>) -> Instant {
        let total = self.config.timeouts.total.0;
        began + within.map_or(total, |within| within.min(total))
    }

    /// Masks texts before vectors are made of them; nothing has to be put back.
    fn mask_texts(&self, caller: &Caller, request: &mut EmbedRequest) -> Result<(), GatewayError> {
        let Some(privacy) = &self.outside.privacy else { return Ok(()) };
        let turns = request.inputs.iter().map(|text| Message::text(Role::User, text.as_str()));
        let mut masked = Request { messages: turns.collect(), ..Request::default() };
        if privacy.mask(caller, &mut masked)?.is_some() {
            let texts = masked.messages.into_iter().map(|turn| turn.parts.iter().map(Part::words).collect());
            request.inputs = texts.collect();
        }
        Ok(())
    }

    /// Hands a record of use on.
    pub fn record(
        &self,
        caller: &Caller,
        asked: &str,
        facts: &Facts,
        first_piece: Option<Duration>,
        error: Option<&'static str>,
    ) {
        let Some(sink) = &self.outside.usage else { return };
        sink.record(UsageRecord {
            call: facts.call.clone(),
            at: facts.at,
            caller: caller.clone(),
            asked: asked.into(),
            deployment: facts.deployment.clone(),
            provider: facts.provider.clone(),
            model: facts.model.clone(),
            attempts: u32::try_from(facts.tried.len()).unwrap_or(u32::MAX),
            cache: facts.cache,
            usage: facts.usage,
            micros: facts.micros,
            took: facts.began.elapsed(),
            overhead: facts.overhead,
            first_piece,
            error,
        });
    }
}

/// Shows the model an earlier answer to a near question.
fn show(request: &mut Request, example: &Example) {
    let words = format!(
        "A similar request was answered before. It may differ in numbers, names or conditions; use it as an example of \
         the form only.\n\nEarlier request:\n{}\n\nEarlier answer:\n{}",
        example.question, example.answer
    );
    let after = request.messages.iter().take_while(|message| message.role == Role::System).count();
    request.messages.insert(after, Message::text(Role::System, words));
}

fn unmasked(answer: Answer, unmask: Option<&dyn Unmask>, request: &Request, raw: Option<bytes::Bytes>) -> Reply {
    let answer = match unmask {
        Some(unmask) => crate::masks::restore(answer, unmask, &request.format),
        None => answer,
    };
    Reply::Whole { answer: Box::new(answer), raw }
}

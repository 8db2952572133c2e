//! One try of one deployment: breaker, place, reservation, call, check, settlement.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, Uri};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::answer::{Answer, Embeddings};
use crate::error::{Attempt, Failure, GatewayError};
use crate::gateway::{Gateway, LEASE_MARGIN, Shared};
use crate::limits::{Amount, Hold, Limit, Standing};
use crate::prices::Price;
use crate::providers::{Call, Outgoing};
use crate::request::{EmbedRequest, Request};
use crate::resilience::{Permission, Picked, Place};
use crate::stream::AnswerStream;
use crate::table::Deployment;
use crate::upstream::{read_whole, retry_after};
use crate::usage::Usage;
use crate::validate;
use crate::wire::Dialect;
use crate::wire::fields::Fields;

/// An error answer is read so far.
const ERROR_BYTES: u64 = 64 << 10;
/// A key that was refused rests so long, one at its limit at least so long.
const REFUSED_KEY_RESTS: Duration = Duration::from_secs(60);
const LIMITED_KEY_RESTS: Duration = Duration::from_secs(1);

/// How long a caller will wait, in milliseconds.
pub(crate) const TIMEOUT: &str = "x-tidemill-timeout-ms";

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    /// An answer; the protocol the request came in, and its bytes where they may go out.
    Chat { request: &'a Request, front: Option<Dialect>, fields: Option<&'a Fields> },
    /// Vectors.
    Embed(&'a EmbedRequest),
}

/// A request and what it is under.
pub(crate) struct Work<'a> {
    pub what: What<'a>,
    pub limits: Arc<[Limit]>,
    /// The most tokens that the prompt can take.
    pub bound: u64,
    pub deadline: Instant,
    /// Whether a stream is put together too, for the cache.
    pub collect: bool,
}

/// What came of a try that went well.
pub(crate) struct Done {
    pub got: Got,
    pub usage: Usage,
    pub micros: u64,
    pub waited: Duration,
    pub standing: Vec<Standing>,
}

/// What a provider gave.
pub(crate) enum Got {
    /// An answer; the bytes too where the caller's dialect is the provider's.
    Whole(Box<Answer>, Option<Bytes>),
    /// An answer in pieces.
    Stream(Box<AnswerStream>),
    /// Vectors.
    Vectors(Box<Embeddings>),
}

/// What comes after a try that went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same deployment, at once: another key may do.
    Same,
    /// Another deployment, or the same after a wait.
    Other,
    /// Nothing.
    Stop,
}

/// Why a try went wrong.
pub(crate) enum Why {
    /// The provider.
    Failure(Failure),
    /// The gateway, before a provider was asked.
    Gateway(GatewayError),
}

impl Why {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failure(failure) => failure.code(),
            Self::Gateway(error) => error.code(),
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failure(Failure::Limited { retry_after } | Failure::Status { retry_after, .. }) => *retry_after,
            Self::Failure(_) => None,
            Self::Gateway(error) => error.retry_after(),
        }
    }
}

/// A try that went wrong.
pub(crate) struct Missed {
    pub error: Why,
    pub next: Next,
    /// Whether the request itself is counted already.
    pub reserved: bool,
    /// What is charged for it.
    pub micros: u64,
    pub waited: Duration,
}

impl Missed {
    fn before(error: GatewayError, next: Next) -> Self {
        Self { error: Why::Gateway(error), next, reserved: false, micros: 0, waited: Duration::ZERO }
    }

    /// What a provider said before says more than that no place was free, or that nobody is asked any more.
    pub fn after(&mut self, said: &mut Option<Failure>) {
        match (&self.error, &said) {
            (Why::Failure(failure), _) => *said = Some(failure.clone()),
            (Why::Gateway(GatewayError::NoneAvailable { .. } | GatewayError::Overloaded { .. }), Some(failure)) => {
                self.error = Why::Failure(failure.clone());
            }
            (Why::Gateway(_), _) => {}
        }
    }

    pub fn into_error(self, tried: &[Attempt]) -> GatewayError {
        match self.error {
            Why::Failure(failure) => GatewayError::Failed { failure, tried: tried.to_vec() },
            Why::Gateway(error) => error,
        }
    }
}

/// A call that the breaker let go and that must report back; dropped, it says nothing about the deployment.
pub(crate) struct Probe {
    shared: Arc<Shared>,
    place: usize,
    open: bool,
}

impl Probe {
    fn deployment(&self) -> &Deployment {
        &self.shared.table[self.place]
    }

    pub fn succeeded(mut self) {
        self.open = false;
        self.deployment().breaker().succeeded();
    }

    /// What a failure says about the deployment.
    pub fn failed(mut self, failure: &Failure) {
        let mut breaker = self.deployment().breaker();
        let now = self.shared.outside.clock.now();
        match failure {
            Failure::Limited { .. }
            | Failure::Status { .. }
            | Failure::Unreachable
            | Failure::Stalled
            | Failure::Empty
            | Failure::Cut
            | Failure::Garbled(_) => breaker.failed(now),
            // It answered, only not as one would like.
            Failure::Refused { .. }
            | Failure::OverWindow
            | Failure::WrongSchema(_)
            | Failure::Declined
            | Failure::Looping
            | Failure::TooLarge { .. } => breaker.succeeded(),
            // A caller in a hurry, or our own key, says nothing about it.
            Failure::Deadline | Failure::Auth { .. } => breaker.undecided(now),
        }
        drop(breaker);
        self.open = false;
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if self.open {
            self.deployment().breaker().undecided(self.shared.outside.clock.now());
        }
    }
}

/// What a call holds while it runs; dropped, everything is given back and the worst is paid.
pub(crate) struct Held {
    pub probe: Probe,
    pub hold: Hold,
    pub price: Price,
    pub place: usize,
    pub shared: Arc<Shared>,
    picked: Picked,
    _seat: Place,
}

impl Held {
    /// It went well: counts what the provider told, or the worst if it told nothing.
    pub fn settle(self, usage: Option<Usage>) -> (Usage, u64) {
        let Self { probe, hold, price, .. } = self;
        probe.succeeded();
        let reserved = hold.reserved();
        let Some(usage) = usage else {
            let micros = reserved.micros;
            hold.settle(reserved);
            return (Usage::default(), micros);
        };
        let micros = price.cost(&usage);
        if usage.total() > reserved.tokens || micros > reserved.micros {
            tracing::warn!(
                tokens = usage.total(),
                reserved = reserved.tokens,
                "a provider counted more than was possible"
            );
        }
        hold.settle(Amount { requests: reserved.requests, tokens: usage.total(), micros });
        (usage, micros)
    }

    /// It went wrong: what is not billed is given back. Answers with what is charged.
    pub fn fail(self, failure: &Failure, usage: Option<Usage>) -> u64 {
        let Self { probe, hold, price, shared, place, picked, .. } = self;
        probe.failed(failure);
        let keys = &shared.table[place].keys;
        let now = shared.outside.clock.now();
        match failure {
            Failure::Auth { .. } => keys.rest(picked, now, REFUSED_KEY_RESTS),
            Failure::Limited { retry_after } => {
                keys.rest(picked, now, retry_after.unwrap_or(LIMITED_KEY_RESTS).max(LIMITED_KEY_RESTS));
            }
            _ => {}
        }
        let reserved = hold.reserved();
        let taken = match (failure, usage) {
            // Providers do not bill what they refuse.
            (
                Failure::Auth { .. }
                | Failure::Limited { .. }
                | Failure::Status { .. }
                | Failure::Refused { .. }
                | Failure::OverWindow
                | Failure::Unreachable,
                _,
            ) => Amount { requests: reserved.requests, ..Amount::default() },
            (_, Some(usage)) => {
                Amount { requests: reserved.requests, tokens: usage.total(), micros: price.cost(&usage) }
            }
            (_, None) => reserved,
        };
        hold.settle(taken);
        taken.micros
    }
}

/// What comes after a failure.
fn next(failure: &Failure, other_key: bool) -> Next {
    match failure {
        Failure::Auth { .. } | Failure::Limited { .. } if other_key => Next::Same,
        Failure::Refused { .. } | Failure::Declined | Failure::TooLarge { .. } | Failure::Deadline => Next::Stop,
        Failure::Auth { .. }
        | Failure::Limited { .. }
        | Failure::Status { .. }
        | Failure::OverWindow
        | Failure::Unreachable
        | Failure::Stalled
        | Failure::Empty
        | Failure::Cut
        | Failure::Garbled(_)
        | Failure::WrongSchema(_)
        | Failure::Looping => Next::Other,
    }
}

impl Gateway {
    /// Tries one deployment. `requests` is 1 where this call is not counted yet.
    pub(crate) async fn attempt(&self, work: &Work<'_>, place: usize, requests: u64) -> Result<Done, Missed> {
        let deployment = &self.shared.table[place];
        let (body, max_tokens, call) =
            outgoing(deployment, work).map_err(|error| Missed::before(error, Next::Other))?;
        let probe = self.admit(place)?;
        let seat = deployment.bulkhead.enter().await.ok_or_else(|| {
            let what = format!("a place at {}", deployment.name);
            Missed::before(GatewayError::Overloaded { what }, Next::Other)
        })?;
        let now = self.shared.outside.clock.now();
        let price = deployment.price(now);
        let bound = self.shared.bound(work, &deployment.model);
        let (tokens, micros) = (bound + max_tokens, price.bound(bound, max_tokens));
        let amount = Amount { requests, tokens, micros };
        let lease = work.deadline.saturating_duration_since(Instant::now()) + LEASE_MARGIN;
        let reserving = self.shared.ledger.reserve(work.limits.clone(), amount, lease).await;
        let (mut hold, standing) = reserving.map_err(|error| Missed::before(error, Next::Stop))?;
        // Until something is sent, nothing is spent.
        hold.assume(Amount { requests, ..Amount::default() });
        let picked = deployment.keys.pick(now);
        let shared = self.shared.clone();
        let mut held = Held { probe, hold, price, place, shared, picked, _seat: seat };
        let mut headers = deployment.headers();
        let site = &deployment.site;
        let uri = site_uri(deployment, call);
        let ready = deployment.provider.authorize(site, deployment.keys.secret(picked), &mut headers);
        let left = work.deadline.saturating_duration_since(Instant::now()).as_millis();
        // Another gateway behind this one then knows when nobody waits any more.
        headers.insert(HeaderName::from_static(TIMEOUT), HeaderValue::from(u64::try_from(left).unwrap_or(u64::MAX)));
        let uri = ready.and(uri).map_err(|error| Missed::before(error, Next::Other))?;
        held.hold.assume(amount);
        let sent = Instant::now();
        let result = self.exchange(work, held, uri, headers, body).await;
        let waited = sent.elapsed();
        match result {
            Ok((got, usage, micros)) => Ok(Done { got, usage, micros, waited, standing }),
            Err((failure, micros)) => {
                let next = next(&failure, deployment.keys.awake(self.shared.outside.clock.now()));
                Err(Missed { error: Why::Failure(failure), next, reserved: true, micros, waited })
            }
        }
    }

    /// Asks the breaker.
    fn admit(&self, place: usize) -> Result<Probe, Missed> {
        let deployment = &self.shared.table[place];
        match deployment.breaker().ask(self.shared.outside.clock.now()) {
            Permission::Go => Ok(Probe { shared: self.shared.clone(), place, open: true }),
            Permission::Wait(retry_after) => {
                let model = deployment.name.to_string();
                Err(Missed::before(GatewayError::NoneAvailable { model, retry_after }, Next::Other))
            }
        }
    }

    /// Sends and receives; gives everything back that was held, or hands it to the stream.
    async fn exchange(
        &self,
        work: &Work<'_>,
        held: Held,
        uri: Uri,
        headers: http::HeaderMap,
        body: Vec<u8>,
    ) -> Result<(Got, Usage, u64), (Failure, u64)> {
        let first = self.shared.config.timeouts.first.0;
        let response = match tokio::time::timeout(first, self.upstream.post(uri, headers, body)).await {
            Ok(Ok(response)) if response.status().is_success() => response,
            Ok(Ok(response)) => {
                let failure = self.refusal(held.place, response).await;
                let micros = held.fail(&failure, None);
                return Err((failure, micros));
            }
            Ok(Err(failure)) => {
                let micros = held.fail(&failure, None);
                return Err((failure, micros));
            }
            Err(_) => {
                let micros = held.fail(&Failure::Stalled, None);
                return Err((Failure::Stalled, micros));
            }
        };
        match work.what {
            What::Chat { request, front, fields } if request.stream => {
                let dialect = self.shared.table[held.place].provider.dialect();
                let native = fields.is_some() && front == Some(dialect);
                let mut stream = AnswerStream::open(response.into_body(), held, request, native, work);
                match stream.prime().await {
                    Ok(()) => Ok((Got::Stream(Box::new(stream)), Usage::default(), 0)),
                    Err(failed) => Err(failed),
                }
            }
            What::Chat { request, front, fields } => {
                self.whole(response, held, request, front.filter(|_| fields.is_some())).await
            }
            What::Embed(request) => self.embedded(response, held, request).await,
        }
    }

    /// Reads an answer that is an error.
    async fn refusal(&self, place: usize, response: Response<Incoming>) -> Failure {
        let status = response.status().as_u16();
        let hint = retry_after(response.headers(), self.shared.outside.clock.now());
        // What cannot be read tells no less than its status.
        let body = read_whole(response.into_body(), ERROR_BYTES, self.shared.pace).await.unwrap_or_default();
        self.shared.table[place].provider.failure(status, hint, &body)
    }

    async fn whole(
        &self,
        response: Response<Incoming>,
        held: Held,
        request: &Request,
        passes: Option<Dialect>,
    ) -> Result<(Got, Usage, u64), (Failure, u64)> {
        let provider = self.shared.table[held.place].provider;
        let read = read_whole(response.into_body(), self.shared.config.server.max_answer, self.shared.pace).await;
        let parsed = read.and_then(|body| provider.answer(&body).map(|(answer, usage)| (body, answer, usage)));
        let (body, answer, told) = match parsed {
            Ok(parsed) => parsed,
            Err(failure) => {
                let micros = held.fail(&failure, None);
                return Err((failure, micros));
            }
        };
        if let Err(failure) = validate::whole(request, &answer) {
            let micros = held.fail(&failure, told);
            return Err((failure, micros));
        }
        let (usage, micros) = held.settle(told);
        let raw = (passes == Some(provider.dialect())).then_some(body);
        Ok((Got::Whole(Box::new(answer), raw), usage, micros))
    }

    async fn embedded(
        &self,
        response: Response<Incoming>,
        held: Held,
        request: &EmbedRequest,
    ) -> Result<(Got, Usage, u64), (Failure, u64)> {
        let provider = self.shared.table[held.place].provider;
        let read = read_whole(response.into_body(), self.shared.config.server.max_answer, self.shared.pace).await;
        match read.and_then(|body| provider.embeddings(&body, request.inputs.len())) {
            Ok((vectors, told)) => {
                let (usage, micros) = held.settle(told.then_some(vectors.usage));
                Ok((Got::Vectors(Box::new(vectors)), usage, micros))
            }
            Err(failure) => {
                let micros = held.fail(&failure, None);
                Err((failure, micros))
            }
        }
    }
}

/// The body of a request, the most tokens of its answer, and what is called.
fn outgoing(deployment: &Deployment, work: &Work<'_>) -> Result<(Vec<u8>, u64, Call), GatewayError> {
    let provider = deployment.provider;
    match work.what {
        What::Chat { request, front, fields } => {
            let max_tokens = deployment.max_tokens(request.max_tokens);
            let native = front == Some(provider.dialect());
            let outgoing = Outgoing { request, model: &deployment.model, max_tokens, native };
            let body = match fields.filter(|_| native) {
                Some(fields) => provider.patch(fields, &outgoing)?,
                None => provider.request(&outgoing)?,
            };
            Ok((body, u64::from(max_tokens), Call::Chat { stream: request.stream }))
        }
        What::Embed(request) => Ok((provider.embed_request(request, &deployment.model)?, 0, Call::Embed)),
    }
}

fn site_uri(deployment: &Deployment, call: Call) -> Result<Uri, GatewayError> {
    let url = deployment.provider.url(&deployment.site, &deployment.model, call);
    url.parse().map_err(|_| GatewayError::Config {
        path: format!("gateway.deployments.{}.model", deployment.name),
        reason: "it makes no address".to_owned(),
    })
}

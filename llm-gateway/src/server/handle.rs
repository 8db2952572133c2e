//! From a request to a response.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use serde_json::json;
use tokio::time::Instant;

use super::body::{Out, Pieces};
use super::{headers, models};
use crate::call::{Asked, Facts, Failed, Reply};
use crate::caller::Caller;
use crate::error::GatewayError;
use crate::front::Front;
use crate::gateway::Gateway;
use crate::stream::AnswerStream;
use crate::wire::fields::Fields;
use crate::wire::openai;

/// A request's body must be here after this.
const BODY: Duration = Duration::from_secs(60);

/// What is too large to be taken is read on for so long, to be thrown away.
const DISCARD: Duration = Duration::from_secs(5);

/// Answers whatever comes.
pub(super) async fn handle(gateway: Gateway, request: Request<Incoming>) -> Response<Out> {
    let path = request.uri().path();
    let front = if path.starts_with("/v1/messages") { Front::Anthropic } else { Front::of(request.headers()) };
    match routed(&gateway, request, front).await {
        Ok(response) => response,
        Err(Failed(error, facts)) => failed(front, &error, Some(&facts)),
    }
}

/// Who asks, and what they may ask for.
struct Guest {
    caller: Caller,
    models: Vec<String>,
    within: Option<Duration>,
}

impl Guest {
    fn may_ask(&self, model: &str) -> Result<(), GatewayError> {
        if self.models.is_empty() || self.models.iter().any(|allowed| allowed == model) {
            return Ok(());
        }
        Err(GatewayError::Forbidden { reason: format!("key {} may not use {model}", self.caller.key) })
    }
}

async fn routed(gateway: &Gateway, request: Request<Incoming>, front: Front) -> Result<Response<Out>, Failed> {
    let began = Instant::now();
    let simple =
        |result: Result<Response<Out>, GatewayError>| Ok(result.unwrap_or_else(|error| failed(front, &error, None)));
    let path = request.uri().path().to_owned();
    if request.method() == Method::GET && path == "/health" {
        return Ok(json_response(StatusCode::OK, json!({"status": "ok"}).to_string()));
    }
    let guest = match guest(gateway, request.headers()) {
        Ok(guest) => guest,
        Err(error) => return simple(Err(error)),
    };
    match (request.method(), path.as_str()) {
        (&Method::POST, "/v1/chat/completions") => chat(gateway, request, guest, Front::Openai, began).await,
        (&Method::POST, "/v1/messages") => chat(gateway, request, guest, Front::Anthropic, began).await,
        (&Method::POST, "/v1/embeddings") => embed(gateway, request, guest, began).await,
        (&Method::POST, "/gateway/route") => simple(explain(gateway, request, guest).await),
        (&Method::GET, "/gateway/status") => {
            let cache = gateway.shared.outside.cache.as_ref();
            let cache = cache.map(|cache| json!({"embedding": cache.embedding(), "counts": cache.stats()}));
            let status = json!({"deployments": gateway.status(), "cache": cache});
            Ok(json_response(StatusCode::OK, status.to_string()))
        }
        (&Method::GET, "/v1/models") => {
            Ok(json_response(StatusCode::OK, models::list(gateway, &guest.models, front).to_string()))
        }
        (&Method::GET, path) if path.starts_with("/v1/models/") => {
            let wanted = &path["/v1/models/".len()..];
            let found = models::one(gateway, &guest.models, front, wanted);
            let missing = || GatewayError::UnknownModel { model: wanted.to_owned() };
            simple(found.ok_or_else(missing).map(|value| json_response(StatusCode::OK, value.to_string())))
        }
        _ => simple(Err(GatewayError::NotFound { path })),
    }
}

fn guest(gateway: &Gateway, given: &HeaderMap) -> Result<Guest, GatewayError> {
    let keys = &gateway.shared.keys;
    if keys.open() {
        only_this_machine(given)?;
    }
    let granted = keys.who(given)?;
    let mut caller = granted.caller;
    headers::caller(given, &mut caller, granted.user_is_fixed)?;
    Ok(Guest { caller, models: granted.models.to_vec(), within: headers::within(given)? })
}

/// Without keys, pages of other sites that a browser on this machine shows must not ask either.
fn only_this_machine(given: &HeaderMap) -> Result<(), GatewayError> {
    let local = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        let text = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
        let authority = text.parse::<http::uri::Authority>();
        authority.is_ok_and(|authority| matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]"))
    };
    for name in [HOST, ORIGIN] {
        if let Some(value) = given.get(&name).filter(|value| !local(value)) {
            let shown = value.to_str().unwrap_or("?");
            return Err(GatewayError::Forbidden { reason: format!("without keys, {name} `{shown}` is not answered") });
        }
    }
    Ok(())
}

async fn read(gateway: &Gateway, request: Request<Incoming>) -> Result<Fields, GatewayError> {
    let most = gateway.config().server.max_request;
    let body = request.into_body();
    if body.size_hint().lower() > most {
        discard(body, most).await;
        return Err(GatewayError::TooLarge { most });
    }
    let limited = Limited::new(body, usize::try_from(most).unwrap_or(usize::MAX));
    let wrong = |reason: &str| GatewayError::BadRequest { reason: reason.to_owned(), field: None };
    let collected = tokio::time::timeout(BODY, limited.collect()).await;
    let collected = collected.map_err(|_| wrong("its body does not come"))?;
    let body = collected.map_err(|error| {
        if error.is::<LengthLimitError>() { GatewayError::TooLarge { most } } else { wrong("its body was cut") }
    })?;
    Fields::of(body.to_bytes())
}

/// Reads on for a while and keeps nothing: many clients look for an answer only when they have sent all, and would
/// find a broken connection instead of the reason.
async fn discard(mut body: Incoming, most: u64) {
    let mut left = most.saturating_mul(4);
    let end = Instant::now() + DISCARD;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(end, body.frame()).await {
        let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

async fn chat(
    gateway: &Gateway,
    request: Request<Incoming>,
    mut guest: Guest,
    front: Front,
    began: Instant,
) -> Result<Response<Out>, Failed> {
    let ready = async {
        let fields = read(gateway, request).await?;
        let request = front.read(&fields)?;
        guest.may_ask(&request.model)?;
        Ok((fields, request))
    };
    let (fields, request) = match ready.await {
        Ok(ready) => ready,
        Err(error) => return Ok(failed(front, &error, None)),
    };
    if guest.caller.user.is_none() {
        guest.caller.user = front.user(&request).filter(|user| user.len() <= 256).map(Into::into);
    }
    let (stream, include_usage) = (request.stream, request.include_usage);
    let (dialect, fields) = (Some(front.dialect()), Some(fields));
    let asked = Asked { caller: guest.caller, request, front: dialect, fields, within: guest.within, began };
    let created = gateway.shared.outside.clock.now().as_millis().div_euclid(1_000);
    let (reply, facts) = gateway.chat(asked).await?;
    let body = match reply {
        Reply::Stream(pieces) => {
            Out::Pieces(Box::new(Pieces::new(*pieces, front, front.writer(created, include_usage))))
        }
        Reply::Whole { answer, .. } if stream => {
            let writer = front.writer(created, include_usage);
            Out::Pieces(Box::new(Pieces::new(AnswerStream::of(&answer), front, writer)))
        }
        Reply::Whole { raw: Some(raw), .. } => Out::Whole(Some(raw)),
        Reply::Whole { answer, raw: None } => Out::Whole(Some(front.answer(&answer, created).into())),
    };
    let kind = if stream { "text/event-stream" } else { "application/json" };
    let mut response = Response::new(body);
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if stream {
        out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    headers::tell(out, &facts);
    Ok(response)
}

async fn embed(
    gateway: &Gateway,
    request: Request<Incoming>,
    guest: Guest,
    began: Instant,
) -> Result<Response<Out>, Failed> {
    let ready = async {
        let (request, encoding) = openai::read_embed_request(&read(gateway, request).await?)?;
        guest.may_ask(&request.model)?;
        Ok((request, encoding))
    };
    let (request, encoding) = match ready.await {
        Ok(ready) => ready,
        Err(error) => return Ok(failed(Front::Openai, &error, None)),
    };
    let (vectors, facts) = gateway.vectors(&guest.caller, request, guest.within, began).await?;
    let mut response = json_response(StatusCode::OK, openai::write_embeddings(&vectors, encoding).to_string());
    headers::tell(response.headers_mut(), &facts);
    Ok(response)
}

/// A dry run: which route a request would take, and why.
async fn explain(gateway: &Gateway, request: Request<Incoming>, guest: Guest) -> Result<Response<Out>, GatewayError> {
    let front = Front::of(request.headers());
    let fields = read(gateway, request).await?;
    let request = front.read(&fields)?;
    guest.may_ask(&request.model)?;
    let explained = gateway.explain(&guest.caller, &request)?;
    // Numbers and names always print.
    Ok(json_response(StatusCode::OK, serde_json::to_string(&explained).unwrap_or_default()))
}

fn json_response(status: StatusCode, body: String) -> Response<Out> {
    let mut response = Response::new(Out::Whole(Some(Bytes::from(body))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn failed(front: Front, error: &GatewayError, facts: Option<&Facts>) -> Response<Out> {
    let body = String::from_utf8(front.error(error)).unwrap_or_default();
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, body);
    if let Some(facts) = facts {
        headers::tell(response.headers_mut(), facts);
    }
    headers::retry(response.headers_mut(), error);
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        // What was not read stands in the way of the connection's next request.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

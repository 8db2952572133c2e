//! What holds for every request: an id, a log line, a time limit, who calls, how often, and whether the answer is news.

mod conditional;
mod limit;

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidemill_dag::codes::{tm09, tm13};
use tracing::Instrument as _;

pub(crate) use conditional::conditional;
pub(crate) use limit::Limiter;

use crate::Api;
use crate::auth::{Access, Caller, Role, verify};
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, or keeps the one it came with, and says in the log what became of it.
pub(crate) async fn identify(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = given_id(request.headers()).unwrap_or_else(|| format!("{:032x}", api.chance.bits()));
    let Ok(value) = HeaderValue::from_str(&id) else { return Problem::fault().into_response() };
    request.headers_mut().insert(REQUEST_ID, value.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", request_id = id);
    let start = api.clock.now();
    let mut answer = next.run(request).instrument(span.clone()).await;
    let took = api.clock.now().since(start);
    span.in_scope(|| {
        let (status, milliseconds) = (answer.status().as_u16(), took.as_millis());
        tracing::info!(%method, path, status, milliseconds, "answered");
    });
    answer.headers_mut().insert(REQUEST_ID, value);
    answer
}

fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

/// A panic is a problem document like any other fault.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
    tracing::error!(panic = text, "a request panicked");
    Problem::fault().into_response()
}

/// An answer begins in time, or the request is given up.
pub(crate) async fn in_time(State(api): State<Api>, request: Request, next: Next) -> Response {
    let limit = api.settings.timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => {
            let detail = format!("no answer within {} s", limit.as_secs_f64());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, tm13::TIMEOUT, detail).into_response()
        }
    }
}

/// Addresses that ask nobody for a token: signs of life, and the description of the API.
fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/api/v1/openapi.json")
}

/// Finds out who calls, and whether they call too often.
pub(crate) async fn admit(
    State((api, limiter)): State<(Api, Arc<Limiter>)>,
    mut request: Request,
    next: Next,
) -> Response {
    if api.settings.access == Access::Local
        && (foreign(request.headers(), header::HOST) || foreign(request.headers(), header::ORIGIN))
    {
        let detail = "this server answers only callers on this machine";
        return Problem::new(StatusCode::FORBIDDEN, tm09::FOREIGN_CALLER, detail).into_response();
    }
    if is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let caller = caller(&api, request.headers()).await;
    let name = caller.as_ref().map_or("", |caller| caller.name.as_str());
    let verdict = limiter.take(name, api.clock.now());
    let mut answer = match (verdict.allowed, caller) {
        (false, _) => {
            let detail = format!("more than {} requests in a minute", api.settings.requests_per_minute);
            Problem::new(StatusCode::TOO_MANY_REQUESTS, tm13::TOO_MANY, detail).into_response()
        }
        (true, Err(problem)) => problem.into_response(),
        (true, Ok(caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
    };
    verdict.tell(answer.headers_mut());
    answer
}

async fn caller(api: &Api, headers: &HeaderMap) -> Result<Caller, Problem> {
    let refuse = || {
        Problem::new(StatusCode::UNAUTHORIZED, tm13::NO_TOKEN, "a token is needed")
            .help("send `Authorization: Bearer TOKEN`; `tidemill tokens create NAME` makes one")
    };
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return match api.settings.access {
            Access::Local => Ok(Caller::local()),
            Access::Tokens => Err(refuse()),
        };
    };
    let token = given.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let Some(token) = token else { return Err(refuse()) };
    verify(&api.store, &*api.clock, token).await?.ok_or_else(refuse)
}

/// Lets only callers of a role through.
pub(crate) async fn require(role: Role, request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.role >= role => next.run(request).await,
        Some(caller) => {
            let (name, has) = (&caller.name, caller.role.name());
            let detail = format!("this needs the role `{}`; token `{name}` has `{has}`", role.name());
            Problem::new(StatusCode::FORBIDDEN, tm13::ROLE, detail).into_response()
        }
        None => Problem::new(StatusCode::UNAUTHORIZED, tm13::NO_TOKEN, "a token is needed").into_response(),
    }
}

/// Where nobody is asked for a token, pages of other sites must not reach us through a browser: neither by a name that
/// points to this machine, nor by a form.
fn foreign(headers: &HeaderMap, name: HeaderName) -> bool {
    headers.get(name).is_some_and(|value| !value.to_str().is_ok_and(is_local))
}

fn is_local(address: &str) -> bool {
    let host = address.rsplit_once("://").map_or(address, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_this_machine_is_local() {
        for address in ["127.0.0.1:8451", "localhost", "http://localhost:3000", "[::1]:80", "http://[::1]"] {
            assert!(is_local(address), "{address}");
        }
        for address in ["evil.example", "http://evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", "null", ""] {
            assert!(!is_local(address), "{address}");
        }
    }
}

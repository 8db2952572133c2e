//! All routes, and what holds for each of them.

mod health;
pub(crate) mod hooks;
mod pipelines;
mod runs;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tidemill_dag::codes::tm09;
use tidemill_dag::compile::MAX_BYTES;

use crate::Api;
use crate::hooks::Site;
use crate::problem::Problem;

/// The whole API.
pub fn router(api: Api) -> Router {
    let hooks = hooks::router(Site {
        store: api.store.clone(),
        known: api.workbench.names(),
        clock: api.clock.clone(),
        chance: api.chance.clone(),
        bell: api.bell.clone(),
    });
    Router::new()
        .merge(health::router())
        .nest("/api/v1", runs::router().merge(pipelines::router()))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .layer(middleware::from_fn(local_only))
        .with_state(api)
        .merge(hooks)
}

async fn nothing_here() -> Problem {
    Problem::not_found("there is nothing at this address")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, tm09::BAD_REQUEST, "this address does not take this method")
}

/// Nobody is asked for a password here, so pages of other sites must not reach it through a browser: neither
/// by a name that points to this machine, nor by a form.
async fn local_only(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if foreign(headers, header::HOST) || foreign(headers, header::ORIGIN) {
        let detail = "this server answers only callers on this machine";
        return Problem::new(StatusCode::FORBIDDEN, tm09::FOREIGN_CALLER, detail).into_response();
    }
    next.run(request).await
}

fn foreign(headers: &HeaderMap, name: header::HeaderName) -> bool {
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

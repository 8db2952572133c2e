//! All operations, the role that each needs, and what holds for each of them.

mod apply;
mod approvals;
mod artifacts;
mod backfills;
mod connections;
mod health;
pub(crate) mod hooks;
mod letters;
mod limits;
mod openapi;
mod pipelines;
mod runs;
mod tasks;
mod versions;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use tidemill_dag::codes::tm13;
use tidemill_dag::compile::MAX_BYTES;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::Api;
use crate::auth::Role;
use crate::guard::{self, Limiter};
use crate::hooks::Site;
use crate::problem::Problem;

/// The whole API.
pub fn router(api: Api) -> Router {
    let limiter = Arc::new(Limiter::new(api.settings.requests_per_minute));
    let hooks = hooks::router(site(&api));
    let (routes, _) = described().split_for_parts();
    routes
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(guard::conditional))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .layer(from_fn_with_state((api.clone(), limiter), guard::admit))
        .with_state(api.clone())
        .merge(hooks)
        .layer(from_fn_with_state(api.clone(), guard::in_time))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn_with_state(api, guard::identify))
}

/// What deliveries of webhooks are taken with.
fn site(api: &Api) -> Site {
    Site {
        store: api.store.clone(),
        known: api.workbench.names(),
        clock: api.clock.clone(),
        chance: api.chance.clone(),
        bell: api.bell.clone(),
    }
}

/// Every operation with its documentation.
pub(crate) fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(health::router())
        .merge(openapi::router())
        .merge(pipelines::router())
        .merge(apply::router())
        .merge(versions::router())
        .merge(runs::router())
        .merge(tasks::router())
        .merge(artifacts::router())
        .merge(approvals::router())
        .merge(backfills::router())
        .merge(limits::router())
        .merge(letters::router())
        .merge(connections::router())
        .merge(workers::router())
}

/// An operation that only callers of a role may use.
fn needs(role: Role, (schemas, mut paths, methods): UtoipaMethodRouter<Api>) -> UtoipaMethodRouter<Api> {
    for item in paths.paths.values_mut() {
        crate::openapi::secure(item, role);
    }
    (schemas, paths, methods.layer(from_fn(move |request, next| guard::require(role, request, next))))
}

async fn nothing_here() -> Problem {
    Problem::not_found("there is nothing at this address")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, tm13::METHOD, "this address does not take this method")
}

/// Every operation's example, for the tests that walk the document.
#[cfg(test)]
pub(crate) fn examples() -> Vec<crate::testing::Example> {
    let mut all = Vec::new();
    all.extend(health::examples());
    all.extend(openapi::examples());
    all.extend(pipelines::examples());
    all.extend(apply::examples());
    all.extend(versions::examples());
    all.extend(runs::examples());
    all.extend(tasks::examples());
    all.extend(artifacts::examples());
    all.extend(approvals::examples());
    all.extend(backfills::examples());
    all.extend(limits::examples());
    all.extend(letters::examples());
    all.extend(connections::examples());
    all.extend(workers::examples());
    all
}

//! The HTTP API, and what it shares with the command line: the JSON shapes, checking, comparing and applying
//! definitions, starting runs, tokens, and saying in words what a run waits for.
//!
//! One operation is one file below `routes/`: its handler, its documentation, its errors, its example for the
//! tests. [`problem`] alone turns errors into RFC 9457 problem documents. No task runs here and no SQL is written
//! here.
//!
//! To add an operation: a file in the folder of its resource, a line in that folder's `router` with the role it
//! needs, and its example; a test walks the OpenAPI document and fails for an operation without one. Then
//! `UPDATE_GOLDEN=1 cargo test -p tidemill-api openapi` writes `docs/openapi.json` anew.

pub mod auth;
pub mod backfill;
mod cursor;
pub mod definitions;
pub mod explain;
mod guard;
pub mod health;
pub mod hooks;
mod input;
pub mod openapi;
pub mod preview;
pub mod problem;
mod routes;
mod serve;
pub mod start;
#[cfg(test)]
mod testing;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use tidemill_dag::time::{Chance, Clock};
use tidemill_store::Store;
use tidemill_store::blobs::Blobs;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use auth::Access;
pub use definitions::Workbench;
pub use health::Health;
pub use routes::router;
pub use serve::serve;

/// How the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who may call.
    pub access: Access,
    /// How many requests each caller may make in a minute.
    pub requests_per_minute: u32,
    /// How long one request may take until its answer begins.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { access: Access::Tokens, requests_per_minute: 6_000, timeout: Duration::from_secs(30) }
    }
}

/// What the routes work with.
#[derive(Clone)]
pub struct Api {
    /// The state.
    pub store: Store,
    /// Checks definitions against the project's connections.
    pub workbench: Arc<Workbench>,
    /// Where data sets between tasks are.
    pub blobs: Arc<dyn Blobs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For run ids.
    pub chance: Arc<dyn Chance>,
    /// Rung when something was created that the scheduler should look at.
    pub bell: Arc<Notify>,
    /// How it is served.
    pub settings: Settings,
    /// What is well and what is not.
    pub health: Arc<Health>,
    /// Told when the server stops: streams end by themselves then.
    pub stopping: CancellationToken,
}

//! The HTTP API, and what it shares with the command line: the JSON shapes, checking and applying
//! definitions, starting runs, and saying in words what a run waits for.
//!
//! Routes by resource live in `routes/`; [`problem`] alone turns errors into RFC 9457 problem documents.
//! No task runs here and no SQL is written here.
//!
//! To add a route: a function in the file of its resource, a line in that file's `router`, its errors
//! through [`problem::Problem`], and a case in the tests of `cli`, which drive the real server.

pub mod definitions;
pub mod explain;
pub mod hooks;
pub mod problem;
mod routes;
pub mod start;
pub mod view;

use std::sync::Arc;

use tidemill_dag::time::{Chance, Clock};
use tidemill_store::Store;
use tokio::sync::Notify;

pub use definitions::Workbench;
pub use routes::router;

/// What the routes work with.
#[derive(Clone)]
pub struct Api {
    /// The state.
    pub store: Store,
    /// Checks definitions against the project's connections.
    pub workbench: Arc<Workbench>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For run ids.
    pub chance: Arc<dyn Chance>,
    /// Rung when something was created that the scheduler should look at.
    pub bell: Arc<Notify>,
}

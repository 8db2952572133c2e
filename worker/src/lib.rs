//! Claims tasks, runs them, reports what came of them.
//!
//! A [`Worker`] takes tickets from the transport, never more than it has free slots; claims the tasks
//! behind them in the store; hands them through apalis (`queue`) to the executor of their kind
//! (`kinds`, one file each); and reports the outcome. A heartbeat keeps the leases; a task whose lease
//! is lost is stopped at once, with every process it started. What comes next is never decided here.
//!
//! To add a task kind: a file in `kinds` with one function from an [`attempt::Attempt`] to what the
//! task gives, and a line in `kinds::perform`.

mod attempt;
mod config;
mod datasets;
mod error;
mod kinds;
mod leases;
mod logs;
mod mapped;
mod plans;
mod presence;
mod process;
mod python;
mod queue;
pub mod sandbox;
mod scratch;
mod secret;
mod session;
#[cfg(test)]
mod tests;
mod worker;

pub use config::{Wiring, WorkerConfig};
pub use datasets::BlobFiles;
pub use error::TaskError;
pub use worker::{StartError, Worker};

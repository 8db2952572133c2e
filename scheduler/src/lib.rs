//! What time and the world cause: cron triggers, retries that are due, leases that were lost, processes
//! that died. Everything goes through the store's one door; no user work runs here.
//!
//! [`due`] is pure: which moments of a schedule ask for a run now. [`presence`] knows which processes of
//! this machine are alive. [`Scheduler`] is the loop around both.

mod backfills;
mod collector;
pub mod due;
mod error;
pub mod presence;
pub mod relay;
mod scheduler;
mod wakes;

pub use collector::Collector;
pub use error::SchedulerError;
pub use scheduler::{Round, Scheduler, Settings};

#[cfg(test)]
mod tests;

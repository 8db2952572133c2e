//! What the platform did, in numbers: records of runs, attempts, waits and calls of models, kept in ClickHouse or in a SQLite file; and
//! metrics for Prometheus. Nothing is decided here.
//!
//! To add a place for records, implement [`Records`] and run [`conformance::run`] against it.

mod clickhouse;
pub mod conformance;
mod metrics;
mod record;
mod sqlite;
mod usage;
mod writer;

pub use clickhouse::{ClickHouse, ClickHouseConfig};
pub use metrics::{Metrics, Standing};
pub use record::{PipelineStats, Record, Records, RecordsError, RunRow, TaskRow, WaitRow};
pub use sqlite::SqliteRecords;
pub use usage::{UseRow, UseStats};
pub use writer::{Offer, Writer};

#[cfg(test)]
mod tests;

//! What the platform did, in numbers: records of runs, attempts and waits, kept in ClickHouse or in a SQLite file; and
//! metrics for Prometheus. Nothing is decided here.
//!
//! To add a place for records, implement [`Records`] and run [`conformance::run`] against it.

mod clickhouse;
pub mod conformance;
mod metrics;
mod record;
mod sqlite;

pub use clickhouse::{ClickHouse, ClickHouseConfig};
pub use metrics::{Metrics, Standing};
pub use record::{PipelineStats, Record, Records, RecordsError, RunRow, TaskRow, WaitRow};
pub use sqlite::SqliteRecords;

#[cfg(test)]
mod tests;

//! SQL over users' data: Apache DataFusion behind one door.
//!
//! An [`Engine`] is one per process: memory pool, spill folder, threads. A [`Session`] is one per task: the
//! relations its SQL reads, and the moment it calls now. Everything that comes out is a stream ([`Rows`]) or plain
//! facts ([`Analysis`], [`CheckReport`], [`Manifest`], [`Proof`]); no other room sees a DataFusion type.
//!
//! What is different from DataFusion as it comes: whole numbers never wrap around, `sum` is exact, points in time
//! have microseconds, `now()` is given, names keep their case and are found in spite of it, only queries run.
//!
//! What stays as DataFusion has it: `decimal / integer` keeps four more digits than the decimal and cuts the rest,
//! literals such as `0.1` are floating-point (write `CAST(0.1 AS DECIMAL(10, 2))` for money), NaN is greater than
//! every number, and `date_trunc` works only within the years 1677 to 2262.
//!
//! To add a function: a file in `functions/` and a line in `functions::register`. To add something that can be
//! read: a `TableProvider` in `relation/` and a method of [`Session`].

mod analysis;
mod check;
mod dataset;
mod engine;
mod error;
mod functions;
pub mod name;
mod prove;
mod relation;
mod rows;
mod rules;
mod session;
#[cfg(test)]
mod testing;

pub use analysis::{Analysis, ColumnLineage, Direct, Indirect, Influence, Local, ScanFacts, Source, Use};
pub use check::{CheckReport, ExpectationResult, Scope, Split, json_rows};
pub use dataset::{DatasetColumn, DatasetFile, DatasetFiles, DatasetWriter, Manifest};
pub use engine::{Engine, EngineConfig};
pub use error::{EngineError, SqlPlace};
pub use prove::{Proof, ProvedTask, prove};
pub use rows::Rows;
pub use session::Session;

//! Systems that hold users' data: what they have (schemas), reading it as Arrow, writing Arrow to it.
//!
//! Every system implements [`Connection`]; [`connect`] builds one from its configuration. All rows move
//! as streams of record batches with bounded memory. This room knows nothing of runs, queues or our own
//! tables, and one connector never uses another.
//!
//! To add a connector: a folder with `config.rs`, `client.rs` (all I/O), `mapping.rs` (pure) and
//! `tests.rs`; a variant in [`ConnectionConfig`]; a row in [`catalogue::KINDS`]; and a test that calls
//! [`conformance::run`], which is the contract in executable form.

pub mod catalogue;
pub mod column_type;
pub mod conformance;
mod connection;
mod error;
pub mod files;
mod load;
mod predicate;

pub use catalogue::{ConnectionConfig, Connections, Folders, connect};
pub use connection::{BatchStream, Connection, Pushdown, Scan, SchemaSource, TableInfo};
pub use error::ConnectorError;
pub use load::{CommitGuard, LoadId, LoadRequest, Receipt, Unguarded};
pub use predicate::{Comparison, Literal, Predicate};

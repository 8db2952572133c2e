//! Files in a folder or behind http(s): CSV, JSON lines, Parquet.

mod client;
mod config;

pub use client::Files;
pub use config::{FilesConfig, Format, TableConfig};

/// The word after `kind:`.
pub const KIND: &str = "files";

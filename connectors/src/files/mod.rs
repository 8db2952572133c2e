//! Files in a folder or behind http(s): CSV, JSON lines, Parquet.
//!
//! `config` is what can be set; `client` fulfils the contract; `find`, `fetch`, `input`, `learn`, `parquet`,
//! `write` and `publish` do the I/O for it; `value`, `cells`, `csv`, `json`, `nested`, `infer`, `adapt`, `prune`, `render`
//! and `manifest` are pure.

mod adapt;
mod cells;
mod client;
mod config;
mod contract;
mod csv;
mod fault;
mod fetch;
mod find;
mod infer;
mod input;
mod json;
mod learn;
mod load;
mod manifest;
mod nested;
mod parquet;
mod prune;
mod publish;
mod read;
mod render;
mod text;
mod value;
mod write;

pub use client::Files;
pub use config::{Compression, FilesConfig, Format, TableConfig, Transfer};
pub use contract::{Settled, settle};

/// The word after `kind:`.
pub const KIND: &str = "files";

#[cfg(test)]
mod tests;

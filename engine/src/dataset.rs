//! Data sets: what a task's rows become on their way to the next task. Parquet files that nobody lists, named
//! by a manifest that the winning attempt commits.

mod files;
mod hash;
mod manifest;
mod writer;

pub(crate) use writer::storable;

pub use files::{DatasetFiles, DatasetWriter};
pub use manifest::{DatasetColumn, DatasetFile, Manifest};

#[cfg(test)]
mod tests;

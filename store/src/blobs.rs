//! Bytes by name: data sets and other large results. A blob is visible whole or not at all.
//!
//! To add a place for blobs, implement [`Blobs`] and run [`conformance::run`] against it.

pub mod conformance;
mod folder;
mod place;
mod s3;

use std::{fmt, io, ops::Range, path::PathBuf, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tidemill_dag::{codes::tm08, time::Timestamp};

pub use folder::Folder;
pub use place::{Claim, claim, take_over};
pub use s3::{Keys, S3, S3Config, S3Error};

/// Why a blob could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The name could leave the place where blobs live, or is empty.
    #[error(
        "`{0}` is not a blob name: use parts of letters, digits and `._=-`, separated by `/`, none of them `.` or `..`"
    )]
    Name(String),
    /// There is no such blob.
    #[error("there is no blob `{0}`")]
    NotFound(String),
    /// The range asked for reaches past the end.
    #[error("bytes {}..{} were asked of blob `{name}`, which has {size}", range.start, range.end)]
    Range {
        /// The blob.
        name: String,
        /// What was asked for.
        range: Range<u64>,
        /// What there is.
        size: u64,
    },
    /// The disk or the service failed.
    #[error("could not {action} blob `{name}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The blob.
        name: String,
        /// What happened.
        #[source]
        source: io::Error,
    },
}

impl BlobError {
    /// The public code, as in the pages of `docs/errors`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => tm08::BLOB_NAME,
            Self::NotFound(_) => tm08::NO_BLOB,
            Self::Range { .. } => tm08::BLOB_RANGE,
            Self::Io { .. } => tm08::BLOB_IO,
        }
    }
}

/// A blob being written. It becomes visible at [`BlobWriter::finish`]; dropped before that it leaves nothing.
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends.
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError>;
    /// Makes it durable, then visible under its name; returns its size.
    async fn finish(self: Box<Self>) -> Result<u64, BlobError>;
}

/// A place for blobs. Names are relative paths with `/`.
#[async_trait]
pub trait Blobs: Send + Sync + fmt::Debug + 'static {
    /// Writes a small blob at once; replaces one of the same name.
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError>;
    /// Writes a small blob unless there is one of that name; tells whether it is there with these bytes because of
    /// this call. Of several calls at the same time one wins, where the place can promise that ([`Blobs::exclusive`]).
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<bool, BlobError>;
    /// Whether [`Blobs::put_new`] lets only one of several win. Nothing of ours is lost where it does not: what a task
    /// produced is published by a row of the database.
    fn exclusive(&self) -> bool;
    /// Begins to write a large one.
    async fn writer(&self, name: &str) -> Result<Box<dyn BlobWriter>, BlobError>;
    /// Part of a blob.
    async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError>;
    /// How many bytes it has.
    async fn size(&self, name: &str) -> Result<u64, BlobError>;
    /// Removes every blob below a prefix that ends with `/`, or the one blob of that name; none is fine.
    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError>;
    /// Every blob below a prefix that ends with `/`, or all with the empty one; in no order.
    fn list(&self, prefix: &str) -> BoxStream<'_, Result<BlobInfo, BlobError>>;
    /// Removes what writers that ended before `before` without a finish left behind; returns how many there were.
    async fn drop_unfinished(&self, before: Timestamp) -> Result<u64, BlobError>;
    /// A path of the local file system under which the blob can be read, where there is one.
    fn local_path(&self, name: &str) -> Option<PathBuf>;
    /// An address under which anybody may read the blob for a while, where the place can give one.
    async fn presigned(&self, name: &str, valid: Duration) -> Result<Option<String>, BlobError>;
}

/// A blob of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
}

/// Refuses names that could leave the place. One function for all places.
pub fn check_name(name: &str) -> Result<(), BlobError> {
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._=-".contains(&b))
    };
    if name.len() <= 1_024 && name.split('/').all(part) { Ok(()) } else { Err(BlobError::Name(name.to_owned())) }
}

#[cfg(test)]
mod tests;

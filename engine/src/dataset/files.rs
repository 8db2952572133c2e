//! Where data sets are kept, as this room sees it.

use std::{fmt, io, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;

/// A place for files that are written once and read in ranges.
#[async_trait]
pub trait DatasetFiles: Send + Sync + fmt::Debug + 'static {
    /// Begins a file. It is there only after [`DatasetWriter::finish`]; dropping the writer leaves nothing.
    async fn writer(&self, path: &str) -> io::Result<Box<dyn DatasetWriter>>;

    /// The bytes of a range; fewer only where the file is shorter.
    async fn read_range(&self, path: &str, range: Range<u64>) -> io::Result<Bytes>;

    /// How long a file is.
    async fn size(&self, path: &str) -> io::Result<u64>;
}

/// One file on its way.
#[async_trait]
pub trait DatasetWriter: Send {
    /// The next bytes.
    async fn write(&mut self, bytes: Bytes) -> io::Result<()>;

    /// Makes the file durable and visible.
    async fn finish(self: Box<Self>) -> io::Result<()>;
}

//! Blobs as the engine reads data sets.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tidemill_engine::{DatasetFiles, DatasetWriter};
use tidemill_store::blobs::{BlobError, Blobs};

/// The files of data sets, to be read only.
#[derive(Debug)]
pub(super) struct ReadOnly(pub Arc<dyn Blobs>);

fn as_io(error: BlobError) -> io::Error {
    match error {
        BlobError::NotFound(_) => io::Error::new(io::ErrorKind::NotFound, error),
        _ => io::Error::other(error),
    }
}

#[async_trait]
impl DatasetFiles for ReadOnly {
    async fn writer(&self, path: &str) -> io::Result<Box<dyn DatasetWriter>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, format!("{path} is only to be read here")))
    }

    async fn read_range(&self, path: &str, range: Range<u64>) -> io::Result<Bytes> {
        self.0.read_range(path, range).await.map_err(as_io)
    }

    async fn size(&self, path: &str) -> io::Result<u64> {
        self.0.size(path).await.map_err(as_io)
    }
}

//! Data sets between tasks: the engine's files as blobs of the store.

use std::{io, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tidemill_dag::id::Attempt as Attempted;
use tidemill_engine::{DatasetFiles, DatasetWriter, Manifest, Rows};
use tidemill_store::blobs::{BlobError, BlobWriter, Blobs};

use crate::{attempt::Attempt, error::TaskError};

/// Blobs as the engine wants files.
#[derive(Debug)]
pub struct BlobFiles(pub Arc<dyn Blobs>);

struct Writing(Box<dyn BlobWriter>);

fn as_io(error: BlobError) -> io::Error {
    let kind = match &error {
        BlobError::Name(_) => io::ErrorKind::InvalidInput,
        BlobError::NotFound(_) => io::ErrorKind::NotFound,
        BlobError::Range { .. } => io::ErrorKind::UnexpectedEof,
        BlobError::Io { source, .. } => source.kind(),
    };
    io::Error::new(kind, error)
}

#[async_trait]
impl DatasetFiles for BlobFiles {
    async fn writer(&self, path: &str) -> io::Result<Box<dyn DatasetWriter>> {
        let writer = self.0.writer(path).await.map_err(as_io)?;
        Ok(Box::new(Writing(writer)))
    }

    async fn read_range(&self, path: &str, range: Range<u64>) -> io::Result<Bytes> {
        self.0.read_range(path, range).await.map_err(as_io)
    }

    async fn size(&self, path: &str) -> io::Result<u64> {
        self.0.size(path).await.map_err(as_io)
    }
}

#[async_trait]
impl DatasetWriter for Writing {
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.write(bytes).await.map_err(as_io)
    }

    async fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish().await.map(drop).map_err(as_io)
    }
}

/// The files of a worker's data sets.
pub(crate) fn files(attempt: &Attempt<'_>) -> Arc<dyn DatasetFiles> {
    Arc::new(BlobFiles(Arc::clone(&attempt.site.wiring.blobs)))
}

/// Keeps rows as this attempt's data set, in the folder `part` of it. Readers meet it only when the
/// store has accepted the attempt's result.
pub(crate) async fn write(attempt: &Attempt<'_>, part: &str, rows: Rows) -> Result<Manifest, TaskError> {
    forget_earlier(attempt).await;
    let prefix = format!("{}/{part}", attempt.prefix());
    let written = attempt.site.wiring.engine.write_dataset(rows, files(attempt), &prefix).await;
    if written.is_err() {
        forget(attempt, &format!("{prefix}/")).await;
    }
    Ok(written?)
}

/// Earlier attempts can never win any more; what they left is in the way of nobody but the disk.
async fn forget_earlier(attempt: &Attempt<'_>) {
    const LOOKED_AT: u32 = 10;
    let current = attempt.claimed.ticket.attempt.0;
    for earlier in current.saturating_sub(LOOKED_AT).max(1)..current {
        forget(attempt, &format!("{}/", attempt.prefix_of(Attempted(earlier)))).await;
    }
}

async fn forget(attempt: &Attempt<'_>, prefix: &str) {
    if let Err(error) = attempt.site.wiring.blobs.delete_prefix(prefix).await {
        tracing::warn!(prefix, error = %crate::error::chain(&error), "unused data sets stay behind");
    }
}

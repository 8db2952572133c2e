//! Rows on the move through the engine.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tidemill_connectors::{BatchStream, ConnectorError};

use crate::EngineError;

/// A stream of record batches that knows its columns before the first batch, and also without any.
///
/// Batches are produced only as fast as they are taken. Dropping the stream stops the work behind it.
pub struct Rows {
    schema: SchemaRef,
    stream: Pin<Box<dyn Stream<Item = Result<RecordBatch, EngineError>> + Send>>,
}

impl Rows {
    /// Rows of `schema` from any stream.
    pub fn new(
        schema: SchemaRef,
        stream: impl Stream<Item = Result<RecordBatch, EngineError>> + Send + 'static,
    ) -> Self {
        Self { schema, stream: Box::pin(stream) }
    }

    /// Rows that are in memory already.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self::new(schema, stream::iter(batches.into_iter().map(Ok)))
    }

    /// Rows that a connection delivers.
    pub fn from_connection(schema: SchemaRef, batches: BatchStream) -> Self {
        Self::new(schema, batches.map_err(EngineError::from))
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// The same rows as a connection's `load` wants them. An error keeps its code inside `ConnectorError::Rows`.
    pub fn into_batches(self) -> BatchStream {
        Box::pin(self.stream.map_err(|error| match error {
            EngineError::Source { source } => match std::sync::Arc::try_unwrap(source) {
                Ok(own) => own,
                Err(shared) => ConnectorError::Rows { source: Box::new(EngineError::Source { source: shared }) },
            },
            other => ConnectorError::Rows { source: Box::new(other) },
        }))
    }

    /// All of it in memory; for previews and tests.
    ///
    /// # Errors
    /// The first error of the stream.
    pub async fn collect(self) -> Result<Vec<RecordBatch>, EngineError> {
        self.stream.try_collect().await
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

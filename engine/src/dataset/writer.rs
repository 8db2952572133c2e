//! Rows to Parquet, in bounded memory.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, IntervalUnit, Schema, SchemaRef},
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use parquet::{
    arrow::{AsyncArrowWriter, async_writer::AsyncFileWriter},
    basic::{Compression, ZstdLevel},
    errors::{ParquetError, Result as ParquetResult},
    file::properties::{EnabledStatistics, WriterProperties},
};

use super::{DatasetFile, DatasetFiles, DatasetWriter, Manifest, hash::ContentHash};
use crate::{Engine, EngineError, Rows};

/// A row group ends at this many rows …
const GROUP_ROWS: usize = 1 << 20;
/// … or where its buffers reach this size.
const GROUP_BYTES: usize = 64 << 20;
/// A file ends where it has this size, at the end of a row group.
const FILE_BYTES: usize = 512 << 20;

impl Engine {
    /// Writes rows as a data set: files `<prefix>/part-00000.parquet` and so on. Nothing points to them before
    /// the manifest that this returns is committed by whoever called.
    ///
    /// # Errors
    /// The rows fail, a column's type cannot be kept, or the place for files fails. Finished files stay behind
    /// under the prefix, for the caller to remove.
    pub async fn write_dataset(
        &self,
        rows: Rows,
        files: Arc<dyn DatasetFiles>,
        prefix: &str,
    ) -> Result<Manifest, EngineError> {
        let prefix = prefix.trim_end_matches('/').to_owned();
        self.run(write(rows, files, prefix)).await
    }
}

async fn write(mut rows: Rows, files: Arc<dyn DatasetFiles>, prefix: String) -> Result<Manifest, EngineError> {
    let schema = rows.schema();
    storable(&schema)?;
    let mut hash = ContentHash::new(&schema)?;
    let mut done = Vec::new();
    let mut open: Option<Part> = None;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        hash.add(&batch)?;
        let mut part = match open.take() {
            Some(part) => part,
            None => Part::begin(files.as_ref(), format!("{prefix}/part-{:05}.parquet", done.len()), &schema).await?,
        };
        part.write(&batch).await?;
        if part.is_full() {
            done.push(part.finish().await?);
        } else {
            open = Some(part);
        }
    }
    if let Some(part) = open {
        done.push(part.finish().await?);
    }
    Manifest::new(&schema, done, hash.finish())
}

struct Part {
    path: String,
    rows: u64,
    writer: AsyncArrowWriter<Adapter>,
}

impl Part {
    async fn begin(files: &dyn DatasetFiles, path: String, schema: &SchemaRef) -> Result<Self, EngineError> {
        let inner = files.writer(&path).await.map_err(|error| EngineError::dataset_write(&path, &error))?;
        let adapter = Adapter { inner: Some(inner) };
        let writer = AsyncArrowWriter::try_new(adapter, SchemaRef::clone(schema), Some(properties()))
            .map_err(|error| EngineError::dataset_write(&path, &error))?;
        Ok(Self { path, rows: 0, writer })
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let wrote = async {
            self.writer.write(batch).await?;
            if self.writer.in_progress_size() >= GROUP_BYTES { self.writer.flush().await } else { Ok(()) }
        };
        wrote.await.map_err(|error| EngineError::dataset_write(&self.path, &error))?;
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(0);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.writer.bytes_written() >= FILE_BYTES
    }

    async fn finish(mut self) -> Result<DatasetFile, EngineError> {
        self.writer.finish().await.map_err(|error| EngineError::dataset_write(&self.path, &error))?;
        let bytes = u64::try_from(self.writer.bytes_written()).unwrap_or(0);
        Ok(DatasetFile { path: self.path, rows: self.rows, bytes })
    }
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by("tidemill".to_owned())
        .build()
}

/// Refuses types that Parquet cannot hold, by name and before anything is written.
pub(crate) fn storable(schema: &Schema) -> Result<(), EngineError> {
    match schema.fields().iter().find(|field| !can_store(field.data_type())) {
        None => Ok(()),
        Some(field) => {
            Err(EngineError::Unstorable { column: field.name().clone(), data_type: field.data_type().to_string() })
        }
    }
}

fn can_store(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(IntervalUnit::MonthDayNano) | DataType::Union(..) | DataType::RunEndEncoded(..) => false,
        DataType::List(inner)
        | DataType::LargeList(inner)
        | DataType::ListView(inner)
        | DataType::LargeListView(inner)
        | DataType::FixedSizeList(inner, _)
        | DataType::Map(inner, _) => can_store(inner.data_type()),
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|field| can_store(field.data_type())),
        DataType::Dictionary(_, value) => can_store(value),
        _ => true,
    }
}

/// Our files as parquet's writer sees them.
struct Adapter {
    inner: Option<Box<dyn DatasetWriter>>,
}

impl AsyncFileWriter for Adapter {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, ParquetResult<()>> {
        async move {
            match &mut self.inner {
                Some(writer) => writer.write(bytes).await.map_err(|error| ParquetError::External(Box::new(error))),
                None => Err(ParquetError::General("written after its end".to_owned())),
            }
        }
        .boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, ParquetResult<()>> {
        async move {
            match self.inner.take() {
                Some(writer) => writer.finish().await.map_err(|error| ParquetError::External(Box::new(error))),
                None => Ok(()),
            }
        }
        .boxed()
    }
}

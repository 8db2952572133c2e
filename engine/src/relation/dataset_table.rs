//! A data set as DataFusion sees it: exactly the files of its manifest, row groups left out by their statistics.

use std::{fmt, ops::Range, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, Result as DataFusionResult, Statistics, stats::Precision},
    datasource::{
        listing::PartitionedFile,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource},
        source::DataSourceExec,
    },
    execution::object_store::ObjectStoreUrl,
    logical_expr::{Expr, TableProviderFilterPushDown, TableType, utils::conjunction},
    physical_plan::{ExecutionPlan, empty::EmptyExec, metrics::ExecutionPlanMetricsSet},
};
use futures::{FutureExt, future::BoxFuture};
use parquet::{
    arrow::{
        arrow_reader::ArrowReaderOptions,
        async_reader::{AsyncFileReader, MetadataFetch},
    },
    errors::{ParquetError, Result as ParquetResult},
    file::metadata::{ParquetMetaData, ParquetMetaDataReader},
};

use super::projected;
use crate::{DatasetFile, DatasetFiles, EngineError, Manifest, error::Inner};

/// Read together with the footer, so that most footers need one read.
const FOOTER_GUESS: usize = 64 << 10;

/// The rows of one manifest.
#[derive(Debug)]
pub(crate) struct DatasetTable {
    schema: SchemaRef,
    parts: Vec<DatasetFile>,
    rows: u64,
    files: Arc<dyn DatasetFiles>,
}

impl DatasetTable {
    pub(crate) fn new(manifest: &Manifest, files: Arc<dyn DatasetFiles>) -> Result<Self, EngineError> {
        Ok(Self { schema: manifest.schema()?, parts: manifest.files.clone(), rows: manifest.rows, files })
    }
}

#[async_trait]
impl TableProvider for DatasetTable {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Row groups and pages are left out; single rows are not.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.counted())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if self.parts.is_empty() {
            let schema = projected(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let readers = Arc::new(Readers { files: Arc::clone(&self.files) });
        let mut source = ParquetSource::new(SchemaRef::clone(&self.schema))
            .with_parquet_file_reader_factory(readers)
            .with_metadata_size_hint(FOOTER_GUESS);
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let schema = DFSchema::try_from(SchemaRef::clone(&self.schema))?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        // The store behind the URL is never asked: every read goes through `Readers`.
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(self.groups(state.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_statistics(self.counted())
            .with_limit(limit.filter(|_| filters.is_empty()))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl DatasetTable {
    fn counted(&self) -> Statistics {
        let rows = usize::try_from(self.rows).map_or(Precision::Absent, Precision::Exact);
        Statistics { num_rows: rows, ..Statistics::new_unknown(&self.schema) }
    }

    fn groups(&self, parts: usize) -> Vec<FileGroup> {
        let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new(); parts.clamp(1, self.parts.len())];
        let count = groups.len();
        for (index, part) in self.parts.iter().enumerate() {
            let file = PartitionedFile::new(format!("part-{index}"), part.bytes)
                .with_extension(Stored { path: part.path.clone(), bytes: part.bytes });
            groups[index % count].push(file);
        }
        groups.into_iter().map(FileGroup::new).collect()
    }
}

/// Where a part really is; DataFusion's own path type would rewrite special characters.
#[derive(Debug, Clone)]
struct Stored {
    path: String,
    bytes: u64,
}

#[derive(Debug)]
struct Readers {
    files: Arc<dyn DatasetFiles>,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _: usize,
        file: PartitionedFile,
        _: Option<usize>,
        _: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let stored = file.extension::<Stored>().cloned();
        let stored = stored.ok_or_else(|| datafusion::common::exec_datafusion_err!("a part without its path"))?;
        Ok(Box::new(Reader { files: Arc::clone(&self.files), stored }))
    }
}

struct Reader {
    files: Arc<dyn DatasetFiles>,
    stored: Stored,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("path", &self.stored.path).finish()
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            let wanted = range.end.saturating_sub(range.start);
            let bytes = self.files.read_range(&self.stored.path, range).await.map_err(|error| {
                ParquetError::External(Box::new(Inner::Dataset(Arc::new(EngineError::dataset_read(
                    &self.stored.path,
                    &error,
                )))))
            })?;
            if u64::try_from(bytes.len()) == Ok(wanted) {
                return Ok(bytes);
            }
            let problem = format!("{} of {wanted} bytes are there", bytes.len());
            let error = EngineError::DatasetRead { path: self.stored.path.clone(), problem };
            Err(ParquetError::External(Box::new(Inner::Dataset(Arc::new(error)))))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.stored.bytes;
            let reader =
                ParquetMetaDataReader::new().with_arrow_reader_options(options).with_prefetch_hint(Some(FOOTER_GUESS));
            Ok(Arc::new(reader.load_and_finish(Fetch(self), bytes).await?))
        }
        .boxed()
    }
}

struct Fetch<'a>(&'a mut Reader);

impl MetadataFetch for Fetch<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.0.get_bytes(range)
    }
}

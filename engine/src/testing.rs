//! Fakes for this crate's tests: an engine with a small pool, files and a connection in memory.

use std::{
    collections::HashMap,
    io,
    ops::Range,
    sync::{Arc, Mutex},
};

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::{Schema, SchemaRef},
    util::pretty::pretty_format_batches,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use tempfile::TempDir;
use tidemill_connectors::{
    BatchStream, CommitGuard, Comparison, Connection, ConnectorError, LoadId, LoadRequest, Predicate, Pushdown,
    Receipt, Scan, SchemaSource, TableInfo,
};
use tidemill_dag::time::Timestamp;

use crate::{DatasetFiles, DatasetWriter, Engine, EngineConfig, Rows, Session};

/// 2026-03-01T12:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_772_366_400_000_000);

/// An engine and its spill folder.
pub(crate) struct Bench {
    pub engine: Engine,
    pub _folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_memory(64 << 20)
    }

    pub(crate) fn with_memory(memory_bytes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine::new(EngineConfig { memory_bytes, tasks: 1, ..EngineConfig::new(folder.path()) })
            .expect("an engine");
        Self { engine, _folder: folder }
    }

    pub(crate) fn session(&self) -> Session {
        self.engine.session(NOW)
    }
}

/// Columns to a batch; all nullable.
pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("columns of one length")
}

/// Rows as people read them, one line per row.
pub(crate) async fn table(rows: Rows) -> String {
    let schema = rows.schema();
    let mut batches = rows.collect().await.expect("rows");
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    pretty_format_batches(&batches).expect("printable rows").to_string()
}

/// The values of a one-row, one-column result, as text.
pub(crate) async fn value(session: &Session, sql: &str) -> String {
    let rows = session.stream(sql).await.expect(sql).collect().await.expect(sql);
    let column = rows[0].column(0);
    arrow::util::display::array_value_to_string(column, 0).expect("a printable value")
}

/// The error of a query, wherever it shows.
pub(crate) async fn failure(session: &Session, sql: &str) -> crate::EngineError {
    match session.stream(sql).await {
        Err(error) => error,
        Ok(rows) => rows.collect().await.expect_err(sql),
    }
}

/// Files in memory.
#[derive(Debug, Default, Clone)]
pub(crate) struct MemoryFiles {
    pub files: Arc<Mutex<HashMap<String, Bytes>>>,
    pub reads: Arc<Mutex<Vec<Range<u64>>>>,
}

struct MemoryWriter {
    path: String,
    bytes: Vec<u8>,
    files: MemoryFiles,
}

#[async_trait]
impl DatasetFiles for MemoryFiles {
    async fn writer(&self, path: &str) -> io::Result<Box<dyn DatasetWriter>> {
        Ok(Box::new(MemoryWriter { path: path.to_owned(), bytes: Vec::new(), files: self.clone() }))
    }

    async fn read_range(&self, path: &str, range: Range<u64>) -> io::Result<Bytes> {
        self.reads.lock().expect("no panic").push(range.clone());
        let files = self.files.lock().expect("no panic");
        let file = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let end = usize::try_from(range.end).expect("small").min(file.len());
        Ok(file.slice(usize::try_from(range.start).expect("small").min(end)..end))
    }

    async fn size(&self, path: &str) -> io::Result<u64> {
        let files = self.files.lock().expect("no panic");
        files.get(path).map(|file| file.len() as u64).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[async_trait]
impl DatasetWriter for MemoryWriter {
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> io::Result<()> {
        self.files.files.lock().expect("no panic").insert(self.path, self.bytes.into());
        Ok(())
    }
}

/// A connection whose tables are in memory. It applies `=` exactly, `<` and `>` badly, and records what it was asked.
#[derive(Debug, Default)]
pub(crate) struct MemoryConnection {
    pub tables: HashMap<String, Vec<RecordBatch>>,
    pub scans: Mutex<Vec<Scan>>,
}

impl MemoryConnection {
    pub(crate) fn new(tables: impl IntoIterator<Item = (&'static str, RecordBatch)>) -> Arc<Self> {
        let tables = tables.into_iter().map(|(name, rows)| (name.to_owned(), vec![rows])).collect();
        Arc::new(Self { tables, scans: Mutex::default() })
    }

    fn table(&self, table: &str) -> Result<&[RecordBatch], ConnectorError> {
        self.tables.get(table).map(Vec::as_slice).ok_or_else(|| ConnectorError::UnknownTable {
            connection: "memory".to_owned(),
            table: table.to_owned(),
            known: self.tables.keys().cloned().collect(),
        })
    }
}

#[async_trait]
impl Connection for MemoryConnection {
    fn kind(&self) -> &'static str {
        "memory"
    }

    async fn tables(&self) -> Result<Vec<String>, ConnectorError> {
        Ok(self.tables.keys().cloned().collect())
    }

    async fn describe(&self, table: &str) -> Result<TableInfo, ConnectorError> {
        let schema = self.table(table)?[0].schema();
        Ok(TableInfo { name: table.to_owned(), schema, rows: None, source: SchemaSource::Explicit, hints: Vec::new() })
    }

    fn pushdown(&self, _: &str, predicate: &Predicate) -> Pushdown {
        match predicate {
            Predicate::Compare { op: Comparison::Eq, .. } => Pushdown::Exact,
            Predicate::Compare { .. } => Pushdown::Inexact,
            _ => Pushdown::None,
        }
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<BatchStream>, ConnectorError> {
        self.scans.lock().expect("no panic").push(scan.clone());
        let rows = self.table(&scan.table)?;
        let wanted = scan.columns.clone().unwrap_or_default();
        let project = |rows: &RecordBatch| {
            let schema: SchemaRef = rows.schema();
            let indices: Vec<usize> =
                wanted.iter().map(|name| schema.index_of(name).expect("a known column")).collect();
            rows.project(&indices).expect("columns in range")
        };
        let batches: Vec<RecordBatch> =
            rows.iter().map(|rows| only(rows, &scan.filters)).map(|rows| project(&rows)).collect();
        let streams = batches.into_iter().map(|batch| Box::pin(stream::iter([Ok(batch)])) as BatchStream);
        Ok(streams.collect())
    }

    async fn load(&self, load: LoadRequest, _: BatchStream, _: &dyn CommitGuard) -> Result<Receipt, ConnectorError> {
        Err(ConnectorError::NotCurrent { table: load.table, load: load.load_id.to_string() })
    }

    async fn find_load(&self, _: &str, _: &LoadId) -> Result<Option<Receipt>, ConnectorError> {
        Ok(None)
    }
}

/// Applies `column = number`, which is what this connection calls exact.
fn only(rows: &RecordBatch, filters: &[Predicate]) -> RecordBatch {
    use arrow::{array::Int64Array, compute};
    let mut rows = rows.clone();
    for filter in filters {
        if let Predicate::Compare { column, op: Comparison::Eq, literal: tidemill_connectors::Literal::Int(n) } = filter
        {
            let values =
                compute::cast(rows.column_by_name(column).expect("a known column"), &arrow::datatypes::DataType::Int64);
            let mask = compute::kernels::cmp::eq(&values.expect("numbers"), &Int64Array::new_scalar(*n));
            rows = compute::filter_record_batch(&rows, &mask.expect("a mask")).expect("filtered rows");
        }
    }
    rows
}

/// A schema without rows.
pub(crate) fn schema(fields: Vec<arrow::datatypes::Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

//! The contract that every connector fulfils.

use std::{fmt::Debug, pin::Pin};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use async_trait::async_trait;
use futures::Stream;
use indexmap::IndexMap;

use crate::{
    ConnectorError, Predicate, column_type,
    load::{CommitGuard, LoadId, LoadRequest, Receipt},
};

/// Rows on the move: batches of at most a few thousand rows, produced only as fast as they are taken.
/// After an error the stream ends. Dropping it stops the reading.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, ConnectorError>> + Send>>;

/// Where a table's column types come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaSource {
    /// The system itself knows them, or somebody wrote them down.
    Explicit,
    /// They were concluded from all the values there are now.
    Inferred,
}

/// What a table looks like.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// The table, as the connection names it.
    pub name: String,
    /// Columns, in order.
    pub schema: SchemaRef,
    /// How many rows, where that is known without reading them.
    pub rows: Option<u64>,
    /// Where the types come from.
    pub source: SchemaSource,
    /// What a person should look at before trusting inferred types, in whole sentences.
    pub hints: Vec<String>,
}

impl TableInfo {
    /// The columns as they are written in a project file: name and type word, in order.
    ///
    /// Written into `tables.<name>.columns`, this makes inferred types explicit.
    pub fn columns(&self) -> IndexMap<String, String> {
        column_type::to_columns(&self.schema)
    }
}

/// How well a connection applies a predicate during a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushdown {
    /// Only matching rows come back.
    Exact,
    /// Some rows that do not match are left out; the reader filters again.
    Inexact,
    /// The predicate is not used.
    None,
}

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The table, as the connection names it.
    pub table: String,
    /// Only these columns, in this order; all if unset. An empty list gives batches that only count rows.
    pub columns: Option<Vec<String>>,
    /// Predicates that all hold for the wanted rows. They may name columns that are not in `columns`. Those for
    /// which [`Connection::pushdown`] says [`Pushdown::None`] are better left out; they are ignored.
    pub filters: Vec<Predicate>,
    /// At most this many rows in all streams together, after the filters, which then must all be exact.
    pub limit: Option<u64>,
    /// At most this many streams; 0 counts as 1. Rows keep their order only within one stream.
    pub partitions: usize,
}

impl Scan {
    /// A whole table in one stream.
    pub fn table(table: impl Into<String>) -> Self {
        Self { table: table.into(), ..Self::default() }
    }
}

/// One configured system. Cheap to share; all methods may be called at the same time.
#[async_trait]
pub trait Connection: Send + Sync + Debug {
    /// The kind, as in the catalogue.
    fn kind(&self) -> &'static str;

    /// The tables there are now, sorted. Looks at names only, never at rows.
    async fn tables(&self) -> Result<Vec<String>, ConnectorError>;

    /// A table's columns. Types are settled here: a later scan either delivers exactly these or fails.
    async fn describe(&self, table: &str) -> Result<TableInfo, ConnectorError>;

    /// What a scan would make of `predicate`. Answers without I/O, conservatively.
    fn pushdown(&self, table: &str, predicate: &Predicate) -> Pushdown;

    /// Reads. All streams together are the table as it was when the scan began, each row exactly once.
    async fn scan(&self, scan: Scan) -> Result<Vec<BatchStream>, ConnectorError>;

    /// Writes all of `rows`, visible at once or not at all, once per load id however often it is called.
    ///
    /// A load id that is recorded gives its receipt with `already` and writes nothing. A fence lower than one
    /// recorded for the same id is refused. `guard` is asked right before the step that makes rows visible.
    /// On any error nothing is visible; what is left behind is removed by a later load.
    async fn load(
        &self,
        load: LoadRequest,
        rows: BatchStream,
        guard: &dyn CommitGuard,
    ) -> Result<Receipt, ConnectorError>;

    /// Whether a load is recorded as done; to be asked after any outcome that is not certain.
    async fn find_load(&self, table: &str, id: &LoadId) -> Result<Option<Receipt>, ConnectorError>;
}

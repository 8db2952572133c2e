//! A connection's table as DataFusion sees it: columns and conditions go to the source where it can use them.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::{Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DataFusionError, Result as DataFusionResult, Statistics, stats::Precision},
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::{
        ExecutionPlan,
        stream::RecordBatchStreamAdapter,
        streaming::{PartitionStream, StreamingTableExec},
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use tidemill_connectors::{BatchStream, Connection, ConnectorError, Pushdown, Scan, TableInfo};
use tokio::sync::OnceCell;

use super::{projected, to_predicate};
use crate::error::source_failed;

/// One table of one connection, or some of its columns.
pub(crate) struct ConnectionTable {
    connection: Arc<dyn Connection>,
    table: String,
    schema: SchemaRef,
    rows: Option<u64>,
}

impl ConnectionTable {
    pub(crate) async fn open(
        connection: Arc<dyn Connection>,
        table: &str,
        columns: &[String],
    ) -> Result<Self, ConnectorError> {
        let info = connection.describe(table).await?;
        Self::described(connection, &info, columns)
    }

    pub(crate) fn described(
        connection: Arc<dyn Connection>,
        info: &TableInfo,
        columns: &[String],
    ) -> Result<Self, ConnectorError> {
        let schema = select(&info.schema, &info.name, columns)?;
        Ok(Self { connection, table: info.name.clone(), schema, rows: info.rows })
    }

    /// What the source makes of one condition, with the reason where it does not take it over.
    pub(crate) fn judge(&self, filter: &Expr) -> (Pushdown, &'static str) {
        match to_predicate(filter) {
            None => (Pushdown::None, "it is more than comparisons of one column with constants"),
            Some(predicate) => match self.connection.pushdown(&self.table, &predicate) {
                Pushdown::Exact => (Pushdown::Exact, "the source applies it"),
                Pushdown::Inexact => (Pushdown::Inexact, "the source leaves out only some of the rows"),
                Pushdown::None => (Pushdown::None, "the source cannot use it"),
            },
        }
    }

    pub(crate) fn source(&self) -> (&'static str, &str) {
        (self.connection.kind(), &self.table)
    }
}

/// The wanted columns of a table, in the wanted order; all if none are named.
pub(crate) fn select(schema: &SchemaRef, table: &str, columns: &[String]) -> Result<SchemaRef, ConnectorError> {
    if columns.is_empty() {
        return Ok(SchemaRef::clone(schema));
    }
    let find = |column: &String| {
        schema.field_with_name(column).cloned().map_err(|_| ConnectorError::UnknownColumn {
            table: table.to_owned(),
            column: column.clone(),
            known: schema.fields().iter().map(|field| field.name().clone()).collect(),
        })
    };
    let fields = columns.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

impl fmt::Debug for ConnectionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTable").field("kind", &self.connection.kind()).field("table", &self.table).finish()
    }
}

#[async_trait]
impl TableProvider for ConnectionTable {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.judge(filter).0 {
            Pushdown::Exact => TableProviderFilterPushDown::Exact,
            Pushdown::Inexact => TableProviderFilterPushDown::Inexact,
            Pushdown::None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let rows = usize::try_from(self.rows?).ok()?;
        Some(Statistics { num_rows: Precision::Inexact(rows), ..Statistics::new_unknown(&self.schema) })
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = projected(&self.schema, projection)?;
        let judged: Vec<_> = filters.iter().map(|filter| (to_predicate(filter), self.judge(filter).0)).collect();
        let all_exact = judged.iter().all(|(_, pushdown)| *pushdown == Pushdown::Exact);
        let usable = judged.into_iter().filter(|(_, pushdown)| *pushdown != Pushdown::None);
        let limit = limit.filter(|_| all_exact).and_then(|limit| u64::try_from(limit).ok());
        let parts = state.config().target_partitions().max(1);
        let scan = Scan {
            table: self.table.clone(),
            columns: Some(schema.fields().iter().map(|field| field.name().clone()).collect()),
            filters: usable.filter_map(|(predicate, _)| predicate).collect(),
            limit,
            partitions: parts,
        };
        let reading = Arc::new(Reading::new(Arc::clone(&self.connection), scan, SchemaRef::clone(&schema)));
        let part =
            |index| -> Arc<dyn PartitionStream> { Arc::new(Part { reading: Arc::clone(&reading), index, parts }) };
        Ok(Arc::new(StreamingTableExec::try_new(schema, (0..parts).map(part).collect(), None, [], false, None)?))
    }
}

/// One scan, opened by whichever part is asked first. A part that is asked again starts another round, so that
/// every round sees the table whole.
struct Reading {
    connection: Arc<dyn Connection>,
    scan: Scan,
    schema: SchemaRef,
    rounds: Mutex<Rounds>,
}

#[derive(Default)]
struct Rounds {
    asked: HashMap<usize, usize>,
    opened: Vec<Arc<Round>>,
}

#[derive(Default)]
struct Round {
    streams: OnceCell<Mutex<Vec<Option<BatchStream>>>>,
}

impl Reading {
    fn new(connection: Arc<dyn Connection>, scan: Scan, schema: SchemaRef) -> Self {
        Self { connection, scan, schema, rounds: Mutex::default() }
    }

    fn round(&self, part: usize) -> Arc<Round> {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = rounds.asked.entry(part).or_default();
        let index = *asked;
        *asked += 1;
        while rounds.opened.len() <= index {
            rounds.opened.push(Arc::default());
        }
        Arc::clone(&rounds.opened[index])
    }

    /// The streams that belong to one part of `parts`: every `parts`-th, one after the other.
    async fn take(&self, round: &Round, part: usize, parts: usize) -> Result<Vec<BatchStream>, ConnectorError> {
        let open = || async {
            let streams = self.connection.scan(self.scan.clone()).await?;
            Ok::<_, ConnectorError>(Mutex::new(streams.into_iter().map(Some).collect::<Vec<_>>()))
        };
        let streams = round.streams.get_or_try_init(open).await?;
        let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(streams.iter_mut().skip(part).step_by(parts).filter_map(Option::take).collect())
    }
}

struct Part {
    reading: Arc<Reading>,
    index: usize,
    parts: usize,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part {} of {}", self.index, self.reading.scan.table)
    }
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.reading.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (reading, index, parts) = (Arc::clone(&self.reading), self.index, self.parts);
        let round = reading.round(index);
        let schema = SchemaRef::clone(&reading.schema);
        let rows_schema = SchemaRef::clone(&schema);
        let batches = stream::once(async move {
            let streams = reading.take(&round, index, parts).await.map_err(source_failed)?;
            Ok::<_, DataFusionError>(stream::iter(streams).flatten().map_err(source_failed))
        })
        .try_flatten()
        .map(move |batch| conform(&batch?, &rows_schema));
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// The batch with exactly the promised columns, or an error: a source that changes its mind is not believed.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> DataFusionResult<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(SchemaRef::clone(schema), batch.columns().to_vec(), &options).map_err(|error| {
        source_failed(ConnectorError::Arrow { doing: "reading a source as it was described".to_owned(), source: error })
    })
}

/// The table behind a DataFusion source, if it is a connection's.
pub(crate) fn of_source(provider: &dyn TableProvider) -> Option<&ConnectionTable> {
    (provider as &dyn Any).downcast_ref()
}

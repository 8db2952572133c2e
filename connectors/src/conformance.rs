//! The contract in executable form: one call exercises any connector, whatever it connects to. Meant for tests of
//! connectors; what it finds wrong comes back as text that says which rule was broken.

mod loads;
mod reads;
mod values;

use std::{future::Future, pin::Pin, sync::Arc};

use arrow::{
    array::{AsArray, Int64Array, RecordBatch, StringArray},
    compute::{concat_batches, sort_to_indices, take_record_batch},
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
};
use futures::{StreamExt, stream};
use tidemill_dag::{
    id::Attempt,
    spec::{Contract, LoadMode},
};

use crate::{
    BatchStream, CommitGuard, Connection, ConnectorError, LoadId, LoadRequest, Receipt, Scan, Unguarded, column_type,
};

/// What to exercise: the suite creates tables whose names start with `prefix`, and leaves them.
#[derive(Debug, Clone)]
pub struct Subject {
    /// A connection that may be written to.
    pub connection: Arc<dyn Connection>,
    /// Start of every table name that the suite uses.
    pub prefix: String,
}

/// A rule that a connector broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {found}")]
pub struct Broken {
    /// The rule, by the name of its case.
    pub rule: &'static str,
    /// What was seen.
    pub found: String,
}

type Outcome = Result<(), String>;
type Case = for<'a> fn(&'a Subject) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

macro_rules! cases {
    ($($module:ident::$name:ident,)*) => {
        &[$((stringify!($name), |subject| Box::pin($module::$name(subject)))),*]
    };
}

const CASES: &[(&str, Case)] = cases! {
    reads::what_was_loaded_is_described,
    reads::what_was_loaded_is_read,
    reads::only_wanted_columns_in_the_wanted_order,
    reads::no_columns_still_count_rows,
    reads::a_limit_holds_over_all_streams,
    reads::partitions_share_the_rows,
    reads::filters_never_lose_rows,
    reads::unknown_names_are_refused,
    loads::the_same_append_twice_is_one,
    loads::appends_add_up,
    loads::a_replacement_takes_the_place,
    loads::an_old_load_is_remembered_after_a_replacement,
    loads::a_refused_commit_leaves_nothing,
    loads::a_failing_stream_leaves_nothing,
    loads::a_load_that_is_dropped_leaves_nothing,
    loads::an_overtaken_attempt_is_refused,
    loads::two_writers_at_once_lose_nothing,
    loads::readers_see_the_old_or_the_new,
    loads::a_load_without_rows_counts,
    loads::strict_wants_the_same_columns,
    loads::evolve_adds_columns,
    loads::ignore_leaves_new_columns_out,
    values::awkward_values_come_back_or_are_refused,
};

/// Exercises a connection; the names of the cases that held.
pub async fn run(subject: &Subject) -> Result<Vec<&'static str>, Broken> {
    let mut held = Vec::new();
    for (rule, case) in CASES {
        case(subject).await.map_err(|found| Broken { rule, found })?;
        held.push(*rule);
    }
    Ok(held)
}

fn check(holds: bool, found: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(found()) }
}

fn said(error: ConnectorError) -> String {
    format!("{} {}", error.code(), error.chain())
}

/// A stream of batches, each whenever it is asked for.
fn rows(batches: Vec<RecordBatch>) -> BatchStream {
    stream::iter(batches.into_iter().map(Ok)).boxed()
}

/// Rows `from..to` of two columns: a number and a text that says it.
fn numbers(from: i64, to: i64) -> RecordBatch {
    let text = (from..to).map(|n| (n % 7 != 0).then(|| format!("row {n}")));
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(Int64Array::from_iter_values(from..to)), Arc::new(StringArray::from_iter(text))];
    build(vec![Field::new("n", DataType::Int64, true), Field::new("text", DataType::Utf8, true)], columns)
}

fn build(fields: Vec<Field>, columns: Vec<arrow::array::ArrayRef>) -> RecordBatch {
    let schema = Arc::new(Schema::new(fields));
    RecordBatch::try_new(Arc::clone(&schema), columns).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}

impl Subject {
    fn table(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn request(&self, table: &str, id: &str, mode: LoadMode, schema: SchemaRef) -> LoadRequest {
        LoadRequest {
            load_id: LoadId(format!("task_{}_{id}", self.prefix)),
            fence: Attempt(1),
            table: self.table(table),
            mode,
            key: Vec::new(),
            contract: Contract::Evolve,
            schema,
        }
    }

    async fn load(&self, request: LoadRequest, batch: RecordBatch) -> Result<Receipt, ConnectorError> {
        self.load_guarded(request, batch, &Unguarded).await
    }

    async fn load_guarded(
        &self,
        request: LoadRequest,
        batch: RecordBatch,
        guard: &dyn CommitGuard,
    ) -> Result<Receipt, ConnectorError> {
        self.connection.load(request, rows(vec![batch]), guard).await
    }

    /// Puts these rows into a table.
    async fn fill(&self, table: &str, id: &str, mode: LoadMode, batch: RecordBatch) -> Result<Receipt, String> {
        let request = self.request(table, id, mode, batch.schema());
        self.load(request, batch).await.map_err(said)
    }

    /// All rows of a scan, in the order of their column `n` if they have one.
    async fn read(&self, scan: Scan) -> Result<RecordBatch, String> {
        let streams = self.connection.scan(scan).await.map_err(said)?;
        let mut batches = Vec::new();
        for mut stream in streams {
            while let Some(batch) = stream.next().await {
                batches.push(batch.map_err(said)?);
            }
        }
        let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
        let all = concat_batches(&schema, &batches).map_err(|error| error.to_string())?;
        match all.column_by_name("n") {
            None => Ok(all),
            Some(n) => {
                let order = sort_to_indices(n, None, None).map_err(|error| error.to_string())?;
                take_record_batch(&all, &order).map_err(|error| error.to_string())
            }
        }
    }

    async fn whole(&self, table: &str) -> Result<RecordBatch, String> {
        self.read(Scan::table(self.table(table))).await
    }

    /// The table holds exactly the numbers of this range.
    async fn holds(&self, table: &str, expected: std::ops::Range<i64>) -> Outcome {
        let whole = self.whole(table).await?;
        let found: Vec<i64> = match whole.column_by_name("n") {
            Some(column) => column.as_primitive::<Int64Type>().values().to_vec(),
            None => Vec::new(),
        };
        let expected: Vec<i64> = expected.collect();
        check(found == expected, || {
            format!("table {table} holds {} rows, not {}: {found:?}", found.len(), expected.len())
        })
    }
}

/// The same batch with the types that stand for all that share a word.
fn canonical(batch: &RecordBatch) -> Result<RecordBatch, String> {
    let schema = column_type::canonical_schema(batch.schema_ref());
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| arrow::compute::cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    RecordBatch::try_new(schema, columns).map_err(|error| error.to_string())
}

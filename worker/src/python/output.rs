//! Rows that a Python function wrote, as Arrow batches.

use std::{fs::File, io::BufReader, path::PathBuf, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
};
use serde::Deserialize;
use tidemill_connectors::{BatchStream, ConnectorError};
use tidemill_engine::Rows;

use crate::error::{TaskError, files};

/// Where a host wrote rows.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    format: Format,
    path: PathBuf,
    /// How many.
    pub rows: u64,
    #[serde(default)]
    columns: Vec<Column>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Arrow,
    Rows,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    kind: Kind,
    scale: i8,
}

/// The types that rows of dicts can have.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Date,
    Timestamp,
    Moment,
    Decimal,
}

impl Column {
    fn field(&self) -> Field {
        let data_type = match self.kind {
            Kind::Bool => DataType::Boolean,
            Kind::Int => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Text => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Moment => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Decimal => DataType::Decimal128(38, self.scale),
        };
        Field::new(&self.name, data_type, true)
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// Opens written rows. The file is read on a thread for blocking work, as fast as batches are taken.
pub(crate) fn rows(written: &Written) -> Result<Rows, TaskError> {
    let file = File::open(&written.path).map_err(files("read", &written.path))?;
    let reader = BufReader::with_capacity(256 * 1024, file);
    let (schema, batches): (SchemaRef, Batches) = match written.format {
        Format::Arrow => {
            let reader = arrow::ipc::reader::StreamReader::try_new(reader, None).map_err(unreadable)?;
            (reader.schema(), Box::new(reader))
        }
        Format::Rows => {
            let schema = Arc::new(Schema::new(written.columns.iter().map(Column::field).collect::<Vec<_>>()));
            if written.columns.is_empty() {
                (schema, Box::new(std::iter::empty()))
            } else {
                let reader = arrow::json::ReaderBuilder::new(Arc::clone(&schema))
                    .with_batch_size(4096)
                    .build(reader)
                    .map_err(unreadable)?;
                (schema, Box::new(reader))
            }
        }
    };
    Ok(Rows::from_connection(schema, stream(batches)))
}

fn unreadable(error: ArrowError) -> TaskError {
    TaskError::Returned(format!("the returned rows cannot be read: {error}"))
}

fn stream(batches: Batches) -> BatchStream {
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        for batch in batches {
            let batch = batch.map_err(|source| ConnectorError::Rows { source: Box::new(source) });
            let failed = batch.is_err();
            if sender.blocking_send(batch).is_err() || failed {
                break;
            }
        }
    });
    Box::pin(futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|batch| (batch, receiver))
    }))
}

//! Rows for a Python function, spooled into a file of its scratch folder.

use std::{fs::File, io::BufWriter, path::PathBuf};

use arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    error::ArrowError,
    ipc::writer::StreamWriter,
    json::{LineDelimitedWriter, WriterBuilder, writer::LineDelimited},
};
use futures::StreamExt;
use tidemill_engine::Rows;
use tokio::sync::mpsc;

use super::Input;
use crate::error::{TaskError, files};

enum Writer {
    Arrow(StreamWriter<BufWriter<File>>),
    Lines(LineDelimitedWriter<BufWriter<File>>),
}

impl Writer {
    fn new(file: File, schema: &SchemaRef, arrow: bool) -> Result<Self, ArrowError> {
        let file = BufWriter::with_capacity(256 * 1024, file);
        if arrow {
            return StreamWriter::try_new(file, schema).map(Self::Arrow);
        }
        let lines = WriterBuilder::new().with_explicit_nulls(true);
        Ok(Self::Lines(lines.build::<_, LineDelimited>(file)))
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        match self {
            Self::Arrow(writer) => writer.write(batch),
            Self::Lines(writer) => writer.write(batch),
        }
    }

    fn finish(self) -> Result<(), ArrowError> {
        let file = match self {
            Self::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
            Self::Lines(mut writer) => {
                writer.finish()?;
                writer.into_inner()
            }
        };
        file.into_inner().map(drop).map_err(|error| ArrowError::from(error.into_error()))
    }
}

/// Writes all rows. Memory stays bounded: a thread for blocking work writes as batches come.
pub(crate) async fn write_input(path: PathBuf, mut batches: Rows, arrow: bool) -> Result<Input, TaskError> {
    let schema = batches.schema();
    let file = File::create(&path).map_err(files("write", &path))?;
    let (sender, mut receiver) = mpsc::channel::<RecordBatch>(2);
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    let writing = tokio::task::spawn_blocking(move || {
        let mut writer = Writer::new(file, &schema, arrow)?;
        while let Some(batch) = receiver.blocking_recv() {
            writer.write(&batch)?;
        }
        writer.finish()
    });
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if sender.send(batch).await.is_err() {
            // The writer ended early; its error follows.
            break;
        }
    }
    drop(sender);
    let written = writing.await.map_err(|_| TaskError::Internal("the writer of an input ended".to_owned()))?;
    written.map_err(|error| files("write", &path)(std::io::Error::other(error)))?;
    Ok(Input { format: if arrow { "arrow" } else { "rows" }, path, rows, columns })
}

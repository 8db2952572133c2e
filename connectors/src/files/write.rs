//! Part files of a load: written into a folder of their own, on a thread of their own, durable when it returns.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression as Codec, ZstdLevel},
    file::properties::{WriterProperties, WriterVersion},
};
use tokio::sync::mpsc;

use super::{
    config::{Compression, Format},
    manifest::Part,
    render,
};
use crate::{ConnectorError, column_type};

/// A part that is larger is followed by another.
const PART_BYTES: u64 = 512 << 20;
/// Rows and bytes of a row group: what a writer holds in memory.
const GROUP_ROWS: usize = 1 << 20;
const GROUP_BYTES: usize = 64 << 20;

/// What is written, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The folder.
    pub folder: PathBuf,
    /// Start of every file name.
    pub prefix: String,
    /// The format.
    pub format: Format,
    /// The compression of CSV and JSON lines.
    pub compression: Compression,
    /// The columns.
    pub schema: SchemaRef,
}

impl Plan {
    fn ending(&self) -> String {
        let plain = match self.format {
            Format::Csv => "csv",
            Format::Json => "jsonl",
            Format::Parquet => return "parquet".into(),
        };
        match self.compression {
            Compression::None => plain.into(),
            Compression::Gz => format!("{plain}.gz"),
            Compression::Zstd => format!("{plain}.zst"),
        }
    }
}

/// Writes all batches that come. Blocking; ends when the sender is dropped.
pub fn write(plan: &Plan, mut batches: mpsc::Receiver<RecordBatch>) -> Result<Vec<Part>, ConnectorError> {
    let mut parts = Vec::new();
    let mut open: Option<Writer> = None;
    let columns = Arc::new(column_type::to_columns(&plan.schema));
    while let Some(batch) = batches.blocking_recv() {
        if batch.num_rows() == 0 {
            continue;
        }
        let writer = match &mut open {
            Some(writer) => writer,
            slot => slot.insert(Writer::open(plan, parts.len())?),
        };
        writer.write(&batch)?;
        if writer.bytes() >= PART_BYTES {
            parts.extend(open.take().map(|writer| writer.finish(plan, &columns)).transpose()?);
        }
    }
    parts.extend(open.map(|writer| writer.finish(plan, &columns)).transpose()?);
    Ok(parts)
}

struct Writer {
    path: PathBuf,
    rows: u64,
    into: Into,
}

enum Into {
    Parquet(Box<ArrowWriter<Counted>>),
    Text { format: Format, file: Box<Compressor>, text: String },
}

enum Compressor {
    None(Counted),
    Gz(flate2::write::GzEncoder<Counted>),
    Zstd(zstd::stream::write::Encoder<'static, Counted>),
}

/// A file that knows its length.
struct Counted {
    file: BufWriter<File>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn unwritable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::Unwritable { path: path.to_owned(), source: io::Error::other(error) }
}

impl Writer {
    fn open(plan: &Plan, number: usize) -> Result<Self, ConnectorError> {
        let path = plan.folder.join(format!("{}-{number:05}.{}", plan.prefix, plan.ending()));
        let failed = |source| ConnectorError::Unwritable { path: path.clone(), source };
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        let file = Counted { file: BufWriter::with_capacity(256 << 10, file), bytes: 0 };
        let into = match plan.format {
            Format::Parquet => {
                Into::Parquet(Box::new(parquet_writer(plan, file).map_err(|error| unwritable(&path, error))?))
            }
            Format::Csv | Format::Json => {
                let file = match plan.compression {
                    Compression::None => Compressor::None(file),
                    Compression::Gz => Compressor::Gz(flate2::write::GzEncoder::new(file, flate2::Compression::fast())),
                    Compression::Zstd => Compressor::Zstd(zstd::stream::write::Encoder::new(file, 1).map_err(failed)?),
                };
                let mut text = String::new();
                if plan.format == Format::Csv {
                    render::csv_header(&plan.schema, &mut text);
                }
                Into::Text { format: plan.format, file: Box::new(file), text }
            }
        };
        Ok(Self { path, rows: 0, into })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ConnectorError> {
        self.rows += batch.num_rows() as u64;
        match &mut self.into {
            Into::Parquet(writer) => writer.write(batch).map_err(|error| unwritable(&self.path, error)),
            Into::Text { format, file, text } => {
                let rendered = match format {
                    Format::Csv => render::csv_rows(batch, text),
                    Format::Json | Format::Parquet => render::json_rows(batch, text),
                };
                rendered.map_err(|source| ConnectorError::Arrow { doing: "writing values as text".into(), source })?;
                file.write_all(text.as_bytes())
                    .map_err(|source| ConnectorError::Unwritable { path: self.path.clone(), source })?;
                text.clear();
                Ok(())
            }
        }
    }

    fn bytes(&self) -> u64 {
        match &self.into {
            Into::Parquet(writer) => writer.inner().bytes + writer.in_progress_size() as u64,
            Into::Text { file, .. } => file.counted().bytes,
        }
    }

    /// Closes the file and waits until it is on disk.
    fn finish(self, plan: &Plan, columns: &Arc<indexmap::IndexMap<String, String>>) -> Result<Part, ConnectorError> {
        let path = self.path;
        let failed = |source| ConnectorError::Unwritable { path: path.clone(), source };
        let counted = match self.into {
            Into::Parquet(writer) => (*writer).into_inner().map_err(|error| unwritable(&path, error))?,
            Into::Text { mut file, text, .. } => {
                file.write_all(text.as_bytes()).map_err(failed)?;
                file.finish().map_err(failed)?
            }
        };
        let bytes = counted.bytes;
        let file = counted.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Part {
            file: name,
            format: plan.format,
            compression: if plan.format == Format::Parquet { Compression::None } else { plan.compression },
            columns: Arc::clone(columns),
            rows: self.rows,
            bytes,
        })
    }
}

fn parquet_writer(plan: &Plan, file: Counted) -> parquet::errors::Result<ArrowWriter<Counted>> {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Codec::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_created_by(concat!("tidemill ", env!("CARGO_PKG_VERSION")).into())
        .build();
    ArrowWriter::try_new(file, Arc::clone(&plan.schema), Some(properties))
}

impl Compressor {
    fn counted(&self) -> &Counted {
        match self {
            Self::None(file) => file,
            Self::Gz(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::None(file) => file.write_all(bytes),
            Self::Gz(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Counted> {
        match self {
            Self::None(file) => Ok(file),
            Self::Gz(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

//! A table that was found, ready to be described and read.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::{
    config::{Format, TableConfig, TextOptions},
    find::{DataFile, Found, is_tsv},
    learn::{self, Learned},
    manifest::Manifest,
    parquet::{self, Groups, ParquetFile},
    text::{Parsing, TextFile, Work, produce},
};
use crate::{BatchStream, ConnectorError, Predicate, Scan, SchemaSource, TableInfo, column_type};

/// Rows in a batch.
const BATCH: usize = 8_192;

/// A table with everything that is known about it before rows are read.
#[derive(Debug, Clone)]
pub struct Table {
    /// All columns.
    pub schema: SchemaRef,
    /// How many rows, if known.
    pub rows: Option<u64>,
    /// Where the types come from.
    pub source: SchemaSource,
    /// What a person should look at.
    pub hints: Vec<String>,
    text: Arc<Vec<TextFile>>,
    parquet: Arc<Vec<ParquetFile>>,
}

/// Where inferred types are remembered.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    /// What was learned in this process.
    pub recent: &'a Mutex<HashMap<String, Learned>>,
    /// A file for the next process.
    pub file: Option<&'a PathBuf>,
}

impl Table {
    /// Looks into the files as far as the types need it. Blocking, and for text files without declared columns
    /// as long as it takes to read them once.
    pub fn open(found: Found, config: &TableConfig, memory: Memory<'_>) -> Result<Self, ConnectorError> {
        match found {
            Found::Loaded { folder, shown, manifest } => Self::loaded(&folder, &shown, &manifest),
            Found::Files(files) if files.iter().all(|file| file.format == Format::Parquet) => {
                Self::of_parquet(files, config)
            }
            Found::Files(files) => Self::of_text(files, config, memory),
        }
    }

    fn of_parquet(files: Vec<DataFile>, config: &TableConfig) -> Result<Self, ConnectorError> {
        let files = files.into_iter().map(ParquetFile::open).collect::<Result<Vec<_>, _>>()?;
        let schema = parquet::common_schema(&files)?;
        if let Some(declared) = &config.columns {
            let found = column_type::to_columns(&schema);
            let declared = column_type::to_columns(&*column_type::to_schema(declared)?);
            if let Some((name, text)) = declared.iter().find(|(name, text)| found.get(*name) != Some(text)) {
                let problem = match found.get(name) {
                    Some(found) => format!("column `{name}` is {found}, `columns` says {text}"),
                    None => format!("it has no column `{name}`, which `columns` declares"),
                };
                return Err(ConnectorError::Columns { file: files[0].file.shown.clone(), problem });
            }
        }
        let rows = Some(files.iter().map(ParquetFile::rows).sum());
        Ok(Self {
            schema,
            rows,
            source: SchemaSource::Explicit,
            hints: Vec::new(),
            text: Arc::default(),
            parquet: Arc::new(files),
        })
    }

    fn of_text(files: Vec<DataFile>, config: &TableConfig, memory: Memory<'_>) -> Result<Self, ConnectorError> {
        let shown = files.first().map_or(String::new(), |file| file.shown.clone());
        let options = config.text_options(is_tsv(&shown));
        let options = options.map_err(|problem| ConnectorError::Columns { file: shown, problem })?;
        let options = Arc::new(options);
        let text = |file| TextFile { file, options: Arc::clone(&options), schema: None };
        let mut files: Vec<_> = files.into_iter().map(text).collect();
        let (schema, rows, source, hints) = match &config.columns {
            Some(columns) => (column_type::to_schema(columns)?, None, SchemaSource::Explicit, Vec::new()),
            None => {
                let learned = learned(&files, memory)?;
                (column_type::to_schema(&learned.columns)?, Some(learned.rows), SchemaSource::Inferred, learned.hints)
            }
        };
        files.iter_mut().for_each(|file| file.schema = Some(Arc::clone(&schema)));
        Ok(Self { schema, rows, source, hints, text: Arc::new(files), parquet: Arc::default() })
    }

    fn loaded(folder: &Path, shown: &str, manifest: &Manifest) -> Result<Self, ConnectorError> {
        let (mut text, mut parquet) = (Vec::new(), Vec::new());
        let options = Arc::new(TextOptions::default());
        for part in &manifest.parts {
            let path = folder.join(&part.file);
            let file = DataFile {
                shown: format!("{shown}/{}", part.file),
                path,
                format: part.format,
                compression: part.compression,
                size: part.bytes,
                modified: 0,
            };
            match part.format {
                Format::Parquet => parquet.push(ParquetFile::open(file)?),
                Format::Csv | Format::Json => {
                    let schema = Some(column_type::to_schema(&part.columns)?);
                    text.push(TextFile { file, options: Arc::clone(&options), schema });
                }
            }
        }
        Ok(Self {
            schema: manifest.schema()?,
            rows: Some(manifest.rows),
            source: SchemaSource::Explicit,
            hints: Vec::new(),
            text: Arc::new(text),
            parquet: Arc::new(parquet),
        })
    }

    /// Whether every row comes from Parquet, so that filters can rule out row groups.
    pub fn is_parquet(&self) -> bool {
        self.text.is_empty()
    }

    /// For people.
    pub fn info(&self, name: &str) -> TableInfo {
        TableInfo {
            name: name.to_owned(),
            schema: Arc::clone(&self.schema),
            rows: self.rows,
            source: self.source,
            hints: self.hints.clone(),
        }
    }

    /// Starts reading. Must be called within a tokio runtime.
    pub fn scan(&self, scan: &Scan) -> Result<Vec<BatchStream>, ConnectorError> {
        let wanted = self.wanted(scan)?;
        let partitions = scan.partitions.max(1);
        let left = Arc::new(AtomicU64::new(scan.limit.filter(|_| scan.filters.is_empty()).unwrap_or(u64::MAX)));
        let mut text = self.scan_text(&wanted, partitions).into_iter();
        let mut parquet = self.scan_parquet(&wanted, &scan.filters, partitions).into_iter();
        let mut streams = Vec::new();
        loop {
            let both: Vec<_> = [text.next(), parquet.next()].into_iter().flatten().collect();
            if both.is_empty() {
                break;
            }
            streams.push(limited(stream::iter(both).flatten().boxed(), Arc::clone(&left)));
        }
        if streams.is_empty() {
            streams.push(stream::empty().boxed());
        }
        Ok(streams)
    }

    fn wanted(&self, scan: &Scan) -> Result<SchemaRef, ConnectorError> {
        let Some(columns) = &scan.columns else { return Ok(Arc::clone(&self.schema)) };
        let field = |column: &String| match self.schema.field_with_name(column) {
            Ok(field) => Ok(field.clone()),
            Err(_) => Err(ConnectorError::UnknownColumn {
                table: scan.table.clone(),
                column: column.clone(),
                known: self.schema.fields().iter().map(|field| field.name().clone()).collect(),
            }),
        };
        Ok(Arc::new(Schema::new(columns.iter().map(field).collect::<Result<Vec<_>, _>>()?)))
    }

    fn scan_text(&self, wanted: &SchemaRef, partitions: usize) -> Vec<BatchStream> {
        if self.text.is_empty() {
            return Vec::new();
        }
        let (give, take) = mpsc::channel(partitions);
        let next = Arc::new(AtomicUsize::new(0));
        for _ in 0..partitions.min(self.text.len()) {
            let (files, next, give) = (Arc::clone(&self.text), Arc::clone(&next), give.clone());
            tokio::task::spawn_blocking(move || {
                let produced = produce(&files, &next, &mut |work| give.blocking_send(Ok(work)).is_ok());
                if let Err(error) = produced {
                    // Whoever reads is told; if nobody does, nobody needs to know.
                    let _ = give.blocking_send(Err(error));
                }
            });
        }
        let take = Arc::new(tokio::sync::Mutex::new(take));
        let parser = || Parsing::new(Arc::clone(&self.text), Arc::clone(wanted));
        (0..partitions).map(|_| parsed(Arc::clone(&take), parser())).collect()
    }

    fn scan_parquet(&self, wanted: &SchemaRef, filters: &[Predicate], partitions: usize) -> Vec<BatchStream> {
        let parts = parquet::partition(&self.parquet, filters, partitions);
        parts.into_iter().map(|part| read_groups(Arc::clone(&self.parquet), part, Arc::clone(wanted))).collect()
    }
}

fn learned(files: &[TextFile], memory: Memory<'_>) -> Result<Learned, ConnectorError> {
    let of = learn::fingerprint(files);
    let recent = || memory.recent.lock().unwrap_or_else(PoisonError::into_inner);
    let known = recent().get(&of).cloned().or_else(|| learn::recall(memory.file?, &of));
    let learned = match known {
        Some(learned) => learned,
        None => {
            let learned = learn::learn(files)?;
            if let Some(file) = memory.file {
                learn::remember(file, &learned);
            }
            learned
        }
    };
    recent().insert(of, learned.clone());
    Ok(learned)
}

type Taken = Arc<tokio::sync::Mutex<mpsc::Receiver<Result<Work, ConnectorError>>>>;

/// Parses pieces as they come; several such streams share one channel.
fn parsed(take: Taken, parsing: Parsing) -> BatchStream {
    let step = |state: Option<(Taken, Parsing)>| async move {
        let (take, mut parsing) = state?;
        let work = take.lock().await.recv().await?;
        match work.and_then(|work| parsing.parse(&work)) {
            Ok(batch) => Some((Ok(batch), Some((take, parsing)))),
            Err(error) => {
                // The others need not go on, nor those who read.
                take.lock().await.close();
                Some((Err(error), None))
            }
        }
    };
    stream::unfold(Some((take, parsing)), step).flat_map(|batch| stream::iter(in_slices(batch))).boxed()
}

/// Batches of a few thousand rows, none of them empty.
fn in_slices(batch: Result<RecordBatch, ConnectorError>) -> Vec<Result<RecordBatch, ConnectorError>> {
    match batch {
        Err(error) => vec![Err(error)],
        Ok(batch) => {
            let rows = batch.num_rows();
            (0..rows).step_by(BATCH).map(|from| Ok(batch.slice(from, BATCH.min(rows - from)))).collect()
        }
    }
}

fn read_groups(files: Arc<Vec<ParquetFile>>, part: Vec<Groups>, wanted: SchemaRef) -> BatchStream {
    let (give, take) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        for Groups { file, groups } in part {
            match files[file].read(&groups, &wanted, &mut |batch| give.blocking_send(Ok(batch)).is_ok()) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let _ = give.blocking_send(Err(error));
                    return;
                }
            }
        }
    });
    stream::unfold(take, |mut take| async move { Some((take.recv().await?, take)) }).boxed()
}

/// At most `left` rows in all streams that share it.
fn limited(rows: BatchStream, left: Arc<AtomicU64>) -> BatchStream {
    if left.load(Ordering::Relaxed) == u64::MAX {
        return rows;
    }
    let cut = move |batch: Result<RecordBatch, ConnectorError>| {
        let taken = batch.map(|batch| {
            let rows = batch.num_rows() as u64;
            let take = |left: u64| Some(left.saturating_sub(rows));
            let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or(0);
            (batch, rows.min(before))
        });
        futures::future::ready(match taken {
            Ok((_, 0)) => None,
            Ok((batch, rows)) => Some(Ok(batch.slice(0, rows as usize))),
            Err(error) => Some(Err(error)),
        })
    };
    stream::StreamExt::scan(rows, (), move |(), batch| cut(batch)).boxed()
}

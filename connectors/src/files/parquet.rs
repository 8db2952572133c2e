//! Reading Parquet: footers, row groups that a filter rules out, batches.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
};

use super::{adapt::adapt, find::DataFile, prune, publish::open_part};
use crate::{ConnectorError, Predicate, column_type};

/// Rows in a batch.
const BATCH: usize = 8_192;

/// A Parquet file whose footer was read.
#[derive(Debug, Clone)]
pub struct ParquetFile {
    /// The file.
    pub file: DataFile,
    /// Its footer.
    pub footer: ArrowReaderMetadata,
}

/// Some row groups of one file.
#[derive(Debug, Clone)]
pub struct Groups {
    /// Position of the file.
    pub file: usize,
    /// The row groups.
    pub groups: Vec<usize>,
}

impl ParquetFile {
    /// Reads the footer. Blocking.
    pub fn open(file: DataFile) -> Result<Self, ConnectorError> {
        let input = open(&file)?;
        let footer =
            ArrowReaderMetadata::load(&input, ArrowReaderOptions::new()).map_err(|error| damaged(&file, error))?;
        Ok(Self { file, footer })
    }

    /// Its columns, with types as the rest of the world has them.
    pub fn schema(&self) -> SchemaRef {
        column_type::canonical_schema(self.footer.schema())
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.footer.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Reads row groups batch by batch until `give` wants no more. Blocking.
    pub fn read(
        &self,
        groups: &[usize],
        wanted: &SchemaRef,
        give: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<bool, ConnectorError> {
        let input = open(&self.file)?;
        let roots = self.footer.schema().fields().iter().enumerate();
        let roots = roots.filter(|(_, field)| wanted.index_of(field.name()).is_ok()).map(|(at, _)| at);
        let mask = ProjectionMask::roots(self.footer.parquet_schema(), roots);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(input, self.footer.clone())
            .with_row_groups(groups.to_vec())
            .with_projection(mask)
            .with_batch_size(BATCH)
            .build()
            .map_err(|error| damaged(&self.file, error))?;
        for batch in reader {
            let batch = batch.map_err(|error| damaged(&self.file, error))?;
            let doing = || format!("fitting the rows of {} to the table", self.file.shown);
            let batch = adapt(&batch, wanted).map_err(|source| ConnectorError::Arrow { doing: doing(), source })?;
            if !give(batch) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn open(file: &DataFile) -> Result<File, ConnectorError> {
    open_part(&file.path)
        .map_err(|source| ConnectorError::Unreadable { path: Path::new(&file.shown).to_owned(), source })
}

fn damaged(file: &DataFile, error: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::Parquet { file: file.shown.clone(), source: Box::new(error) }
}

/// Deals out row groups that may hold wanted rows, about the same number of rows each, in order.
pub fn partition(files: &[ParquetFile], filters: &[Predicate], partitions: usize) -> Vec<Vec<Groups>> {
    let mut wanted = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let metadata = file.footer.metadata();
        for (group, facts) in metadata.row_groups().iter().enumerate() {
            if prune::may_match(filters, &file.footer, group) {
                wanted.push((at, group, u64::try_from(facts.num_rows()).unwrap_or(0)));
            }
        }
    }
    let total: u64 = wanted.iter().map(|(_, _, rows)| rows).sum();
    let share = total.div_ceil(partitions.max(1) as u64).max(1);
    let mut parts: Vec<Vec<Groups>> = Vec::new();
    let mut before = 0;
    for (file, group, rows) in wanted {
        let part = usize::try_from(before / share).unwrap_or(0);
        before += rows;
        if parts.is_empty() || (part >= parts.len() && parts.len() < partitions.max(1)) {
            parts.push(Vec::new());
        }
        let Some(last) = parts.last_mut() else { continue };
        match last.last_mut() {
            Some(groups) if groups.file == file => groups.groups.push(group),
            _ => last.push(Groups { file, groups: vec![group] }),
        }
    }
    parts
}

/// One schema for all files: they must have the same columns.
pub fn common_schema(files: &[ParquetFile]) -> Result<SchemaRef, ConnectorError> {
    let Some(first) = files.first() else { return Ok(Arc::new(Schema::empty())) };
    let schema = first.schema();
    for other in &files[1..] {
        let theirs = other.schema();
        let same = theirs.fields().len() == schema.fields().len()
            && schema.fields().iter().all(|field| {
                theirs.field_with_name(field.name()).is_ok_and(|theirs| theirs.data_type() == field.data_type())
            });
        if !same {
            let text = |schema: &Schema| {
                column_type::to_columns(schema)
                    .iter()
                    .map(|(name, text)| format!("{name}: {text}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let problem = format!(
                "its columns ({}) differ from those of {} ({})",
                text(&theirs),
                first.file.shown,
                text(&schema)
            );
            return Err(ConnectorError::Columns { file: other.file.shown.clone(), problem });
        }
    }
    Ok(schema)
}

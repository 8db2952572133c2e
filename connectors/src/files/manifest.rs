//! What is visible of a loaded table, and which loads it contains. The file `_manifest.json` in the table's
//! folder; replacing it is the one step by which rows become visible.

use std::{fs, io, path::Path, sync::Arc};

use arrow::datatypes::SchemaRef;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tidemill_dag::spec::LoadMode;

use super::config::{Compression, Format};
use crate::{ConnectorError, LoadId, Receipt, column_type};

/// The manifest's name in a table's folder.
pub const MANIFEST: &str = "_manifest.json";
/// The version of the manifest's own form.
const FORM: u32 = 1;
/// How many loads are remembered. A load that is repeated after so many others would be written again; the
/// attempt numbers of the platform rule that out long before.
const REMEMBERED: usize = 10_000;

/// What is visible of a loaded table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this file.
    pub tidemill: u32,
    /// Counts the loads that changed the table.
    pub version: u64,
    /// Columns and their types, in order.
    pub columns: IndexMap<String, String>,
    /// Rows of all parts.
    pub rows: u64,
    /// The files that are the table.
    pub parts: Vec<Part>,
    /// The loads done, oldest first.
    pub loads: Vec<Done>,
}

/// One file of a loaded table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the table's folder.
    pub file: String,
    /// Its format.
    pub format: Format,
    /// Its compression.
    pub compression: Compression,
    /// Its columns and their types, in order, as written.
    pub columns: Arc<IndexMap<String, String>>,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// A load that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Its id.
    pub load: LoadId,
    /// The attempt that did it.
    pub fence: u32,
    /// How its rows met those already there.
    pub mode: LoadMode,
    /// The table's version after it.
    pub version: u64,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its files.
    pub files: Vec<String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { tidemill: FORM, version: 0, columns: IndexMap::new(), rows: 0, parts: Vec::new(), loads: Vec::new() }
    }
}

impl Manifest {
    /// The manifest of a table's folder; none if nothing was ever loaded there.
    pub fn read(folder: &Path) -> Result<Option<Self>, ConnectorError> {
        let path = folder.join(MANIFEST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ConnectorError::Unreadable { path, source }),
        };
        let wrong = |problem: String| ConnectorError::Manifest { path: path.clone(), problem };
        let manifest: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if manifest.tidemill != FORM {
            return Err(wrong(format!("its form is {}, not {FORM}", manifest.tidemill)));
        }
        let leaves = |part: &&Part| part.file.contains(['/', '\\']) || part.file.starts_with('.');
        match manifest.parts.iter().find(leaves) {
            Some(part) => Err(wrong(format!("`{}` is no plain file name", part.file))),
            None => Ok(Some(manifest)),
        }
    }

    /// The table's columns.
    pub fn schema(&self) -> Result<SchemaRef, ConnectorError> {
        column_type::to_schema(&self.columns)
    }

    /// The receipt of a load that is done.
    pub fn receipt(&self, load: &LoadId) -> Option<Receipt> {
        let done = self.loads.iter().rev().find(|done| done.load == *load)?;
        Some(Receipt { rows: done.rows, bytes: done.bytes, places: done.files.clone(), already: true })
    }

    /// The manifest after a load: what `done` says, with these columns and parts.
    #[must_use]
    pub fn after(&self, columns: IndexMap<String, String>, parts: Vec<Part>, done: Done) -> Self {
        let kept = match done.mode {
            LoadMode::Append | LoadMode::Merge => self.parts.as_slice(),
            LoadMode::Replace => &[],
        };
        let parts: Vec<_> = kept.iter().cloned().chain(parts).collect();
        let forgotten = (self.loads.len() + 1).saturating_sub(REMEMBERED);
        let loads = self.loads.iter().skip(forgotten).cloned().chain([done]).collect();
        let rows = parts.iter().map(|part| part.rows).sum();
        Self { tidemill: FORM, version: self.version + 1, columns, rows, parts, loads }
    }
}

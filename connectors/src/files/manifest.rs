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
/// How many of them the manifest itself holds at most. It is read and written whole by every load, so it stays small; the others
/// are in ledgers, which are written once and hardly ever read.
const RECENT: usize = 250;
/// Start of the names of ledgers.
const LEDGER: &str = "_loads-";

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
    /// The last loads done, oldest first.
    pub loads: Vec<Done>,
    /// Where the loads before those are, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Ledger>,
}

/// A file with loads that are done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Its name in the table's folder.
    pub file: String,
    /// The greatest of its ids. Ids grow with time, so that new ones need no look at it.
    pub greatest: LoadId,
}

/// Whether a name is one that ledgers have.
pub fn is_ledger(name: &str) -> bool {
    name.starts_with(LEDGER)
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
        Self {
            tidemill: FORM,
            version: 0,
            columns: IndexMap::new(),
            rows: 0,
            parts: Vec::new(),
            loads: Vec::new(),
            earlier: Vec::new(),
        }
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
        let leaves = |file: &&String| file.contains(['/', '\\']) || file.starts_with('.');
        let ledgers = manifest.earlier.iter().map(|ledger| &ledger.file);
        match manifest.parts.iter().map(|part| &part.file).chain(ledgers).find(leaves) {
            Some(file) => Err(wrong(format!("`{file}` is no plain file name"))),
            None => Ok(Some(manifest)),
        }
    }

    /// The table's columns.
    pub fn schema(&self) -> Result<SchemaRef, ConnectorError> {
        column_type::to_schema(&self.columns)
    }

    /// The receipt of a load that is done, by the table in this folder.
    pub fn receipt(&self, folder: &Path, load: &LoadId) -> Result<Option<Receipt>, ConnectorError> {
        if let Some(done) = self.loads.iter().rev().find(|done| done.load == *load) {
            return Ok(Some(done.receipt()));
        }
        for ledger in self.earlier.iter().rev().filter(|ledger| *load <= ledger.greatest) {
            if let Some(done) = ledger.read(folder)?.into_iter().find(|done| done.load == *load) {
                return Ok(Some(done.receipt()));
            }
        }
        Ok(None)
    }

    /// The manifest after a load: what `done` says, with these columns and parts.
    #[must_use]
    pub fn after(&self, columns: IndexMap<String, String>, parts: Vec<Part>, done: Done) -> Self {
        let kept = match done.mode {
            LoadMode::Append | LoadMode::Merge => self.parts.as_slice(),
            LoadMode::Replace => &[],
        };
        let parts: Vec<_> = kept.iter().cloned().chain(parts).collect();
        let rows = parts.iter().map(|part| part.rows).sum();
        let mut next = Self { tidemill: FORM, version: self.version + 1, columns, rows, parts, ..Self::default() };
        next.earlier.clone_from(&self.earlier);
        if self.loads.len() < RECENT {
            next.loads.clone_from(&self.loads);
        } else if let Some(greatest) = self.loads.iter().map(|done| &done.load).max() {
            let forgotten = (self.earlier.len() + 1).saturating_sub(REMEMBERED / RECENT);
            next.earlier.drain(..forgotten);
            next.earlier.push(Ledger { file: format!("{LEDGER}{}.json", self.version), greatest: greatest.clone() });
        }
        next.loads.push(done);
        next
    }

    /// The ledger that this manifest has and the one before had not; the loads of that one belong in it.
    pub fn new_ledger(&self, before: &Self) -> Option<&Ledger> {
        self.earlier.last().filter(|ledger| before.earlier.last() != Some(ledger))
    }
}

impl Done {
    fn receipt(&self) -> Receipt {
        Receipt { rows: self.rows, bytes: self.bytes, places: self.files.clone(), already: true }
    }
}

impl Ledger {
    /// Its loads; none if it was forgotten meanwhile.
    fn read(&self, folder: &Path) -> Result<Vec<Done>, ConnectorError> {
        let path = folder.join(&self.file);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| ConnectorError::Manifest { path, problem: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(ConnectorError::Unreadable { path, source }),
        }
    }
}

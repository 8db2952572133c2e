//! The kinds of systems there are, and how a configuration becomes a connection.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde::Deserialize;

use crate::{Connection, ConnectorError, files};

/// One kind of system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The word after `kind:`.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Whether tables can be read.
    pub reads: bool,
    /// The load modes it takes.
    pub loads: &'static [&'static str],
}

/// Every kind that can be configured.
pub const KINDS: &[Kind] = &[Kind {
    name: files::KIND,
    about: "CSV, JSON lines and Parquet files in a folder or behind http(s), compressed or not",
    reads: true,
    loads: &["append", "replace"],
}];

/// One entry of `connections:` in a project file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConnectionConfig {
    /// Files in a folder or behind http(s).
    Files(files::FilesConfig),
}

impl ConnectionConfig {
    /// The word after `kind:`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Files(_) => files::KIND,
        }
    }
}

/// Folders on this machine that connections may need.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    /// What relative paths in a configuration start from: the project's folder.
    pub base: PathBuf,
    /// Where to remember what was learned (inferred types, downloads); without it every process learns anew.
    pub state: Option<PathBuf>,
}

impl Folders {
    /// Relative paths start here and nothing is remembered.
    pub fn at(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into(), state: None }
    }
}

/// Builds a connection. Checks the configuration but does no I/O.
pub fn connect(
    name: &str,
    config: &ConnectionConfig,
    folders: &Folders,
) -> Result<Arc<dyn Connection>, ConnectorError> {
    match config {
        ConnectionConfig::Files(config) => Ok(Arc::new(files::Files::new(name, config.clone(), folders)?)),
    }
}

/// A project's connections by name.
#[derive(Debug, Clone, Default)]
pub struct Connections(pub BTreeMap<String, Arc<dyn Connection>>);

impl Connections {
    /// Connects everything that is configured; all errors, not the first.
    pub fn open(configs: &BTreeMap<String, ConnectionConfig>, folders: &Folders) -> Result<Self, Vec<ConnectorError>> {
        let mut ready = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, config) in configs {
            match connect(name, config, folders) {
                Ok(connection) => drop(ready.insert(name.clone(), connection)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Self(ready)) } else { Err(errors) }
    }

    /// The connection of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Connection>> {
        self.0.get(name)
    }
}

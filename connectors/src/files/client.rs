//! All I/O of the file connector.

use std::path::PathBuf;

use async_trait::async_trait;

use super::{FilesConfig, KIND};
use crate::{
    BatchStream, CommitGuard, Connection, ConnectorError, Folders, LoadId, LoadRequest, Predicate, Pushdown, Receipt,
    Scan, TableInfo,
};

/// Files in a folder or behind http(s).
#[derive(Debug)]
pub struct Files {
    name: String,
    config: FilesConfig,
    root: PathBuf,
}

impl Files {
    /// Checks the configuration; no I/O.
    pub fn new(name: &str, config: FilesConfig, folders: &Folders) -> Result<Self, ConnectorError> {
        let root = folders.base.join(&config.path);
        Ok(Self { name: name.to_owned(), config, root })
    }

    fn unknown(&self, table: &str) -> ConnectorError {
        tracing::debug!(root = %self.root.display(), table, "no such table");
        ConnectorError::UnknownTable {
            connection: self.name.clone(),
            table: table.to_owned(),
            known: self.config.tables.keys().cloned().collect(),
        }
    }
}

#[async_trait]
impl Connection for Files {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn tables(&self) -> Result<Vec<String>, ConnectorError> {
        Ok(self.config.tables.keys().cloned().collect())
    }

    async fn describe(&self, table: &str) -> Result<TableInfo, ConnectorError> {
        Err(self.unknown(table))
    }

    fn pushdown(&self, _table: &str, _predicate: &Predicate) -> Pushdown {
        Pushdown::None
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<BatchStream>, ConnectorError> {
        Err(self.unknown(&scan.table))
    }

    async fn load(&self, load: LoadRequest, _: BatchStream, _: &dyn CommitGuard) -> Result<Receipt, ConnectorError> {
        Err(self.unknown(&load.table))
    }

    async fn find_load(&self, _: &str, _: &LoadId) -> Result<Option<Receipt>, ConnectorError> {
        Ok(None)
    }
}

//! The file connector behind the contract.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{
    KIND,
    config::{FilesConfig, TableConfig},
    find::Root,
    learn::{self, Learned},
    prune,
    read::{Memory, Table},
};
use crate::{
    BatchStream, CommitGuard, Connection, ConnectorError, Folders, LoadId, LoadRequest, Predicate, Pushdown, Receipt,
    Scan, TableInfo,
};

/// Files in a folder or behind http(s).
#[derive(Debug, Clone)]
pub struct Files(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    config: FilesConfig,
    root: Root,
    state: Option<PathBuf>,
    /// What was learned in this process, by fingerprint.
    learned: Mutex<HashMap<String, Learned>>,
    /// Tables that were looked at, and whether filters help there.
    prunable: Mutex<HashMap<String, bool>>,
}

impl Files {
    /// Checks the configuration; no I/O.
    pub fn new(name: &str, config: FilesConfig, folders: &Folders) -> Result<Self, ConnectorError> {
        let wrong = |problem: String| ConnectorError::Config {
            connection: name.to_owned(),
            problem,
            advice: "see the settings of the file connector".into(),
        };
        let tables = config.tables.iter().map(|(table, settings)| (format!("table `{table}`: "), settings));
        for (whose, settings) in tables.chain([(String::new(), &config.defaults)]) {
            settings.text_options(false).map_err(|problem| wrong(format!("{whose}{problem}")))?;
            if let Some(columns) = &settings.columns {
                crate::column_type::to_schema(columns).map_err(|error| wrong(format!("{whose}{error}")))?;
            }
        }
        let root = Root { path: folders.base.join(&config.path), shown: config.path.clone() };
        let (learned, prunable) = (Mutex::default(), Mutex::default());
        let inner = Inner { name: name.to_owned(), config, root, state: folders.state.clone(), learned, prunable };
        Ok(Self(Arc::new(inner)))
    }

    /// Runs blocking work aside.
    async fn aside<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl FnOnce(&Inner) -> Result<T, ConnectorError> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|_| Err(ConnectorError::CutShort { doing: doing.to_owned() }))
    }

    async fn open(&self, table: &str) -> Result<Table, ConnectorError> {
        let name = table.to_owned();
        self.aside("looking for a table", move |inner| inner.open(&name)).await
    }
}

impl Inner {
    fn settings(&self, table: &str) -> TableConfig {
        self.config.tables.get(table).map_or_else(|| self.config.defaults.clone(), |own| own.or(&self.config.defaults))
    }

    fn tables(&self) -> Result<Vec<String>, ConnectorError> {
        let mut names: Vec<_> = self.root.tables()?.into_keys().chain(self.config.tables.keys().cloned()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn open(&self, table: &str) -> Result<Table, ConnectorError> {
        let settings = self.settings(table);
        let found = match &settings.path {
            Some(path) => Some(self.root.by_path(path, &settings)?),
            None => self.root.by_name(table, &settings)?,
        };
        let Some(found) = found else {
            return Err(ConnectorError::UnknownTable {
                connection: self.name.clone(),
                table: table.to_owned(),
                known: self.tables()?,
            });
        };
        let file = self.state.as_ref().map(|state| learn::place(state, &self.name, table));
        let opened = Table::open(found, &settings, Memory { recent: &self.learned, file: file.as_ref() })?;
        let mut prunable = self.prunable.lock().unwrap_or_else(PoisonError::into_inner);
        prunable.insert(table.to_owned(), opened.is_parquet());
        Ok(opened)
    }
}

#[async_trait]
impl Connection for Files {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn tables(&self) -> Result<Vec<String>, ConnectorError> {
        self.aside("listing tables", Inner::tables).await
    }

    async fn describe(&self, table: &str) -> Result<TableInfo, ConnectorError> {
        Ok(self.open(table).await?.info(table))
    }

    fn pushdown(&self, table: &str, predicate: &Predicate) -> Pushdown {
        let prunable = self.0.prunable.lock().unwrap_or_else(PoisonError::into_inner);
        if prunable.get(table) == Some(&true) && prune::helps(predicate) { Pushdown::Inexact } else { Pushdown::None }
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<BatchStream>, ConnectorError> {
        self.open(&scan.table).await?.scan(&scan)
    }

    async fn load(&self, load: LoadRequest, _: BatchStream, _: &dyn CommitGuard) -> Result<Receipt, ConnectorError> {
        Err(ConnectorError::CutShort { doing: load.table })
    }

    async fn find_load(&self, _: &str, _: &LoadId) -> Result<Option<Receipt>, ConnectorError> {
        Ok(None)
    }
}

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
    fetch::Web,
    find::{DataFile, Found, Root, data_file, kind_of},
    learn::{self, Learned},
    load, prune,
    publish::Target,
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
    place: Place,
    state: Option<PathBuf>,
    /// What was learned in this process, by fingerprint.
    learned: Mutex<HashMap<String, Learned>>,
    /// Tables that were looked at, and whether filters help there.
    prunable: Mutex<HashMap<String, bool>>,
}

#[derive(Debug)]
enum Place {
    Folder(Root),
    Web(Box<Web>),
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
        let place = if config.path.starts_with("http://") || config.path.starts_with("https://") {
            let web = Web::new(&config.path, config.transfer.clone(), folders.state.as_deref()).map_err(wrong)?;
            for (table, settings) in &config.tables {
                web.address(settings.path.as_deref().unwrap_or(table)).map_err(wrong)?;
            }
            Place::Web(Box::new(web))
        } else {
            Place::Folder(Root { path: folders.base.join(&config.path), shown: config.path.clone() })
        };
        let (learned, prunable) = (Mutex::default(), Mutex::default());
        let inner = Inner { name: name.to_owned(), config, place, state: folders.state.clone(), learned, prunable };
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

    async fn target(&self, table: String) -> Result<Target, ConnectorError> {
        self.aside("looking for a table", move |inner| match &inner.place {
            Place::Folder(root) => load::target(root, &table, &inner.settings(&table)),
            Place::Web(_) => Err(load::read_only(&table)),
        })
        .await
    }

    async fn open(&self, table: &str) -> Result<Table, ConnectorError> {
        let name = table.to_owned();
        let settings = self.0.settings(table);
        let fetched = match &self.0.place {
            Place::Folder(_) => None,
            Place::Web(web) => Some(self.fetch(web, table, &settings).await?),
        };
        self.aside("looking for a table", move |inner| inner.open(&name, &settings, fetched)).await
    }

    async fn fetch(&self, web: &Web, table: &str, settings: &TableConfig) -> Result<Found, ConnectorError> {
        if !self.0.config.tables.contains_key(table) {
            return Err(self.0.unknown(table)?);
        }
        let config = |problem| ConnectorError::Columns { file: table.to_owned(), problem };
        let address = web.address(settings.path.as_deref().unwrap_or(table)).map_err(config)?;
        let path = web.file(&address).await?;
        // What stands behind `?` or `#` says nothing about the format.
        let name = address.split(['?', '#']).next().unwrap_or(&address);
        let (format, compression) = kind_of(name, settings)?;
        let found = data_file(
            &path,
            address.clone(),
            &TableConfig { format: Some(format), compression: Some(compression), ..TableConfig::default() },
        )?;
        // The content has a name of its own; when it came does not matter.
        Ok(Found::Files(vec![DataFile { modified: 0, ..found }]))
    }
}

impl Inner {
    fn settings(&self, table: &str) -> TableConfig {
        self.config.tables.get(table).map_or_else(|| self.config.defaults.clone(), |own| own.or(&self.config.defaults))
    }

    fn tables(&self) -> Result<Vec<String>, ConnectorError> {
        let mut names: Vec<_> = self.config.tables.keys().cloned().collect();
        if let Place::Folder(root) = &self.place {
            names.extend(root.tables()?.into_keys());
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn unknown(&self, table: &str) -> Result<ConnectorError, ConnectorError> {
        Ok(ConnectorError::UnknownTable {
            connection: self.name.clone(),
            table: table.to_owned(),
            known: self.tables()?,
        })
    }

    fn open(&self, table: &str, settings: &TableConfig, fetched: Option<Found>) -> Result<Table, ConnectorError> {
        let found = match (&self.place, &settings.path) {
            (Place::Web(_), _) => fetched,
            (Place::Folder(root), Some(path)) => Some(root.by_path(path, settings)?),
            (Place::Folder(root), None) => root.by_name(table, settings)?,
        };
        let Some(found) = found else { return Err(self.unknown(table)?) };
        let file = self.state.as_ref().map(|state| learn::place(state, &self.name, table));
        let opened = Table::open(found, settings, Memory { recent: &self.learned, file: file.as_ref() })?;
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

    async fn load(
        &self,
        load: LoadRequest,
        rows: BatchStream,
        guard: &dyn CommitGuard,
    ) -> Result<Receipt, ConnectorError> {
        load::check_request(&load)?;
        let table = load.table.clone();
        let settings = self.0.settings(&table);
        let target = self.target(table).await?;
        load::load(target, &settings, load, rows, guard).await
    }

    async fn find_load(&self, table: &str, id: &LoadId) -> Result<Option<Receipt>, ConnectorError> {
        let (target, id) = (self.target(table.to_owned()).await?, id.clone());
        self.aside("looking for a load", move |_| target.find(&id)).await
    }
}

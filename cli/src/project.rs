//! The project: its folder, its settings, and what is opened from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_api::Workbench;
use tidemill_connectors::{ConnectionConfig, Connections, Folders};
use tidemill_engine::{Engine, EngineConfig};
use tidemill_store::transport::redis::{RedisOptions, RedisTransport};
use tidemill_store::{InProcess, Store, Transport};

use crate::calendars;
use crate::clock;
use crate::config::{self, Config, StateFolders};
use crate::error::{CliError, Findings};
use crate::secret::{self, Secret};

/// A project, read but not opened.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its folder.
    pub root: PathBuf,
    /// Its file, if it has one.
    pub file: Option<PathBuf>,
    /// Its settings.
    pub config: Config,
    /// Where its state lies.
    pub state: StateFolders,
    configs: BTreeMap<String, ConnectionConfig>,
}

impl Project {
    /// The project in `given`, or the nearest one from here upwards.
    pub fn find(given: Option<&Path>) -> Result<Self, CliError> {
        match given {
            Some(dir) if dir.is_dir() => Self::at(dir.to_owned()),
            Some(dir) => Err(CliError::NoProject { path: dir.to_owned() }),
            None => {
                let here = std::env::current_dir()
                    .map_err(|source| CliError::ReadFile { path: PathBuf::from("."), source })?;
                let root = here.ancestors().find(|dir| dir.join(config::FILE).is_file()).unwrap_or(&here);
                Self::at(root.to_owned())
            }
        }
    }

    fn at(root: PathBuf) -> Result<Self, CliError> {
        let root = std::path::absolute(&root).unwrap_or(root);
        let path = root.join(config::FILE);
        if !path.is_file() {
            let config = config::without_file(root.join("data").is_dir());
            let text = serde_json::to_string(&config).map_err(|source| CliError::Json { source })?;
            let read =
                config::read(&text).map_err(|list| CliError::Config(Findings { file: String::new(), text, list }))?;
            return Ok(Self::new(root, None, read));
        }
        let text =
            std::fs::read_to_string(&path).map_err(|source| CliError::ReadFile { path: path.clone(), source })?;
        let file = shown(&path);
        let read = config::read(&text).map_err(|list| CliError::Config(Findings { file, text, list }))?;
        Ok(Self::new(root, Some(path), read))
    }

    fn new(root: PathBuf, file: Option<PathBuf>, read: config::ReadConfig) -> Self {
        let state = read.config.state.folders(&root);
        Self { root, file, config: read.config, state, configs: read.connections }
    }

    /// Where definitions are by default.
    pub fn pipelines(&self) -> PathBuf {
        self.root.join("pipelines")
    }

    /// The connections, configured but not yet contacted.
    pub fn connections(&self) -> Result<Connections, CliError> {
        let folders = Folders { base: self.root.clone(), state: Some(self.state.cache.clone()) };
        Connections::open(&self.configs, &folders).map_err(CliError::Connectors)
    }

    /// The engine.
    pub fn engine(&self) -> Result<Engine, CliError> {
        let section = &self.config.engine;
        Ok(Engine::new(EngineConfig {
            memory_bytes: section.memory_bytes(),
            partitions: section.effective_partitions(),
            ..EngineConfig::new(&self.state.spill)
        })?)
    }

    /// What checks definitions.
    pub fn workbench(&self) -> Result<Workbench, CliError> {
        let defaults = self.config.defaults.clone();
        let pools = &self.config.pools;
        let slots = |(name, pool): (&String, &config::PoolSection)| (name.clone(), pool.slots);
        // Who lists pools lists all of them; else any may be meant.
        let pools = (!pools.is_empty()).then(|| pools.iter().map(slots).collect());
        Ok(Workbench {
            connections: self.connections()?,
            calendars: calendars::read(&self.root)?,
            defaults,
            pools,
            engine: self.engine()?,
        })
    }

    /// The address of the database.
    fn database(&self) -> Result<Secret, CliError> {
        let written = self.config.database.url.as_deref();
        let url = secret::setting("database.url", written, "TIDEMILL_DATABASE_URL")?;
        let path = match url.as_ref().map(|url| url.expose().strip_prefix("sqlite:")) {
            Some(Some(path)) if path != ":memory:" => self.root.join(path.strip_prefix("//").unwrap_or(path)),
            Some(_) => return Ok(url.unwrap_or_else(|| Secret::new(""))),
            None => self.state.database.clone(),
        };
        Ok(Secret::new(format!("sqlite:{}", path.display())))
    }

    /// The Redis that this project's processes share, if there is one.
    fn queue(&self) -> Result<Option<RedisOptions>, CliError> {
        let section = &self.config.queue;
        let Some(url) = secret::setting("queue.url", section.url.as_deref(), "TIDEMILL_QUEUE_URL")? else {
            return Ok(None);
        };
        let authority = section.authority.as_ref().map(|path| self.root.join(path));
        let read = |path: PathBuf| std::fs::read(&path).map_err(|source| CliError::ReadFile { path, source });
        let options = RedisOptions {
            authority: authority.map(read).transpose()?,
            prefix: section.prefix.clone(),
            ..RedisOptions::new(url.expose())
        };
        Ok(Some(options))
    }

    /// Whether processes share the work of this project, and if not, what is missing.
    pub fn cluster(&self) -> Result<Result<(), &'static str>, CliError> {
        Ok(if self.database()?.expose().starts_with("sqlite:") {
            Err("the state is in SQLite, which they cannot share")
        } else if self.queue()?.is_none() {
            Err("`queue.url` is not set")
        } else {
            Ok(())
        })
    }

    /// The state, with the transport through which its tickets travel.
    pub async fn open(&self) -> Result<(Store, Arc<dyn Transport>), CliError> {
        self.make_state_folder()?;
        let transport = self.transport()?;
        let url = self.database()?;
        let store = Store::open_shared(url.expose(), clock::clock(), clock::chance(), transport.clone()).await?;
        Ok((store, transport))
    }

    /// The transport through Redis, where one is configured.
    pub fn queue_transport(&self) -> Result<Option<Arc<dyn Transport>>, CliError> {
        let Some(options) = self.queue()? else { return Ok(None) };
        Ok(Some(Arc::new(RedisTransport::new(&options)?)))
    }

    fn transport(&self) -> Result<Arc<dyn Transport>, CliError> {
        Ok(match self.queue()? {
            Some(options) => Arc::new(RedisTransport::new(&options)?),
            None => Arc::new(InProcess::new()),
        })
    }

    /// The state for looking only: a project that never ran anything gets no files for it.
    pub async fn look(&self) -> Result<Store, CliError> {
        let url = self.database()?;
        let absent = url.expose().strip_prefix("sqlite:").is_some_and(|path| !Path::new(path).exists());
        let url = if absent { "sqlite::memory:" } else { url.expose() };
        Ok(Store::open_shared(url, clock::clock(), clock::chance(), self.transport()?).await?)
    }

    /// The state folder keeps itself out of version control.
    pub fn make_state_folder(&self) -> Result<(), CliError> {
        let ignore = self.state.dir.join(".gitignore");
        if ignore.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.state.dir)
            .and_then(|()| std::fs::write(&ignore, "*\n"))
            .map_err(|source| CliError::WriteFile { path: ignore, source })
    }
}

/// A path as people want to see it: relative to here where it lies below.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

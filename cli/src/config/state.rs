use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where Tidemill keeps what it must remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateSection {
    /// The folder for the database, data sets between tasks, spilled memory and caches; relative paths start at the
    /// project's folder.
    pub dir: PathBuf,
    /// The database: `sqlite:PATH` or `postgres://…`. Unset: `state.db` in `dir`.
    pub url: Option<String>,
}

impl Default for StateSection {
    fn default() -> Self {
        Self { dir: PathBuf::from(".tidemill"), url: None }
    }
}

impl StateSection {
    /// The places below the state folder of a project.
    pub fn folders(&self, root: &Path) -> StateFolders {
        let dir = root.join(&self.dir);
        let url = match &self.url {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", dir.join("state.db").display()),
        };
        StateFolders {
            url,
            blobs: dir.join("blobs"),
            spill: dir.join("spill"),
            cache: dir.join("cache"),
            workers: dir.join("workers"),
            dir,
        }
    }
}

/// Where everything of the state lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolders {
    /// The folder itself.
    pub dir: PathBuf,
    /// The database's address.
    pub url: String,
    /// Data sets between tasks.
    pub blobs: PathBuf,
    /// What does not fit into memory.
    pub spill: PathBuf,
    /// What connections learned.
    pub cache: PathBuf,
    /// One locked file per living process.
    pub workers: PathBuf,
}

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where Tidemill keeps files that it must remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateSection {
    /// The folder for the database, data sets between tasks, spilled memory and caches; relative paths start at the
    /// project's folder. Processes on several machines share it.
    pub dir: PathBuf,
}

impl Default for StateSection {
    fn default() -> Self {
        Self { dir: PathBuf::from(".tidemill") }
    }
}

impl StateSection {
    /// The places below the state folder of a project.
    pub fn folders(&self, root: &Path) -> StateFolders {
        let dir = root.join(&self.dir);
        StateFolders {
            database: dir.join("state.db"),
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
    /// The database, where no other is named.
    pub database: PathBuf,
    /// Data sets between tasks, unless the settings say elsewhere.
    pub blobs: PathBuf,
    /// What does not fit into memory.
    pub spill: PathBuf,
    /// What connections learned.
    pub cache: PathBuf,
    /// One locked file per living process.
    pub workers: PathBuf,
}

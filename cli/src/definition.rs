//! Definitions as files: finding, reading and checking them.

use std::path::{Path, PathBuf};

use tidemill_api::Workbench;
use tidemill_api::definitions::Checked;
use tidemill_dag::diagnostic::Diagnostic;

use crate::error::{CliError, Findings};
use crate::project::{Project, shown};

/// File endings of definitions.
pub const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// What is meant by a file or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// A file.
    File(PathBuf),
    /// A pipeline that was applied.
    Stored(String),
}

/// A file, or a pipeline by its name: in `pipelines/`, or one that was applied.
pub fn meant(project: &Project, what: &str) -> Meant {
    let path = PathBuf::from(what);
    if path.is_file() || what.contains(std::path::MAIN_SEPARATOR) || ends_like_one(&path) {
        let inside = project.root.join(&path);
        return Meant::File(if !path.is_file() && inside.is_file() { inside } else { path });
    }
    let candidates = ENDINGS.map(|ending| project.pipelines().join(format!("{what}.{ending}")));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.map_or_else(|| Meant::Stored(what.to_owned()), Meant::File)
}

fn ends_like_one(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| ENDINGS.contains(&e))
}

/// All definitions that some paths stand for: files as they are, folders with what is directly in them.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let inside = in_folder(path).map_err(|source| CliError::ReadFile { path: path.clone(), source })?;
        if inside.is_empty() {
            return Err(CliError::NoDefinitions { path: path.clone() });
        }
        found.extend(inside);
    }
    Ok(found)
}

/// The definitions directly in a folder, sorted.
pub fn in_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    found.retain(|path| path.is_file() && ends_like_one(path));
    found.sort();
    Ok(found)
}

/// The bytes of a definition; of a huge file only so much that it is seen to be too large.
pub fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    use std::io::Read as _;
    let limit = u64::try_from(tidemill_dag::compile::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| CliError::ReadFile { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// Reads and proves the definition in a file.
pub async fn check(workbench: &Workbench, path: &Path) -> Result<Checked, CliError> {
    let bytes = bytes(path)?;
    workbench.check(&bytes).await.map_err(|list| CliError::Definitions(vec![findings(path, &bytes, list)]))
}

/// Findings about a file.
pub fn findings(path: &Path, bytes: &[u8], list: Vec<Diagnostic>) -> Findings {
    Findings { file: shown(path), text: String::from_utf8_lossy(bytes).into_owned(), list }
}

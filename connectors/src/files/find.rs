//! Which files a table is made of.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::{
    config::{Compression, Format, TableConfig},
    manifest::{MANIFEST, Manifest},
    publish::is_part,
};
use crate::ConnectorError;

/// One data file, as it was when it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// How people know it.
    pub shown: String,
    /// Its format.
    pub format: Format,
    /// Its compression.
    pub compression: Compression,
    /// Bytes as stored.
    pub size: u64,
    /// Nanoseconds since 1970 of its last change.
    pub modified: u64,
}

/// What a table is made of.
#[derive(Debug, Clone)]
pub enum Found {
    /// Files that somebody put there.
    Files(Vec<DataFile>),
    /// Files that loads wrote.
    Loaded {
        /// The table's folder.
        folder: PathBuf,
        /// How people know the folder.
        shown: String,
        /// What is visible.
        manifest: Manifest,
    },
}

/// A folder with tables in it.
#[derive(Debug, Clone)]
pub struct Root {
    /// Where it is.
    pub path: PathBuf,
    /// How people know it.
    pub shown: String,
}

impl Root {
    /// A path as people know it.
    pub fn shown(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.path).unwrap_or(path);
        Path::new(&self.shown).join(below).display().to_string()
    }

    fn unreadable(&self, path: &Path) -> impl FnOnce(io::Error) -> ConnectorError {
        let path = PathBuf::from(self.shown(path));
        move |source| ConnectorError::Unreadable { path, source }
    }

    /// Tables by name with the files or folders they come from; more than one is an error once it is used.
    pub fn tables(&self) -> Result<BTreeMap<String, Vec<PathBuf>>, ConnectorError> {
        let mut tables: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for path in self.entries(&self.path)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.is_dir() {
                if path.join(MANIFEST).is_file() || !self.data_files(&path)?.is_empty() {
                    tables.entry(name.to_owned()).or_default().push(path);
                }
            } else if ending(name).is_some() {
                tables.entry(stem(name).to_owned()).or_default().push(path);
            }
        }
        Ok(tables)
    }

    /// What is in a folder, sorted, without hidden names; a folder that is not there is empty.
    fn entries(&self, folder: &Path) -> Result<Vec<PathBuf>, ConnectorError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.unreadable(folder)(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry.map_err(self.unreadable(folder))?;
            let name = entry.file_name();
            if !name.as_encoded_bytes().starts_with(b".") && !name.as_encoded_bytes().starts_with(b"_") {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn data_files(&self, folder: &Path) -> Result<Vec<PathBuf>, ConnectorError> {
        let is_data = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            // A part that no manifest names is not visible, whoever left it.
            name.is_some_and(|name| ending(name).is_some() && !is_part(name)) && path.is_file()
        };
        Ok(self.entries(folder)?.into_iter().filter(is_data).collect())
    }

    /// A table that no one described: found by its name.
    pub fn by_name(&self, table: &str, config: &TableConfig) -> Result<Option<Found>, ConnectorError> {
        let mut tables = self.tables()?;
        let Some(mut paths) = tables.remove(table) else { return Ok(None) };
        if paths.len() > 1 {
            let names: Vec<_> = paths.iter().map(|path| self.shown(path)).collect();
            let problem =
                format!("{} all have the name of table `{table}`; say which is meant under `tables`", names.join(", "));
            return Err(ConnectorError::Columns { file: self.shown.clone(), problem });
        }
        paths.pop().map(|path| self.at(&path, config)).transpose()
    }

    /// A table whose path or pattern is given.
    pub fn by_path(&self, pattern: &str, config: &TableConfig) -> Result<Found, ConnectorError> {
        let whole = self.path.join(pattern);
        if !pattern.contains(['*', '?', '[']) {
            return self.at(&whole, config);
        }
        let unusable = |problem: String| ConnectorError::Columns { file: self.shown(&whole), problem };
        let text = format!("{}/{pattern}", glob::Pattern::escape(&self.path.to_string_lossy()));
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
        let matches =
            glob::glob_with(&text, options).map_err(|error| unusable(format!("not a usable pattern: {error}")))?;
        let mut paths = Vec::new();
        for path in matches {
            let path = path.map_err(|error| {
                let path = error.path().to_owned();
                self.unreadable(&path)(error.into())
            })?;
            if path.is_file() {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return Err(unusable("no file matches this pattern".into()));
        }
        paths.sort();
        self.files(&paths, config).map(Found::Files)
    }

    fn at(&self, path: &Path, config: &TableConfig) -> Result<Found, ConnectorError> {
        let meta = fs::metadata(path).map_err(self.unreadable(path))?;
        if !meta.is_dir() {
            return self.files(&[path.to_owned()], config).map(Found::Files);
        }
        if let Some(manifest) = Manifest::read(path)? {
            return Ok(Found::Loaded { folder: path.to_owned(), shown: self.shown(path), manifest });
        }
        let paths = self.data_files(path)?;
        if paths.is_empty() {
            let problem = "there is no CSV, JSON lines or Parquet file in this folder".into();
            return Err(ConnectorError::Columns { file: self.shown(path), problem });
        }
        self.files(&paths, config).map(Found::Files)
    }

    fn files(&self, paths: &[PathBuf], config: &TableConfig) -> Result<Vec<DataFile>, ConnectorError> {
        let files =
            paths.iter().map(|path| data_file(path, self.shown(path), config)).collect::<Result<Vec<_>, _>>()?;
        match files.iter().find(|file| file.format != files[0].format) {
            None => Ok(files),
            Some(other) => {
                let problem = format!("it has another format than {}; one table has one format", files[0].shown);
                Err(ConnectorError::Columns { file: other.shown.clone(), problem })
            }
        }
    }
}

/// Looks at one file.
pub fn data_file(path: &Path, shown: String, config: &TableConfig) -> Result<DataFile, ConnectorError> {
    let meta =
        fs::metadata(path).map_err(|source| ConnectorError::Unreadable { path: shown.clone().into(), source })?;
    let (format, compression) = kind_of(&shown, config)?;
    let modified = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| since.as_nanos() as u64);
    Ok(DataFile { path: path.to_owned(), shown, format, compression, size: meta.len(), modified })
}

/// Format and compression, from the settings or else from the name.
pub fn kind_of(name: &str, config: &TableConfig) -> Result<(Format, Compression), ConnectorError> {
    let by_name = ending(name);
    let compression = config.compression.or(by_name.map(|(_, compression)| compression));
    match config.format.or(by_name.map(|(format, _)| format)) {
        Some(Format::Parquet) => Ok((Format::Parquet, Compression::None)),
        Some(format) => Ok((format, compression.unwrap_or_else(|| compression_of(name).1))),
        None => Err(ConnectorError::Columns {
            file: name.to_owned(),
            problem: "its format cannot be seen from its name; set `format` for the table".into(),
        }),
    }
}

fn compression_of(name: &str) -> (&str, Compression) {
    for (suffix, compression) in [
        (".gz", Compression::Gz),
        (".gzip", Compression::Gz),
        (".zst", Compression::Zstd),
        (".zstd", Compression::Zstd),
    ] {
        if let Some(rest) = name.strip_suffix(suffix) {
            return (rest, compression);
        }
    }
    (name, Compression::None)
}

/// What the ending of a name says.
fn ending(name: &str) -> Option<(Format, Compression)> {
    let (plain, compression) = compression_of(name);
    let (_, ending) = plain.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "csv" | "tsv" => Some((Format::Csv, compression)),
        "jsonl" | "ndjson" | "json" => Some((Format::Json, compression)),
        "parquet" | "pq" if compression == Compression::None => Some((Format::Parquet, compression)),
        _ => None,
    }
}

/// The name without its endings.
fn stem(name: &str) -> &str {
    let (plain, _) = compression_of(name);
    plain.rsplit_once('.').map_or(plain, |(stem, _)| stem)
}

/// Whether a name's ending says tab-separated.
pub fn is_tsv(name: &str) -> bool {
    compression_of(name).0.to_ascii_lowercase().ends_with(".tsv")
}

//! What can be set for a file connection and for one of its tables.

use encoding_rs::Encoding;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};
use tidemill_dag::time::Span;

use super::csv::Dialect;

/// Settings of a `files` connection. Every setting of a table may also stand here; it then holds for all tables
/// that do not say otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct FilesConfig {
    /// A folder (relative to the project), or an http(s) address that table paths are appended to.
    pub path: String,
    /// Tables by name. In a folder, data files and sub-folders that are not named here are tables too.
    pub tables: IndexMap<String, TableConfig>,
    /// What holds for all tables.
    pub defaults: TableConfig,
    /// Limits on transfers.
    pub transfer: Transfer,
}

/// Limits on transfers over http(s).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transfer {
    /// Longest time one file may take.
    pub timeout: Span,
    /// Longest time without a byte.
    pub idle_timeout: Span,
    /// Largest file, in bytes as sent.
    pub max_bytes: u64,
    /// Most redirects that are followed.
    pub max_redirects: usize,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { timeout: Span::seconds(3_600), idle_timeout: Span::seconds(30), max_bytes: 64 << 30, max_redirects: 5 }
    }
}

/// Settings of one table.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// A file, a folder or a pattern such as `2013/*.csv.gz`, relative to the connection's path.
    pub path: Option<String>,
    /// The format; taken from the file's ending if unset. For loads: the format that is written (Parquet if unset).
    pub format: Option<Format>,
    /// The compression; taken from the file's ending if unset. For loads of CSV and JSON lines: none if unset.
    pub compression: Option<Compression>,
    /// CSV: the character between fields (`,` if unset; tab for files that end in `.tsv`).
    pub delimiter: Option<char>,
    /// CSV: whether the first row names the columns (true if unset).
    pub header: Option<bool>,
    /// CSV: the character around fields (`"` if unset); empty for none.
    pub quote: Option<String>,
    /// CSV: texts that mean "no value", beyond the empty field, which always does.
    pub null_values: Option<Vec<String>>,
    /// The encoding by its name on the web, as in `windows-1252` or `utf-16le` (UTF-8 if unset).
    pub encoding: Option<String>,
    /// All columns with their types, in the order of the file. Without it, types are concluded from all values.
    pub columns: Option<IndexMap<String, String>>,
}

impl TableConfig {
    /// These settings, and where they say nothing, those of `defaults`.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        let (own, other) = (self.clone(), defaults.clone());
        Self {
            path: own.path.or(other.path),
            format: own.format.or(other.format),
            compression: own.compression.or(other.compression),
            delimiter: own.delimiter.or(other.delimiter),
            header: own.header.or(other.header),
            quote: own.quote.or(other.quote),
            null_values: own.null_values.or(other.null_values),
            encoding: own.encoding.or(other.encoding),
            columns: own.columns.or(other.columns),
        }
    }

    /// How text files are to be read; the error says which setting cannot be used.
    pub fn text_options(&self, tabs: bool) -> Result<TextOptions, String> {
        let single = |what: &str, mark: char| {
            let usable = mark.is_ascii() && !matches!(mark, '\n' | '\r');
            if usable { Ok(mark as u8) } else { Err(format!("`{what}` must be one ASCII character, not `{mark}`")) }
        };
        let delimiter = single("delimiter", self.delimiter.unwrap_or(if tabs { '\t' } else { ',' }))?;
        let quote = match self.quote.as_deref().unwrap_or("\"").chars().collect::<Vec<_>>().as_slice() {
            [] => None,
            [mark] => Some(single("quote", *mark)?),
            _ => return Err("`quote` must be one character, or empty for none".into()),
        };
        if quote == Some(delimiter) {
            return Err("`quote` and `delimiter` are the same".into());
        }
        let encoding = match self.encoding.as_deref() {
            None => None,
            Some(label) => {
                let found = Encoding::for_label(label.as_bytes());
                Some(found.ok_or_else(|| format!("`encoding: {label}` is not known; names are as in `windows-1252`"))?)
            }
        };
        let nulls = self.null_values.clone().unwrap_or_default().into_iter().filter(|text| !text.is_empty()).collect();
        let encoding = encoding.filter(|encoding| *encoding != encoding_rs::UTF_8);
        Ok(TextOptions { dialect: Dialect { delimiter, quote, nulls }, header: self.header.unwrap_or(true), encoding })
    }
}

/// How a table's text files are to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct TextOptions {
    /// Delimiter, quotes, nulls.
    pub dialect: Dialect,
    /// Whether the first row names the columns.
    pub header: bool,
    /// The declared encoding; UTF-8 if unset.
    pub encoding: Option<&'static Encoding>,
}

impl Default for TextOptions {
    /// What loads write.
    fn default() -> Self {
        Self {
            dialect: Dialect { delimiter: b',', quote: Some(b'"'), nulls: Vec::new() },
            header: true,
            encoding: None,
        }
    }
}

/// File formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Fields between delimiters, one row per line (quoted fields may span lines).
    Csv,
    /// One JSON object per line.
    #[serde(alias = "jsonl", alias = "ndjson")]
    Json,
    /// Parquet.
    Parquet,
}

/// Compressions of whole files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As it is.
    None,
    /// gzip.
    #[serde(alias = "gzip")]
    Gz,
    /// Zstandard.
    #[serde(alias = "zst")]
    Zstd,
}

impl TryFrom<Map<String, Value>> for FilesConfig {
    type Error = String;

    fn try_from(mut map: Map<String, Value>) -> Result<Self, String> {
        fn part<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> Result<T, String> {
            serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))
        }
        let path = map.remove("path").ok_or("`path` is missing: a folder or an http(s) address")?;
        let tables = map.remove("tables").map_or(Ok(IndexMap::new()), |value| part("tables", value))?;
        let transfer = map.remove("transfer").map_or(Ok(Transfer::default()), |value| part("transfer", value))?;
        if map.contains_key("columns") {
            return Err("`columns` belongs to a table, under `tables`".into());
        }
        let defaults = serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())?;
        Ok(Self { path: part("path", path)?, tables, defaults, transfer })
    }
}

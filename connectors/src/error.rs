//! Everything that can go wrong with users' data, one variant per cause.

use std::{error::Error as StdError, io, path::PathBuf};

use tidemill_dag::{codes::tm06, diagnostic::chain};

/// Any failure of a connector. Display does not print the source.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields say what they are; each variant is explained")]
pub enum ConnectorError {
    /// The connection has no table of that name.
    #[error("connection `{connection}` has no table `{table}`")]
    UnknownTable { connection: String, table: String, known: Vec<String> },
    /// A setting of the connection cannot be used.
    #[error("connection `{connection}`: {problem}")]
    Config { connection: String, problem: String, advice: String },
    /// A file or folder could not be read.
    #[error("cannot read {path}")]
    Unreadable { path: PathBuf, source: io::Error },
    /// Bytes are not in the encoding they should be in.
    #[error("{place}: not valid {encoding}{detail}")]
    Encoding { place: FilePlace, encoding: String, detail: String, advice: String },
    /// A row has more or fewer fields than the header.
    #[error("{place}: the row has {found} fields, the header has {expected}")]
    Ragged { place: FilePlace, found: usize, expected: usize },
    /// The file's syntax is broken at this place.
    #[error("{place}: {problem}")]
    Malformed { place: FilePlace, problem: String },
    /// The header cannot be used.
    #[error("{file}: {problem}")]
    Header { file: String, problem: String },
    /// There is nothing in the file, not even a header.
    #[error("{file} is empty: there is no header that would name columns")]
    Empty { file: String },
    /// A value does not fit the type of its column.
    #[error("{place}, column `{column}`: `{value}` is not {expected}")]
    Value { place: FilePlace, column: String, value: String, expected: String },
    /// A file's columns are not those that are declared, or those of its sister files.
    #[error("{file}: {problem}")]
    Columns { file: String, problem: String },
    /// A scan or predicate names a column that the table does not have.
    #[error("table `{table}` has no column `{column}`")]
    UnknownColumn { table: String, column: String, known: Vec<String> },
    /// A server answered with a status that is no success.
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    /// A server could not be reached, or the transfer broke off.
    #[error("the transfer of {url} failed")]
    Transfer { url: String, source: Box<dyn StdError + Send + Sync> },
    /// A transfer took too long.
    #[error("the transfer of {url} took longer than {seconds} s")]
    TooSlow { url: String, seconds: u64 },
    /// A file is larger than allowed.
    #[error("{url} is larger than the limit of {limit} bytes")]
    TooLarge { url: String, limit: u64 },
    /// A server sends from one address to the next without end, or away from http(s).
    #[error("{url} redirects more than {limit} times or to an address that is not allowed")]
    Redirects { url: String, limit: usize },
    /// The connector does not load that way.
    #[error("`{mode}` is not possible for {kind} (table `{table}`)")]
    Mode { kind: &'static str, mode: &'static str, table: String, advice: String },
    /// A table name that must not become a path.
    #[error("`{table}` cannot be the name of a table: {problem}")]
    TableName { table: String, problem: String },
    /// The columns of a load do not fit the table under its contract.
    #[error("the rows do not fit table `{table}` (contract {contract}): {problem}")]
    Drift { table: String, contract: &'static str, problem: String },
    /// The guard refused: another attempt owns the task now, or it was cancelled.
    #[error("load {load} of table `{table}` was not published: this attempt is no longer the current one")]
    NotCurrent { table: String, load: String },
    /// A later attempt of the same load has been here.
    #[error("load {load} of table `{table}`, attempt {fence}, was overtaken by attempt {newer}")]
    Fenced { table: String, load: String, fence: u32, newer: u32 },
    /// Somebody else holds the table's lock for too long.
    #[error("table `{table}` is locked by another writer for more than {seconds} s")]
    Busy { table: String, seconds: u64 },
    /// A loaded table's manifest cannot be understood.
    #[error("{path} is not a manifest that this version understands: {problem}")]
    Manifest { path: PathBuf, problem: String },
    /// Writing failed.
    #[error("cannot write {path}")]
    Unwritable { path: PathBuf, source: io::Error },
    /// A type has no place in the file format.
    #[error("column `{column}`: type {data_type} cannot be written as {format}")]
    UnsupportedType { column: String, data_type: String, format: &'static str },
    /// A word that names no column type.
    #[error("`{text}` is not a column type: {problem}")]
    TypeText { text: String, problem: String },
    /// The rows to be loaded could not be produced.
    #[error("the rows to load could not be produced")]
    Rows { source: Box<dyn StdError + Send + Sync> },
    /// A Parquet file is damaged, or uses something unknown.
    #[error("{file} is not a Parquet file that can be read")]
    Parquet { file: String, source: Box<dyn StdError + Send + Sync> },
    /// Arrow refused a batch: a fault in a connector, not in the data.
    #[error("{doing} failed")]
    Arrow { doing: String, source: arrow::error::ArrowError },
    /// A thread of ours ended early: a fault in a connector, or the process is going down.
    #[error("{doing} was cut short")]
    CutShort { doing: String },
}

/// A place in a data file: lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePlace {
    /// The file as the user knows it: relative to the connection's folder, or its address.
    pub file: String,
    /// The line, or 0 where the file has none.
    pub line: u64,
}

impl std::fmt::Display for FilePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Trying again may help, without anybody doing anything.
    Retry,
    /// Somebody has to change data, settings or the machine first.
    Person,
    /// It is right as it is: this attempt must not go on.
    Stop,
}

impl ConnectorError {
    /// The public code; each has a page in `docs/errors/`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownTable { .. } => tm06::UNKNOWN_TABLE,
            Self::Config { .. } => tm06::BAD_SETTING,
            Self::Unreadable { .. } => tm06::UNREADABLE,
            Self::Encoding { .. } => tm06::ENCODING,
            Self::Ragged { .. } => tm06::RAGGED,
            Self::Malformed { .. } => tm06::MALFORMED,
            Self::Header { .. } => tm06::HEADER,
            Self::Empty { .. } => tm06::EMPTY,
            Self::Value { .. } => tm06::BAD_VALUE,
            Self::Columns { .. } => tm06::OTHER_COLUMNS,
            Self::UnknownColumn { .. } => tm06::NO_SUCH_COLUMN,
            Self::Status { .. } => tm06::HTTP_STATUS,
            Self::Transfer { .. } => tm06::TRANSFER,
            Self::TooSlow { .. } => tm06::TOO_SLOW,
            Self::TooLarge { .. } => tm06::TOO_LARGE,
            Self::Redirects { .. } => tm06::REDIRECTS,
            Self::Mode { .. } => tm06::LOAD_MODE,
            Self::TableName { .. } => tm06::TABLE_NAME,
            Self::Drift { .. } => tm06::DRIFT,
            Self::NotCurrent { .. } => tm06::NOT_CURRENT,
            Self::Fenced { .. } => tm06::OVERTAKEN,
            Self::Busy { .. } => tm06::BUSY,
            Self::Manifest { .. } => tm06::MANIFEST,
            Self::Unwritable { .. } => tm06::UNWRITABLE,
            Self::UnsupportedType { .. } => tm06::UNSUPPORTED_TYPE,
            Self::TypeText { .. } => tm06::TYPE_WORD,
            Self::Rows { .. } => tm06::ROWS_FAILED,
            Self::Parquet { .. } => tm06::PARQUET,
            Self::Arrow { .. } => tm06::MISFIT,
            Self::CutShort { .. } => tm06::CUT_SHORT,
        }
    }

    /// Whether trying again may help.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Status { status, .. } => {
                if matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504) {
                    Remedy::Retry
                } else {
                    Remedy::Person
                }
            }
            Self::Transfer { .. }
            | Self::TooSlow { .. }
            | Self::Busy { .. }
            | Self::Rows { .. }
            | Self::CutShort { .. }
            | Self::Unwritable { .. } => Remedy::Retry,
            Self::NotCurrent { .. } | Self::Fenced { .. } => Remedy::Stop,
            Self::UnknownTable { .. }
            | Self::Config { .. }
            | Self::Unreadable { .. }
            | Self::Encoding { .. }
            | Self::Ragged { .. }
            | Self::Malformed { .. }
            | Self::Header { .. }
            | Self::Empty { .. }
            | Self::Value { .. }
            | Self::Columns { .. }
            | Self::UnknownColumn { .. }
            | Self::TooLarge { .. }
            | Self::Redirects { .. }
            | Self::Mode { .. }
            | Self::TableName { .. }
            | Self::Drift { .. }
            | Self::Manifest { .. }
            | Self::UnsupportedType { .. }
            | Self::TypeText { .. }
            | Self::Parquet { .. }
            | Self::Arrow { .. } => Remedy::Person,
        }
    }

    /// Whether trying again may help without anybody doing anything.
    pub fn retryable(&self) -> bool {
        self.remedy() == Remedy::Retry
    }

    /// What to do about it, where more can be said than the message does.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownTable { known, .. } => Some(listing("tables", known)),
            Self::UnknownColumn { known, .. } => Some(listing("columns", known)),
            Self::Config { advice, .. } | Self::Encoding { advice, .. } | Self::Mode { advice, .. } => {
                Some(advice.clone())
            }
            Self::Ragged { .. } => Some(
                "repair the row, or set `delimiter` and `quote` of the table to what the file really uses".into(),
            ),
            Self::Value { .. } => Some(
                "repair the value, give the column a wider type under `columns`, or add the text to `null_values` if it \
                 means that there is no value"
                    .into(),
            ),
            Self::Columns { .. } => {
                Some("write the columns the file has now into the project with `tidemill schema`".into())
            }
            Self::Drift { .. } => {
                Some("change the query, or set `contract` of the load to what should happen".into())
            }
            Self::Status { status, .. } => Some(match status {
                401 | 403 => "the server wants credentials, or forbids it".into(),
                404 | 410 => "look at the address: there is nothing".into(),
                _ => "try again later, or ask who runs the server".into(),
            }),
            Self::Rows { source } => source.downcast_ref::<Self>().and_then(Self::help),
            Self::Unreadable { .. }
            | Self::Malformed { .. }
            | Self::Header { .. }
            | Self::Empty { .. }
            | Self::Transfer { .. }
            | Self::TooSlow { .. }
            | Self::TooLarge { .. }
            | Self::Redirects { .. }
            | Self::TableName { .. }
            | Self::NotCurrent { .. }
            | Self::Fenced { .. }
            | Self::Busy { .. }
            | Self::Manifest { .. }
            | Self::Unwritable { .. }
            | Self::UnsupportedType { .. }
            | Self::TypeText { .. }
            | Self::Parquet { .. }
            | Self::Arrow { .. }
            | Self::CutShort { .. } => None,
        }
    }

    /// The message with those of its sources, on one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

fn listing(what: &str, names: &[String]) -> String {
    const SHOWN: usize = 20;
    if names.is_empty() {
        return format!("it has no {what} at all");
    }
    let mut text = format!("its {what} are {}", names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "));
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

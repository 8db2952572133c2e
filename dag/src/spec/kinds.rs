//! What a task does: one variant per kind. String fields marked *template* may hold `{{ … }}`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Approval, Notify, RunPipeline, Wait};
use crate::time::Span;

/// Exactly one kind per task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Read a table of a connection.
    Extract(Extract),
    /// Transform by SQL.
    Sql(Sql),
    /// Write rows to a connection.
    Load(Load),
    /// Test rows before anything goes on.
    Check(Check),
    /// Ask a language model.
    Llm(serde_json::Value),
    /// Run Python.
    Python(Python),
    /// Run a program.
    Shell(Shell),
    /// Make an HTTP call.
    Http(Http),
    /// Wait for a time or a file; holds no slot.
    Wait(Wait),
    /// Wait for people to say yes; holds no slot.
    Approval(Approval),
    /// Run another pipeline.
    Run(RunPipeline),
    /// Tell somebody.
    Notify(Notify),
}

impl TaskKind {
    /// The word that names the kind in a definition.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Extract(_) => "extract",
            Self::Sql(_) => "sql",
            Self::Load(_) => "load",
            Self::Check(_) => "check",
            Self::Llm(_) => "llm",
            Self::Python(_) => "python",
            Self::Shell(_) => "shell",
            Self::Http(_) => "http",
            Self::Wait(_) => "wait",
            Self::Approval(_) => "approval",
            Self::Run(_) => "run",
            Self::Notify(_) => "notify",
        }
    }
}

/// Read a table of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extract {
    /// The connection's name.
    pub connection: String,
    /// The table, as the connection names it.
    pub table: String,
    /// Only these columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Only rows newer than the last successful run saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<Incremental>,
}

/// Only rows newer than the last successful run saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// The column that grows.
    pub cursor: String,
    /// Read this much again, for rows that came late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback: Option<Span>,
}

/// Transform by SQL. Written as the bare text, or as a map with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Sql {
    /// *Template.* One query.
    Text(String),
    /// The query with settings.
    Full {
        /// *Template.* One query.
        query: String,
        /// Send it whole to this connection instead of running it here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
    },
}

impl Sql {
    /// The query's text.
    pub fn query(&self) -> &str {
        match self {
            Self::Text(query) | Self::Full { query, .. } => query,
        }
    }
}

/// Write rows to a connection, idempotently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The task whose rows are written.
    pub input: String,
    /// The connection's name.
    pub connection: String,
    /// The table, as the connection names it.
    pub table: String,
    /// How rows meet those already there.
    #[serde(default)]
    pub mode: LoadMode,
    /// For `merge`: the columns that name a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// What happens when the columns changed.
    #[serde(default)]
    pub contract: Contract,
}

/// How loaded rows meet those already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// They come on top.
    Append,
    /// They take their place.
    #[default]
    Replace,
    /// Rows with the same key are replaced, others come on top.
    Merge,
}

/// What happens when a load's columns differ from the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// New columns are added, missing ones stay empty.
    #[default]
    Evolve,
    /// The load is refused.
    Strict,
    /// New columns are left out.
    Ignore,
}

/// Test rows before anything goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The task whose rows are tested.
    pub input: String,
    /// What must hold, each by itself.
    pub expect: Vec<Expectation>,
    /// What happens when it does not.
    #[serde(default)]
    pub on_fail: OnFail,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// No row has NULL in any of these columns.
    NotNull(Columns),
    /// No two rows have the same values in these columns together.
    Unique(Columns),
    /// Every value that is not NULL lies in the range, bounds included.
    Between(Between),
    /// Every value that is not NULL is one of these.
    AcceptedValues(AcceptedValues),
    /// Every value that is not NULL matches the pattern.
    Regex(RegexCheck),
    /// The number of rows lies in the range.
    RowCount(Range),
    /// The newest value is not older than this.
    Freshness(Freshness),
    /// Every value that is not NULL is found in a column of another task.
    References(References),
    /// *Template.* A query that returns the offending rows: none means that it holds.
    Sql(String),
}

impl Expectation {
    /// The word that names it in a definition.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotNull(_) => "not_null",
            Self::Unique(_) => "unique",
            Self::Between(_) => "between",
            Self::AcceptedValues(_) => "accepted_values",
            Self::Regex(_) => "regex",
            Self::RowCount(_) => "row_count",
            Self::Freshness(_) => "freshness",
            Self::References(_) => "references",
            Self::Sql(_) => "sql",
        }
    }
}

/// One column or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Columns {
    /// A single column.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Columns {
    /// The columns as a slice.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(column) => std::slice::from_ref(column),
            Self::Many(columns) => columns,
        }
    }
}

/// A range for one column. Bounds are numbers, or ISO 8601 text for dates and times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Between {
    pub column: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<serde_json::Value>,
}

/// A closed list for one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct AcceptedValues {
    pub column: String,
    pub values: Vec<serde_json::Value>,
}

/// A pattern for one column (crate `regex`: linear time, no look-around).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RegexCheck {
    pub column: String,
    pub pattern: String,
}

/// A range of counts, bounds included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Range {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// How old the newest value may be, measured against the run's data interval end or its start time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Freshness {
    pub column: String,
    pub max_age: Span,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct References {
    pub column: String,
    /// The task whose rows hold the known values.
    pub to: String,
    /// The column there; the same name if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_column: Option<String>,
}

/// What happens when a check does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// The task fails; nothing after it runs.
    #[default]
    Fail,
    /// It is noted; everything goes on.
    Warn,
    /// Offending rows are set aside; the check's own rows (those that pass) go on to its readers.
    Quarantine,
}

/// Run Python: a `script` file or inline `code` that defines `run(...)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Python {
    /// A file beside the definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The code itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The function to call.
    #[serde(default = "default_function")]
    pub function: String,
    /// Tasks whose rows it gets, by argument name (a list means argument names equal task names).
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, String>,
    /// *Templates.* Further arguments.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub args: IndexMap<String, serde_json::Value>,
    /// *Templates.* Environment variables for the time of the call; secrets as `${env:NAME}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub env: IndexMap<String, String>,
    /// Whether what it returns are rows (a data set) or a JSON value (`tasks.x.result`).
    #[serde(default)]
    pub returns: Returns,
    /// Limits on the process.
    #[serde(default)]
    pub limits: Limits,
}

fn default_function() -> String {
    "run".to_owned()
}

/// What a Python function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Returns {
    /// A JSON value, kept with the task.
    #[default]
    Value,
    /// Rows: a pyarrow table, or a list of dicts.
    Rows,
}

/// Limits on a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Address space in MiB (1024 if unset).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// Whether it may open network connections.
    pub network: bool,
}

/// Run a program. A list is run as it is; text is given to `/bin/sh -c` **without** templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// *Templates, in the list form only.* The program and its arguments.
    pub command: Command,
    /// *Templates.* Environment variables; this is how values reach a shell text. Secrets as `${env:NAME}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub env: IndexMap<String, String>,
    /// Limits on the process.
    #[serde(default)]
    pub limits: Limits,
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    /// For `/bin/sh -c`.
    Text(String),
    /// A program and its arguments; no shell.
    List(Vec<String>),
}

/// Make an HTTP call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// *Template.* Where to.
    pub url: String,
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// *Templates.* Headers; secrets as `${env:NAME}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// *Templates.* A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
    /// Status codes that mean success; 200 to 299 if unset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_status: Vec<u16>,
}

/// HTTP methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

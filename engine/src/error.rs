//! Everything that can go wrong between SQL text and rows, one variant per cause.

use std::{io, sync::Arc};

use datafusion::{
    arrow::error::ArrowError,
    common::{Column, DataFusionError, SchemaError},
};
use parquet::errors::ParquetError;
use tidemill_connectors::ConnectorError;
use tidemill_dag::codes::tm05;

use crate::name::nearest;

/// A place in the text of one query: line and column from 1, column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SqlPlace {
    /// Line of the query's text.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields say what they are; each variant is explained")]
pub enum EngineError {
    /// The engine could not be started.
    #[error("the engine cannot start: {problem}")]
    Start { problem: String },
    /// A relation's name has a form that SQL cannot mention.
    #[error("`{name}` cannot name a relation: {problem}")]
    RelationName { name: String, problem: &'static str },
    /// The SQL mentions a relation that the session does not have.
    #[error("`{name}` is neither a task nor a table that can be read here")]
    UnknownRelation { name: String, near: Option<String>, place: Option<SqlPlace> },
    /// The SQL mentions a column that none of its relations has.
    #[error("there is no column `{column}`")]
    UnknownColumn { column: String, near: Option<String>, known: Vec<String>, place: Option<SqlPlace> },
    /// A column's name fits more than one relation.
    #[error("`{column}` is ambiguous: more than one relation has such a column")]
    AmbiguousColumn { column: String, place: Option<SqlPlace> },
    /// A function that does not exist.
    #[error("there is no function `{name}`")]
    UnknownFunction { name: String, near: Option<String>, place: Option<SqlPlace> },
    /// Two columns of a result have one name.
    #[error("two columns of the result are called `{column}`")]
    DuplicateColumn { column: String },
    /// Operands, arguments or clauses do not fit together.
    #[error("{message}")]
    Types { message: String, place: Option<SqlPlace> },
    /// The text is not SQL.
    #[error("the SQL is not understood: {message}")]
    Syntax { message: String, place: Option<SqlPlace> },
    /// The text is SQL but not exactly one query.
    #[error("only one query is allowed here, not {found}")]
    NotAQuery { found: String },
    /// Valid SQL that the engine does not do.
    #[error("not supported: {message}")]
    Unsupported { message: String, place: Option<SqlPlace> },
    /// A whole number left the range of its type.
    #[error("a number is out of range: {message}")]
    Overflow { message: String },
    /// The memory limit was reached where spilling was not possible.
    #[error("the memory limit is reached by {consumer}: {message}")]
    Memory { consumer: String, message: String },
    /// The folder for spilled rows is full.
    #[error("the space for spilled rows is used up: {message}")]
    SpillSpace { message: String },
    /// A value could not be computed.
    #[error("{message}")]
    Execution { message: String },
    /// A source could not be read.
    #[error("a source could not be read")]
    Source { source: Arc<ConnectorError> },
    /// A data set could not be read.
    #[error("data set file {path} cannot be read: {problem}")]
    DatasetRead { path: String, problem: String },
    /// A data set could not be written.
    #[error("data set file {path} cannot be written: {problem}")]
    DatasetWrite { path: String, problem: String },
    /// A column's type cannot be kept in a data set.
    #[error("column `{column}`: type {data_type} cannot be kept in a data set")]
    Unstorable { column: String, data_type: String },
    /// A manifest is not what this version wrote.
    #[error("a manifest is not understood: {problem}")]
    Manifest { problem: String },
    /// An expectation cannot be applied to its column.
    #[error("`{expectation}` cannot be applied to column `{column}`: {problem}")]
    Expectation { expectation: &'static str, column: String, problem: String },
    /// The work was stopped from outside, or its thread died.
    #[error("the work was stopped: {problem}")]
    Stopped { problem: String },
}

impl EngineError {
    /// The public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Start { .. } => tm05::START,
            Self::RelationName { .. } => tm05::RELATION_NAME,
            Self::UnknownRelation { .. } => tm05::UNKNOWN_RELATION,
            Self::UnknownColumn { .. } => tm05::UNKNOWN_COLUMN,
            Self::AmbiguousColumn { .. } => tm05::AMBIGUOUS_COLUMN,
            Self::UnknownFunction { .. } => tm05::UNKNOWN_FUNCTION,
            Self::DuplicateColumn { .. } => tm05::DUPLICATE_COLUMN,
            Self::Types { .. } => tm05::TYPES,
            Self::Syntax { .. } => tm05::SYNTAX,
            Self::NotAQuery { .. } => tm05::NOT_A_QUERY,
            Self::Unsupported { .. } => tm05::UNSUPPORTED,
            Self::Overflow { .. } => tm05::OVERFLOW,
            Self::Memory { .. } => tm05::MEMORY,
            Self::SpillSpace { .. } => tm05::SPILL_SPACE,
            Self::Execution { .. } => tm05::EXECUTION,
            Self::Source { source } => source.code(),
            Self::DatasetRead { .. } => tm05::DATASET_READ,
            Self::DatasetWrite { .. } => tm05::DATASET_WRITE,
            Self::Unstorable { .. } => tm05::UNSTORABLE,
            Self::Manifest { .. } => tm05::MANIFEST,
            Self::Expectation { .. } => tm05::EXPECTATION,
            Self::Stopped { .. } => tm05::STOPPED,
        }
    }

    /// Where in the query's text, if that is known.
    pub fn place(&self) -> Option<SqlPlace> {
        match self {
            Self::UnknownRelation { place, .. }
            | Self::UnknownColumn { place, .. }
            | Self::AmbiguousColumn { place, .. }
            | Self::UnknownFunction { place, .. }
            | Self::Types { place, .. }
            | Self::Syntax { place, .. }
            | Self::Unsupported { place, .. } => *place,
            Self::Start { .. }
            | Self::RelationName { .. }
            | Self::DuplicateColumn { .. }
            | Self::NotAQuery { .. }
            | Self::Overflow { .. }
            | Self::Memory { .. }
            | Self::SpillSpace { .. }
            | Self::Execution { .. }
            | Self::Source { .. }
            | Self::DatasetRead { .. }
            | Self::DatasetWrite { .. }
            | Self::Unstorable { .. }
            | Self::Manifest { .. }
            | Self::Expectation { .. }
            | Self::Stopped { .. } => None,
        }
    }

    /// Whether the same work may go well when it is tried again.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Source { source } => source.retryable(),
            Self::Memory { .. }
            | Self::SpillSpace { .. }
            | Self::DatasetRead { .. }
            | Self::DatasetWrite { .. }
            | Self::Stopped { .. } => true,
            Self::Start { .. }
            | Self::RelationName { .. }
            | Self::UnknownRelation { .. }
            | Self::UnknownColumn { .. }
            | Self::AmbiguousColumn { .. }
            | Self::UnknownFunction { .. }
            | Self::DuplicateColumn { .. }
            | Self::Types { .. }
            | Self::Syntax { .. }
            | Self::NotAQuery { .. }
            | Self::Unsupported { .. }
            | Self::Overflow { .. }
            | Self::Execution { .. }
            | Self::Unstorable { .. }
            | Self::Manifest { .. }
            | Self::Expectation { .. } => false,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownRelation { near, .. } | Self::UnknownFunction { near, .. } => {
                near.as_deref().map(did_you_mean)
            }
            Self::UnknownColumn { near, known, .. } => match near {
                Some(near) => Some(did_you_mean(near)),
                None if known.is_empty() => None,
                None => Some(format!("there are: {}", list(known))),
            },
            Self::AmbiguousColumn { column, .. } => {
                Some(format!("write the relation in front, as in `orders.{column}`"))
            }
            Self::DuplicateColumn { column } => {
                Some(format!("give one of them another name, as in `… AS other_{column}`"))
            }
            Self::Overflow { .. } => {
                Some("cast to a wider type first, as in `CAST(x AS DECIMAL(38, 0))` or `CAST(x AS DOUBLE)`".to_owned())
            }
            Self::Memory { .. } => Some(
                "give the engine more memory, read fewer columns or rows, or join and window smaller parts".to_owned(),
            ),
            Self::SpillSpace { .. } => Some("free space in the spill folder, or raise its limit".to_owned()),
            Self::Unstorable { column, .. } => Some(format!("cast `{column}` to a type with fixed units, or to text")),
            Self::NotAQuery { .. } => Some("write one SELECT; loading and deleting is what `load` tasks do".to_owned()),
            Self::Source { source } => source.help(),
            Self::Start { .. }
            | Self::RelationName { .. }
            | Self::Types { .. }
            | Self::Syntax { .. }
            | Self::Unsupported { .. }
            | Self::Execution { .. }
            | Self::DatasetRead { .. }
            | Self::DatasetWrite { .. }
            | Self::Manifest { .. }
            | Self::Expectation { .. }
            | Self::Stopped { .. } => None,
        }
    }

    pub(crate) fn dataset_read(path: &str, error: &io::Error) -> Self {
        Self::DatasetRead { path: path.to_owned(), problem: with_root(error) }
    }

    pub(crate) fn dataset_write(path: &str, error: &dyn std::error::Error) -> Self {
        Self::DatasetWrite { path: path.to_owned(), problem: with_root(error) }
    }
}

/// An error with what caused it in the end: only that tells a full disk from a forbidden one.
fn with_root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    let (text, root) = (error.to_string(), root.to_string());
    if text.contains(&root) { text } else { format!("{text}: {root}") }
}

fn did_you_mean(near: impl AsRef<str>) -> String {
    format!("did you mean `{}`?", near.as_ref())
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// Our own errors on their way through DataFusion, which may hand one error to several readers.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Inner {
    #[error("a source could not be read")]
    Source(#[source] Arc<ConnectorError>),
    #[error("{0}")]
    Dataset(#[source] Arc<EngineError>),
}

pub(crate) fn source_failed(error: ConnectorError) -> DataFusionError {
    DataFusionError::External(Box::new(Inner::Source(Arc::new(error))))
}

impl From<ConnectorError> for EngineError {
    fn from(error: ConnectorError) -> Self {
        // Rows that came from this engine carry its own error inside.
        match error {
            ConnectorError::Rows { source } => match source.downcast::<Self>() {
                Ok(own) => *own,
                Err(source) => Self::Source { source: Arc::new(ConnectorError::Rows { source }) },
            },
            other => Self::Source { source: Arc::new(other) },
        }
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        translate(&error, None)
    }
}

impl From<ArrowError> for EngineError {
    fn from(error: ArrowError) -> Self {
        translate(&DataFusionError::from(error), None)
    }
}

fn span_of(error: &DataFusionError) -> Option<SqlPlace> {
    let span = error.diagnostic()?.span?;
    let line = u32::try_from(span.start.line).ok()?;
    let column = u32::try_from(span.start.column).ok()?;
    (line > 0).then_some(SqlPlace { line, column })
}

fn translate(error: &DataFusionError, outer: Option<SqlPlace>) -> EngineError {
    let place = span_of(error).or(outer);
    match error {
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => translate(inner, place),
        DataFusionError::Shared(inner) => translate(inner, place),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => translate(first, place),
            None => EngineError::Execution { message: "the query failed".to_owned() },
        },
        DataFusionError::External(inner) => external(inner.as_ref()),
        DataFusionError::ArrowError(arrow, _) => from_arrow(arrow),
        DataFusionError::SchemaError(schema, _) => from_schema(schema, place),
        DataFusionError::SQL(parser, _) => syntax(&parser.to_string(), place),
        DataFusionError::Plan(message) | DataFusionError::Configuration(message) => from_plan(message, place),
        DataFusionError::NotImplemented(message) => EngineError::Unsupported { message: tidy(message), place },
        DataFusionError::ResourcesExhausted(message) => exhausted(message),
        DataFusionError::ParquetError(inner) => match inner.as_ref() {
            ParquetError::External(source) => external(source.as_ref()),
            other => EngineError::Execution { message: tidy(&other.to_string()) },
        },
        DataFusionError::IoError(inner) => execution(&inner.to_string()),
        DataFusionError::ExecutionJoin(inner) => EngineError::Stopped { problem: inner.to_string() },
        DataFusionError::Execution(message)
        | DataFusionError::Internal(message)
        | DataFusionError::Substrait(message)
        | DataFusionError::Ffi(message) => execution(message),
        other => EngineError::Execution { message: tidy(&other.to_string()) },
    }
}

fn external(error: &(dyn std::error::Error + Send + Sync + 'static)) -> EngineError {
    if let Some(inner) = error.downcast_ref::<Inner>() {
        return match inner {
            Inner::Source(source) => EngineError::Source { source: Arc::clone(source) },
            Inner::Dataset(own) => match own.as_ref() {
                EngineError::DatasetRead { path, problem } => {
                    EngineError::DatasetRead { path: path.clone(), problem: problem.clone() }
                }
                EngineError::Overflow { message } => EngineError::Overflow { message: message.clone() },
                other => EngineError::Execution { message: other.to_string() },
            },
        };
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return translate(inner, None);
    }
    if let Some(inner) = error.downcast_ref::<ArrowError>() {
        return from_arrow(inner);
    }
    EngineError::Execution { message: error.to_string() }
}

fn from_arrow(error: &ArrowError) -> EngineError {
    match error {
        ArrowError::ExternalError(inner) => external(inner.as_ref()),
        ArrowError::ArithmeticOverflow(message) => EngineError::Overflow { message: message.clone() },
        other => execution(&other.to_string()),
    }
}

fn from_schema(error: &SchemaError, place: Option<SqlPlace>) -> EngineError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields, place),
        // A reference comes without its relation; with one, it is a result that has the name twice.
        SchemaError::AmbiguousReference { field } if field.relation.is_some() => {
            EngineError::DuplicateColumn { column: field.name.clone() }
        }
        SchemaError::AmbiguousReference { field } => EngineError::AmbiguousColumn { column: field.name.clone(), place },
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            EngineError::DuplicateColumn { column: name.clone() }
        }
    }
}

fn unknown_column(field: &Column, valid: &[Column], place: Option<SqlPlace>) -> EngineError {
    let near = match &field.relation {
        Some(relation) => {
            let within = valid.iter().filter(|column| column.relation.as_ref() == Some(relation));
            nearest(&field.name, within.map(|column| column.name.as_str()))
        }
        None => None,
    };
    let near = near.or_else(|| nearest(&field.name, valid.iter().map(|column| column.name.as_str())));
    let mut known: Vec<String> = valid.iter().map(|column| column.name.clone()).collect();
    known.dedup();
    let column = match &field.relation {
        Some(relation) => format!("{}.{}", relation.table(), field.name),
        None => field.name.clone(),
    };
    EngineError::UnknownColumn { column, near, known, place }
}

/// The parser says `… at Line: 1, Column: 8` where it has no span.
fn syntax(message: &str, place: Option<SqlPlace>) -> EngineError {
    let message = message.trim_start_matches("sql parser error: ");
    match message.rsplit_once(" at Line: ") {
        Some((text, position)) => {
            let mut numbers = position.split(", Column: ").map(|part| part.trim().parse::<u32>().ok());
            let found = match (numbers.next().flatten(), numbers.next().flatten()) {
                (Some(line), Some(column)) => Some(SqlPlace { line, column }),
                _ => None,
            };
            EngineError::Syntax { message: text.to_owned(), place: place.or(found) }
        }
        None => EngineError::Syntax { message: message.to_owned(), place },
    }
}

fn from_plan(message: &str, place: Option<SqlPlace>) -> EngineError {
    if let Some(rest) = message.strip_prefix("Invalid function '") {
        let name = rest.split('\'').next().unwrap_or_default().to_owned();
        let near = rest.split("Did you mean '").nth(1).and_then(|tail| tail.split('\'').next()).map(str::to_owned);
        let near = near.filter(|near| strsim_close(&name, near));
        return EngineError::UnknownFunction { name, near, place };
    }
    EngineError::Types { message: tidy(message), place }
}

fn strsim_close(name: &str, near: &str) -> bool {
    nearest(name, [near]).is_some()
}

/// What DataFusion says when the spill folder is full; it has no error of its own for this.
const SPILL_LIMIT: &str = "exceeded the allowable limit";

fn exhausted(message: &str) -> EngineError {
    if message.contains(SPILL_LIMIT) {
        return EngineError::SpillSpace { message: tidy(message) };
    }
    let consumer = message
        .split("for ")
        .nth(1)
        .and_then(|rest| rest.split(" with ").next())
        .map_or_else(|| "an operator".to_owned(), |name| name.trim().to_owned());
    EngineError::Memory { consumer, message: tidy(message) }
}

fn execution(message: &str) -> EngineError {
    if message.contains(SPILL_LIMIT) {
        return EngineError::SpillSpace { message: tidy(message) };
    }
    let lower = message.to_lowercase();
    if lower.contains("overflow") {
        return EngineError::Overflow { message: tidy(message) };
    }
    EngineError::Execution { message: tidy(message) }
}

/// One sentence of a library's message: no backtraces and no repeated prefixes.
fn tidy(message: &str) -> String {
    let first = message.split("\n\nbacktrace:").next().unwrap_or(message);
    let first = first.split(".\nThis issue was likely caused by").next().unwrap_or(first);
    let first = first.split(" Please try increasing the config").next().unwrap_or(first);
    let mut text = first.trim();
    for prefix in ["Error during planning: ", "Execution error: ", "Arrow error: ", "Schema error: ", "Io error: "] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    text.to_owned()
}

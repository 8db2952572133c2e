//! Why an attempt failed, as people are told.

use std::{io, path::PathBuf, time::Duration};

use tidemill_connectors::ConnectorError;
pub(crate) use tidemill_dag::diagnostic::chain;
use tidemill_dag::{codes::tm07 as codes, id::RunId, template::TemplateError, time::Span};
use tidemill_store::{StoreError, TaskFailure, blobs::BlobError};

/// Any failure of an attempt. Display does not print the source.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A template gave nothing.
    #[error("a template of `{field}` cannot be rendered: {source}")]
    Template {
        /// Where in the task.
        field: String,
        /// Why.
        source: TemplateError,
    },
    /// It took longer than its `timeout`.
    #[error("stopped after its timeout of {}", Span(*.0))]
    Timeout(Duration),
    /// A program ended with a failure.
    #[error("the program {how}{last}")]
    Exit {
        /// Exit status or signal, as a half sentence.
        how: String,
        /// The last lines it printed, each on a line of its own.
        last: String,
    },
    /// A program could not be started.
    #[error("`{program}` cannot be started: {source}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Python code raised an exception.
    #[error("{message}{place}")]
    Raised {
        /// The exception.
        message: String,
        /// The user's line, as in ` (line 3)`.
        place: String,
        /// The traceback without our own frames.
        trace: String,
    },
    /// A Python process ended in the middle of a call.
    #[error("the Python process {0}")]
    HostDied(String),
    /// A process needed more memory than it may have.
    #[error("the code needed more than {0} MiB of memory")]
    Memory(u64),
    /// A function returned something that cannot be kept.
    #[error("{0}")]
    Returned(String),
    /// There is no Python that can be used.
    #[error("no usable Python: {0}")]
    NoPython(String),
    /// A server could not be reached or broke off.
    #[error("{method} {url}: {reason}")]
    Http {
        /// The method.
        method: &'static str,
        /// The address, without its query.
        url: String,
        /// What happened.
        reason: String,
        /// Whether another try may help.
        retryable: bool,
    },
    /// A server answered with a status that is no success.
    #[error("{method} {url} answered {status}{body}")]
    Status {
        /// The method.
        method: &'static str,
        /// The address, without its query.
        url: String,
        /// The status.
        status: u16,
        /// The start of the answer.
        body: String,
    },
    /// A result is too large to be kept with the task.
    #[error("the result is larger than the {limit} bytes that are kept with a task")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Rows did not hold what a check expects.
    #[error("{0}")]
    Check(String),
    /// A secret could not be read.
    #[error("the secret {place} cannot be read: {reason}")]
    Secret {
        /// The place, as written.
        place: String,
        /// Why.
        reason: String,
    },
    /// A moment or setting that only the run knows cannot be used.
    #[error("`{field}`: {problem}")]
    Setting {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// What an earlier task should have left is not there.
    #[error("the rows of `{0}` are not there")]
    NoInput(String),
    /// Items of a `for_each` failed.
    #[error("{failed} of {total} items failed: {names}")]
    ItemsFailed {
        /// How many failed.
        failed: usize,
        /// How many there are.
        total: usize,
        /// Some of them.
        names: String,
    },
    /// A list has more items than are allowed.
    #[error("the list of `for_each` has {found} items or more; at most {limit} are allowed")]
    TooManyItems {
        /// How many were found; there may be more.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The run that a task started did not succeed.
    #[error("run {run} ended as {state}{reason}")]
    ChildEnded {
        /// The run.
        run: RunId,
        /// How it ended.
        state: &'static str,
        /// Why, behind a colon, if that is known.
        reason: String,
    },
    /// What a sensor waited for did not come.
    #[error("waited {} in vain until {what}", Span(*limit))]
    InVain {
        /// How long.
        limit: Duration,
        /// For what.
        what: String,
    },
    /// The stored definition cannot be used by this program.
    #[error("version {version} of the definition cannot be used: {problem}")]
    Definition {
        /// The version.
        version: String,
        /// Why.
        problem: String,
    },
    /// A connection that the definition names is not configured here.
    #[error("this worker has no connection `{0}`")]
    NoConnection(String),
    /// Files of the attempt could not be written or read.
    #[error("cannot {action} {path}: {source}")]
    Files {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A fault of ours.
    #[error("the worker made a mistake: {0}")]
    Internal(String),
    /// The state database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A data set's bytes could not be kept or read.
    #[error("a data set cannot be kept or read: {0}")]
    Blob(#[from] BlobError),
    /// Users' data or systems failed.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] tidemill_engine::EngineError),
}

impl TaskError {
    /// The public code; each has a page in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Template { .. } => codes::TEMPLATE,
            Self::Timeout(_) => codes::TIMEOUT,
            Self::Exit { .. } => codes::EXIT,
            Self::Start { .. } => codes::START,
            Self::Raised { .. } => codes::RAISED,
            Self::HostDied(_) => codes::HOST_DIED,
            Self::Memory(_) => codes::MEMORY,
            Self::Returned(_) => codes::RETURNED,
            Self::NoPython(_) => codes::NO_PYTHON,
            Self::Http { .. } => codes::HTTP,
            Self::Status { .. } => codes::STATUS,
            Self::TooLarge { .. } => codes::TOO_LARGE,
            Self::Check(_) => codes::CHECK,
            Self::Secret { .. } => codes::SECRET,
            Self::Setting { .. } => codes::SETTING,
            Self::NoInput(_) => codes::NO_INPUT,
            Self::ItemsFailed { .. } => codes::ITEMS_FAILED,
            Self::TooManyItems { .. } => codes::TOO_MANY_ITEMS,
            Self::ChildEnded { .. } => codes::CHILD_ENDED,
            Self::InVain { .. } => codes::IN_VAIN,
            Self::Definition { .. } => codes::DEFINITION,
            Self::NoConnection(_) => codes::NO_CONNECTION,
            Self::Files { .. } | Self::Blob(_) => codes::FILES,
            Self::Internal(_) => codes::INTERNAL,
            Self::Store(source) => source.code(),
            Self::Connector(source) => source.code(),
            Self::Engine(source) => source.code(),
        }
    }

    /// Whether trying again may help without anybody doing anything. What the user's own code did may
    /// always be different the next time; only they know, and `retries` is how they say so.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Timeout(_)
            | Self::Exit { .. }
            | Self::Raised { .. }
            | Self::HostDied(_)
            | Self::Memory(_)
            | Self::Check(_)
            | Self::Files { .. }
            | Self::Internal(_)
            | Self::Store(_)
            | Self::Blob(_) => true,
            Self::Http { retryable, .. } => *retryable,
            Self::Status { status, .. } => retryable_status(*status),
            Self::Template { .. }
            | Self::Start { .. }
            | Self::Returned(_)
            | Self::NoPython(_)
            | Self::TooLarge { .. }
            | Self::Secret { .. }
            | Self::Setting { .. }
            | Self::NoInput(_)
            | Self::ItemsFailed { .. }
            | Self::TooManyItems { .. }
            | Self::ChildEnded { .. }
            | Self::InVain { .. }
            | Self::Definition { .. }
            | Self::NoConnection(_) => false,
            Self::Connector(source) => source.retryable(),
            Self::Engine(source) => source.retryable(),
        }
    }

    /// What to do about it, where more can be said than the message does.
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::Template { source, .. } => return source.help.clone(),
            Self::Connector(source) => return source.help(),
            Self::Engine(source) => return source.help(),
            Self::Timeout(_) => "give the task a longer `timeout`, or less to do",
            Self::Start { .. } => "install the program on the worker, or write its full path",
            Self::Memory(_) => "raise `limits.memory_mb` of the task, or read its input piece by piece",
            Self::HostDied(_) => "look at the task's log; a process that is killed often ran out of memory",
            Self::NoPython(_) => "install Python 3.8 or newer, or set `worker.python` to its path",
            Self::TooLarge { .. } => "return rows, or write the data somewhere and return where it is",
            Self::Secret { .. } => "set it where the worker runs",
            Self::NoInput(_) => "resume the run from the task that makes them",
            Self::ItemsFailed { .. } => "a resume of the run repeats only the items that failed",
            Self::TooManyItems { .. } => "load the rows in one task, or raise `worker.max_items`",
            Self::ChildEnded { .. } => "mend it there; a resume of this run resumes that one too",
            Self::InVain { .. } => "give the task a longer `timeout`, or let `on_timeout: skip` it",
            Self::NoConnection(_) => "add it to the project file of the worker",
            Self::Definition { .. } => "apply the definition again with this version of the program",
            Self::Status { status: 401 | 403, .. } => "the server wants credentials, or forbids it",
            Self::Exit { .. } => "read the log; programs have no network unless `limits.network` is true",
            Self::Raised { .. }
            | Self::Returned(_)
            | Self::Http { .. }
            | Self::Status { .. }
            | Self::Check(_)
            | Self::Setting { .. }
            | Self::Files { .. }
            | Self::Internal(_)
            | Self::Store(_)
            | Self::Blob(_) => return None,
        };
        Some(text.to_owned())
    }

    /// As the store keeps it.
    pub fn failure(&self) -> TaskFailure {
        let message = match self {
            Self::Connector(source) => source.chain(),
            Self::Raised { trace, .. } if !trace.is_empty() => format!("{self}\n{trace}"),
            Self::Engine(_) | Self::Store(_) => chain(self),
            _ => self.to_string(),
        };
        TaskFailure { code: self.code().to_owned(), message, help: self.help(), retryable: self.retryable() }
    }
}

/// Statuses that may be different the next time.
pub(crate) fn retryable_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// For `map_err` on file operations.
pub(crate) fn files(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> TaskError {
    let path = path.into();
    move |source| TaskError::Files { action, path, source }
}

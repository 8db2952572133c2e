//! Everything that can go wrong at the command line, one variant per cause.

use std::io;
use std::path::PathBuf;

use tidemill_api::auth::TokenError;
use tidemill_api::backfill::BackfillError;
use tidemill_api::start::StartError;
use tidemill_connectors::ConnectorError;
use tidemill_dag::codes::{tm08, tm09, tm12, tm13, tm14};
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_generator::Refusal;
use tidemill_scheduler::relay::{KafkaError, WebhookError};
use tidemill_store::StoreError;
use tidemill_store::blobs::S3Error;
use tidemill_telemetry::RecordsError;

/// How the process ends; scripts may rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything went well.
    Ok = 0,
    /// A run failed or was cancelled, a probe or check found something, or the machinery failed.
    Failed = 1,
    /// The command line or the project's settings are wrong.
    Usage = 2,
    /// A definition is invalid.
    Invalid = 3,
    /// A request in English was not understood.
    NotUnderstood = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

/// What was found in one file.
#[derive(Debug, Clone)]
pub struct Findings {
    /// The file, as it was named.
    pub file: String,
    /// Its text, to show the line that is meant.
    pub text: String,
    /// What was found.
    pub list: Vec<Diagnostic>,
}

/// One cause each. Display does not print its source.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    ReadFile { path: PathBuf, source: io::Error },
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    WriteFile { path: PathBuf, source: io::Error },
    /// The project's settings are wrong.
    #[error("the settings in {} are wrong", .0.file)]
    Config(Findings),
    /// The folder that should be a project is none.
    #[error("{} is not a folder", path.display())]
    NoProject { path: PathBuf },
    /// Definitions are wrong.
    #[error("the definition is wrong")]
    Definitions(Vec<Findings>),
    /// There are no definitions where some were expected.
    #[error("there is no definition in {}", path.display())]
    NoDefinitions { path: PathBuf },
    /// No pipeline or file of that name.
    #[error("there is neither a file nor a pipeline `{name}`")]
    UnknownPipeline { name: String, known: Vec<String> },
    /// No such run.
    #[error("there is no run `{text}`")]
    UnknownRun { text: String },
    /// Several runs end like that.
    #[error("`{text}` fits {count} runs")]
    AmbiguousRun { text: String, count: usize },
    /// No such task in the run.
    #[error("run {run} has no task `{text}`")]
    UnknownTask { run: String, text: String, known: Vec<String> },
    /// A backfill that gives no runs.
    #[error(transparent)]
    Backfill(BackfillError),
    /// Nobody knows who answers.
    #[error("it is not known who you are")]
    WhoAreYou,
    /// A parameter is not `name=value`.
    #[error("`{text}` is not a parameter")]
    ParamSyntax { text: String },
    /// Parameters do not fit the definition.
    #[error("the parameters do not fit")]
    Params(Vec<Diagnostic>),
    /// No such connection.
    #[error("there is no connection `{name}`")]
    UnknownConnection { name: String, known: Vec<String> },
    /// No such error code.
    #[error("there is no error code `{code}`")]
    UnknownCode { code: String },
    /// A task has no rows to show.
    #[error("{task} has no rows to show: {why}")]
    NothingToShow { task: String, why: String },
    /// A file is there already.
    #[error("{} is there already", path.display())]
    Exists { path: PathBuf },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen { address: String, source: io::Error },
    /// The address could be reached from outside.
    #[error("{address} is not an address of this machine alone")]
    NotLoopback { address: String },
    /// The address could be reached from outside, and nobody would be asked for a token.
    #[error("{address} can be reached from outside, and there is no token")]
    Unprotected { address: String },
    /// A change was not confirmed.
    #[error("{changed} pipelines would change, and nobody is there to confirm it")]
    NotConfirmed { changed: usize },
    /// No such version.
    #[error("pipeline `{pipeline}` has no version `{version}`")]
    UnknownVersion { pipeline: String, version: String },
    /// A token.
    #[error(transparent)]
    Token(TokenError),
    /// Something the process needs from the machine failed.
    #[error("could not {doing}")]
    Machine { doing: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// The machinery that runs tasks stopped by itself.
    #[error("{part} stopped while it was needed")]
    Stopped { part: &'static str },
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output { source: io::Error },
    /// A value could not be written as JSON: a fault of the program.
    #[error("a result could not be written as JSON")]
    Json { source: serde_json::Error },
    /// Whoever read our output has gone; not worth a word.
    #[error("nobody reads the output any more")]
    Closed,
    /// Kafka cannot be used.
    #[error(transparent)]
    Kafka(KafkaError),
    /// A receiver of webhooks cannot be used.
    #[error(transparent)]
    Webhook(WebhookError),
    /// Records cannot be kept or read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The bucket for data sets cannot be used.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A connection.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// Several connections.
    #[error("{} connections cannot be used", .0.len())]
    Connectors(Vec<ConnectorError>),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] tidemill_engine::EngineError),
    /// The LLM gateway.
    #[error(transparent)]
    Gateway(#[from] tidemill_llm_gateway::GatewayError),
    /// A run could not be started.
    #[error(transparent)]
    Start(StartError),
    /// The place of an address.
    #[error("{setting}: {why}")]
    SecretPlace { setting: &'static str, why: String },
    /// The address of the queue.
    #[error(transparent)]
    QueueAddress(#[from] tidemill_store::transport::redis::RedisAddressError),
    /// A part of a cluster without a cluster.
    #[error("`tidemill {command}` works together with other processes, and {why}")]
    NoCluster { command: &'static str, why: &'static str },
    /// A pipeline has no such schedule.
    #[error("`{pipeline}` has no schedule {}", trigger.as_ref().map_or("that could be meant".to_owned(), |t| format!("`{t}`")))]
    NoSchedule { pipeline: String, trigger: Option<String>, known: Vec<String> },
    /// A webhook's delivery.
    #[error(transparent)]
    Hook(#[from] tidemill_api::hooks::HookError),
    /// A request in English.
    #[error("the request was not understood")]
    NotUnderstood(Box<Refusal>),
}

impl CliError {
    /// The public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ReadFile { .. } => tm09::UNREADABLE,
            Self::WriteFile { .. } => tm09::UNWRITABLE,
            Self::Config(_) => tm09::BAD_SETTING,
            Self::NoProject { .. } => tm09::NO_PROJECT,
            Self::Definitions(_) | Self::Params(_) => tm09::BAD_PARAMETER,
            Self::NoDefinitions { .. } => tm09::NO_DEFINITIONS,
            Self::UnknownPipeline { .. } => tm09::UNKNOWN_PIPELINE,
            Self::UnknownRun { .. } | Self::AmbiguousRun { .. } => tm09::UNKNOWN_RUN,
            Self::UnknownTask { .. } => tm09::UNKNOWN_TASK,
            Self::ParamSyntax { .. } => tm09::BAD_PARAMETER,
            Self::WhoAreYou => tm09::USAGE,
            Self::Backfill(error) => error.code(),
            Self::UnknownConnection { .. } => tm09::UNKNOWN_CONNECTION,
            Self::UnknownCode { .. } => tm09::UNKNOWN_CODE,
            Self::NothingToShow { .. } => tm09::NOTHING_TO_SHOW,
            Self::Exists { .. } => tm09::EXISTS,
            Self::Listen { .. } | Self::NotLoopback { .. } => tm09::LISTEN,
            Self::Machine { .. } | Self::Stopped { .. } | Self::Output { .. } | Self::Json { .. } | Self::Closed => {
                tm09::MACHINE
            }
            Self::S3(error) => error.code(),
            Self::Kafka(_) => tm14::KAFKA,
            Self::Webhook(_) => tm14::WEBHOOK,
            Self::Records(error) => error.code(),
            Self::Unprotected { .. } => tm13::UNPROTECTED,
            Self::NotConfirmed { .. } => tm13::NOT_APPLIED,
            Self::UnknownVersion { .. } => tm08::NO_VERSION,
            Self::Token(TokenError::Name(_)) => tm13::TOKEN_NAME,
            Self::Token(TokenError::Expiry(_)) => tm13::TOKEN_EXPIRY,
            Self::Token(TokenError::Store(error)) => error.code(),
            Self::Store(error) => error.code(),
            Self::Connector(error) => error.code(),
            Self::Connectors(errors) => errors.first().map_or(tm09::MACHINE, ConnectorError::code),
            Self::Engine(error) => error.code(),
            Self::Gateway(error) => error.code(),
            Self::Start(StartError::KeyTaken { .. }) => tm09::KEY_TAKEN,
            Self::Start(StartError::NotActive(_)) => tm09::UNKNOWN_PIPELINE,
            Self::Start(StartError::Store(error)) => error.code(),
            Self::Start(error @ StartError::Rerun(_)) => error.code(),
            Self::Start(StartError::Findings(_)) => tm09::BAD_PARAMETER,
            Self::Start(StartError::Stored { .. }) => tm09::MACHINE,
            Self::SecretPlace { .. } => tm14::SECRET_PLACE,
            Self::QueueAddress(_) => tm14::QUEUE_ADDRESS,
            Self::NoCluster { .. } => tm14::NO_CLUSTER,
            Self::Hook(error) => error.code(),
            Self::NoSchedule { .. } => tm12::UNKNOWN_TRIGGER,
            Self::NotUnderstood(refusal) => refusal.problems.first().map_or(tm09::MACHINE, |p| p.code),
        }
    }

    /// How the process ends.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::ReadFile { .. }
            | Self::NoSchedule { .. }
            | Self::WriteFile { .. }
            | Self::Config(_)
            | Self::NoProject { .. }
            | Self::NoDefinitions { .. }
            | Self::UnknownPipeline { .. }
            | Self::UnknownRun { .. }
            | Self::AmbiguousRun { .. }
            | Self::UnknownTask { .. }
            | Self::ParamSyntax { .. }
            | Self::WhoAreYou
            | Self::Backfill(_)
            | Self::Params(_)
            | Self::UnknownConnection { .. }
            | Self::UnknownCode { .. }
            | Self::Exists { .. }
            | Self::Listen { .. }
            | Self::NotLoopback { .. }
            | Self::Unprotected { .. }
            | Self::NotConfirmed { .. }
            | Self::UnknownVersion { .. }
            | Self::Token(_)
            | Self::Start(_)
            | Self::SecretPlace { .. }
            | Self::QueueAddress(_)
            | Self::NoCluster { .. }
            | Self::S3(_)
            | Self::Gateway(_)
            | Self::Kafka(_)
            | Self::Webhook(_)
            | Self::Connectors(_) => Exit::Usage,
            Self::Definitions(_) => Exit::Invalid,
            Self::NotUnderstood(_) => Exit::NotUnderstood,
            Self::NothingToShow { .. }
            | Self::Hook(_)
            | Self::Machine { .. }
            | Self::Stopped { .. }
            | Self::Output { .. }
            | Self::Json { .. }
            | Self::Store(_)
            | Self::Records(_)
            | Self::Connector(_)
            | Self::Engine(_) => Exit::Failed,
            Self::Closed => Exit::Ok,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoProject { .. } => Some("give the project's folder, or leave `-C` out".into()),
            Self::NoDefinitions { .. } => Some("definitions are files that end in .yaml, .yml or .json".into()),
            Self::UnknownPipeline { name, known } => Some(names("pipelines", name, known)),
            Self::UnknownRun { .. } => Some("`tidemill runs` lists them; `last` means the newest".into()),
            Self::AmbiguousRun { .. } => Some("give more of its last letters, or the whole id".into()),
            Self::UnknownTask { text, known, .. } => Some(names("tasks", text, known)),
            Self::Backfill(BackfillError::NoSchedule(_)) => {
                Some("say how long an interval is, as in `--every 1d`".into())
            }
            Self::Backfill(_) => {
                Some("give two dates, the earlier one first, as in `--from 2026-01-01 --to 2026-02-01`".into())
            }
            Self::WhoAreYou => Some("say it with `--as NAME`".into()),
            Self::ParamSyntax { .. } => Some("write name=value, as in `--param day=2013-01-31`".into()),
            Self::UnknownConnection { name, known } => Some(names("connections", name, known)),
            Self::UnknownCode { .. } => Some("`tidemill errors` lists every code".into()),
            Self::NothingToShow { .. } => Some("`tidemill explain RUN` tells what each task did".into()),
            Self::Exists { .. } => Some("move it away, or choose another name".into()),
            Self::Listen { .. } => {
                Some("choose another with `--listen 127.0.0.1:PORT`; port 0 takes a free one".into())
            }
            Self::NotLoopback { .. } => {
                Some("this server asks nobody for a password, so it listens on 127.0.0.1 or [::1] only".into())
            }
            Self::Unprotected { .. } => Some("make a token first: `tidemill tokens create NAME --role admin`".into()),
            Self::NotConfirmed { .. } => Some("give `--yes` to apply them, or `--plan` to only look".into()),
            Self::UnknownVersion { pipeline, .. } => Some(format!("`tidemill versions {pipeline}` lists them")),
            Self::NoCluster { .. } => Some(
                "set `database.url` to a PostgreSQL and `queue.url` to a Redis; `tidemill dev` needs neither".into(),
            ),
            Self::QueueAddress(_) => Some("`tidemill errors TM1401` shows how addresses are written".into()),
            Self::Connector(error) => error.help(),
            Self::S3(error) => Some(error.help().into()),
            Self::Records(_) => Some("check the section `telemetry` of the settings".into()),
            Self::Store(StoreError::PlaceTaken { .. }) => {
                Some("give this installation a `blobs.prefix` of its own; or, if the other one is gone for good, run `tidemill gc --adopt`".into())
            }
            Self::Store(StoreError::Removed(_)) => Some("start a new run with the same parameters".into()),
            Self::Engine(error) => error.help(),
            Self::Hook(error) => error.help(),
            Self::Gateway(error) => error.help().map(str::to_owned),
            Self::NoSchedule { known, .. } if known.is_empty() => {
                Some("`tidemill schedules` lists those of active versions".into())
            }
            Self::NoSchedule { known, .. } => Some(format!("its schedules: {}", known.join(", "))),
            Self::ReadFile { .. }
            | Self::WriteFile { .. }
            | Self::Config(_)
            | Self::Definitions(_)
            | Self::Params(_)
            | Self::Machine { .. }
            | Self::Stopped { .. }
            | Self::Output { .. }
            | Self::Json { .. }
            | Self::Closed
            | Self::Kafka(_)
            | Self::Webhook(_)
            | Self::Store(_)
            | Self::Connectors(_)
            | Self::Start(_)
            | Self::Token(_)
            | Self::SecretPlace { .. }
            | Self::NotUnderstood(_) => None,
        }
    }
}

/// The nearest of the known names, or all of them.
fn names(what: &str, wrong: &str, known: &[String]) -> String {
    const SHOWN: usize = 20;
    if let Some(near) = crate::near::nearest(wrong, known.iter().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    if known.is_empty() {
        return format!("there are no {what} yet");
    }
    let more = if known.len() > SHOWN { format!(" and {} more", known.len() - SHOWN) } else { String::new() };
    format!("the {what} are {}{more}", known[..known.len().min(SHOWN)].join(", "))
}

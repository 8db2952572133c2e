//! What can go wrong between the program and its own state.

use std::sync::Arc;

use tidemill_dag::{
    approval::Refusal,
    backfill::{BackfillEvent, BackfillState},
    codes::{tm08, tm09, tm12, tm13, tm14},
    id::{RunId, Ticket, VersionId},
    state::{IllegalVersionMove, TaskState},
};

use crate::{blobs::BlobError, transport::TransportError};

/// One cause each. No text here ever holds a password: places are redacted before they get in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The address of the database cannot be read.
    #[error("`{url}` is not the address of a state database: {problem}")]
    Address {
        /// The address without its password.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The database cannot be reached or opened.
    #[error("could not open the state database {url}")]
    Open {
        /// The address without its password.
        url: String,
        /// What happened.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The schema could not be brought up to date.
    #[error("could not bring the schema of {url} up to date")]
    Migrate {
        /// The address without its password.
        url: String,
        /// What happened.
        #[source]
        source: Arc<sqlx::migrate::MigrateError>,
    },
    /// The database refused or failed in the middle of an operation.
    #[error("the state database failed while it tried to {action}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// What happened.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// A row holds something that this program does not understand.
    #[error("column {column} of table {table} holds something unexpected: {problem}")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Somebody else changed the same rows at the same time, again and again.
    #[error("other processes kept changing the same rows while the store tried to {action}")]
    Contended {
        /// What was tried.
        action: &'static str,
    },
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(RunId),
    /// There is no such version.
    #[error("there is no version {0}")]
    NoVersion(VersionId),
    /// There is no such pipeline.
    #[error("there is no pipeline `{0}`")]
    NoPipeline(String),
    /// The same key was used for another request.
    #[error("the key `{key}` belongs to run {run}, which was asked for with other values")]
    KeyTaken {
        /// The key, with its kind in front.
        key: String,
        /// The run.
        run: RunId,
    },
    /// The state machines do not allow it.
    #[error("{what} cannot be done now: {why}")]
    Refused {
        /// What was asked.
        what: String,
        /// Why not.
        why: String,
    },
    /// Somebody else changed the pipeline meanwhile.
    #[error("pipeline `{pipeline}` is not as expected: {}", told(active.as_ref()))]
    Stale {
        /// The pipeline.
        pipeline: String,
        /// Its active version now.
        active: Option<VersionId>,
    },
    /// A version cannot be moved like that.
    #[error("version {version} of pipeline `{pipeline}` cannot be moved: {source}")]
    VersionMove {
        /// The pipeline.
        pipeline: String,
        /// The version.
        version: VersionId,
        /// Why not.
        source: IllegalVersionMove,
    },
    /// No version was active before.
    #[error("pipeline `{0}` has no earlier version to go back to")]
    NoEarlier(String),
    /// A token of that name is there.
    #[error("there is a token `{0}` already")]
    TokenTaken(String),
    /// There is no such token.
    #[error("there is no token `{0}`")]
    NoToken(String),
    /// Nobody was asked anything by that attempt.
    #[error("there is no approval {0}")]
    NoApproval(Ticket),
    /// It was decided already, or its run was cancelled.
    #[error("the approval {approval} is not open: its task is {state}")]
    NotOpen {
        /// Which one.
        approval: Ticket,
        /// Where its task stands.
        state: TaskState,
    },
    /// An answer does not count.
    #[error("{why}")]
    Answer {
        /// To which approval.
        approval: Ticket,
        /// Why.
        why: Refusal,
    },
    /// A run that goes on is not done again.
    #[error("{0} has not ended")]
    NotOver(RunId),
    /// There is no such backfill.
    #[error("there is no backfill `{0}`")]
    NoBackfill(String),
    /// The state of a backfill does not allow it.
    #[error("backfill `{id}` is {state} and takes no `{event}`")]
    BackfillMove {
        /// Which one.
        id: String,
        /// Where it is.
        state: BackfillState,
        /// What was tried.
        event: BackfillEvent,
    },
    /// There is no such pool.
    #[error("there is no pool `{0}`")]
    NoPool(String),
    /// A pool or tenant cannot be called that.
    #[error("`{name}` is not a name for a {kind}")]
    BadLimit {
        /// What it would be.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Tickets could not be sent; the sweep will send them.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A place for blobs failed.
    #[error(transparent)]
    Blob(Arc<BlobError>),
    /// A place for blobs is another installation's.
    #[error("the place for blobs belongs to another installation, `{owner}`")]
    PlaceTaken {
        /// Its name.
        owner: String,
    },
    /// What a run needs to go on was removed because of its age.
    #[error("run {0} ended so long ago that what it needs to go on was removed")]
    Removed(RunId),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The public code, as in the pages of `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } => tm08::ADDRESS,
            Self::Open { .. } => tm08::OPEN,
            Self::Migrate { .. } => tm08::MIGRATE,
            Self::Database { .. } => tm08::DATABASE,
            Self::Row { .. } => tm08::ROW,
            Self::Contended { .. } => tm08::CONTENDED,
            Self::NoRun(_) => tm08::NO_RUN,
            Self::NoVersion(_) => tm08::NO_VERSION,
            Self::NoPipeline(_) => tm08::NO_PIPELINE,
            Self::KeyTaken { .. } => tm09::KEY_TAKEN,
            Self::Refused { .. } => tm08::REFUSED,
            Self::Stale { .. } => tm13::STALE,
            Self::VersionMove { .. } => tm13::VERSION_MOVE,
            Self::NoEarlier(_) => tm13::NO_EARLIER,
            Self::TokenTaken(_) => tm13::TOKEN_NAME,
            Self::NoToken(_) => tm13::UNKNOWN_TOKEN,
            Self::NoApproval(_) => tm12::NO_APPROVAL,
            Self::NotOpen { .. } => tm12::NOT_OPEN,
            Self::Answer { why, .. } => match why {
                Refusal::NotAllowed { .. } => tm12::NOT_ALLOWED,
                Refusal::Starter(_) => tm12::STARTER,
                Refusal::Twice(_) => tm12::ANSWERED_TWICE,
                Refusal::Conflict { .. } => tm12::ANSWER_CONFLICT,
                Refusal::Late(_) => tm12::ANSWER_LATE,
            },
            Self::NotOver(_) => tm12::RERUN_EARLY,
            Self::NoBackfill(_) => tm12::NO_BACKFILL,
            Self::BackfillMove { .. } => tm12::BACKFILL_MOVE,
            Self::NoPool(_) => tm12::NO_POOL,
            Self::BadLimit { .. } => tm12::BAD_LIMIT,
            Self::Transport(_) => tm08::TRANSPORT,
            Self::Blob(error) => error.code(),
            Self::PlaceTaken { .. } => tm14::PLACE_TAKEN,
            Self::Removed(_) => tm14::BLOBS_REMOVED,
            Self::Closed => tm08::CLOSED,
        }
    }
}

fn told(active: Option<&VersionId>) -> String {
    match active {
        Some(version) => format!("its active version is {version}"),
        None => "no version of it is active".to_owned(),
    }
}

impl From<BlobError> for StoreError {
    fn from(error: BlobError) -> Self {
        Self::Blob(Arc::new(error))
    }
}

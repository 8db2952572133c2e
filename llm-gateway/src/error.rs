//! Everything that can go wrong with a call, one variant per cause. Callers see a code, a message and the route
//! that was tried; never a key, a prompt or a provider's own text where it may hold either.

use std::time::Duration;

use serde::Serialize;
use tidemill_dag::codes::tm11;

/// One call of a provider, as errors and headers tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The deployment.
    pub deployment: String,
    /// What came of it: `ok`, or a code.
    pub outcome: &'static str,
}

/// One cause each. Display does not print its source.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GatewayError {
    /// The request is not understood.
    #[error("the request is not understood: {reason}")]
    BadRequest {
        /// What is wrong with it.
        reason: String,
        /// The field, if it is one.
        field: Option<String>,
    },
    /// Something is asked for that the chosen deployment cannot do.
    #[error("{what} cannot be passed on to {provider}")]
    Unsupported {
        /// The field or feature.
        what: String,
        /// Who cannot do it.
        provider: String,
    },
    /// No key, or a wrong one.
    #[error("the key is missing or not known")]
    Unauthenticated,
    /// The key is known and may not do this.
    #[error("{reason}")]
    Forbidden {
        /// What it may not.
        reason: String,
    },
    /// No deployment or route of that name.
    #[error("there is no model `{model}`")]
    UnknownModel {
        /// As asked for.
        model: String,
    },
    /// There is nothing at this address.
    #[error("there is nothing at {path}")]
    NotFound {
        /// The path.
        path: String,
    },
    /// Every deployment that fits is resting after failures.
    #[error("no deployment for `{model}` is available")]
    NoneAvailable {
        /// As asked for.
        model: String,
        /// When the first may be tried again.
        retry_after: Duration,
    },
    /// A limit is reached.
    #[error("{subject} has used up its {measure}: {used} of {cap} are spent or reserved, this call may take {wanted}")]
    Limited {
        /// Whose limit, as `key nightly`.
        subject: String,
        /// `requests`, `tokens` or `money`, with the window.
        measure: String,
        /// Spent and reserved.
        used: u64,
        /// The limit.
        cap: u64,
        /// What this call may take.
        wanted: u64,
        /// When it may fit; unset: never as it is.
        retry_after: Option<Duration>,
    },
    /// The request's body is too large.
    #[error("the request is larger than {most} bytes")]
    TooLarge {
        /// The limit in bytes.
        most: u64,
    },
    /// The prompt does not fit any model of the route.
    #[error("the prompt takes up to {tokens} tokens and the largest window has {window}")]
    OverWindow {
        /// Its upper bound.
        tokens: u64,
        /// The largest window.
        window: u64,
    },
    /// Too many calls at once.
    #[error("too many calls wait for {what}")]
    Overloaded {
        /// Where they wait.
        what: String,
    },
    /// The limits cannot be read, so nothing is spent.
    #[error("the ledger of limits does not answer")]
    LedgerDown {
        /// Why.
        reason: String,
    },
    /// Every provider that was tried failed; the last failure decides.
    #[error("{failure}")]
    Failed {
        /// The last one.
        failure: Failure,
        /// All, in order.
        tried: Vec<Attempt>,
    },
    /// A hook for privacy refused the request.
    #[error("the request is not sent: {reason}")]
    Private {
        /// What was found, never its value.
        reason: String,
        /// The code: the policy, or the detector itself.
        code: &'static str,
    },
    /// The cache cannot be set up as configured.
    #[error("{reason}")]
    Cache {
        /// What is wrong.
        reason: String,
        /// The code: the embedding, or its bound.
        code: &'static str,
    },
    /// The configuration is wrong.
    #[error("{path}: {reason}")]
    Config {
        /// The setting.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The server would be open to the world.
    #[error("{address} can be reached from other machines and there are no keys")]
    OpenToWorld {
        /// The address.
        address: String,
    },
    /// A secret cannot be read.
    #[error("the secret {place} cannot be read: {reason}")]
    Secret {
        /// Where it should be.
        place: String,
        /// Why not.
        reason: String,
    },
}

/// How a provider failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It refused our key.
    #[error("the provider refused the gateway's key ({status})")]
    Auth {
        /// Its HTTP status.
        status: u16,
    },
    /// It is at its limit.
    #[error("the provider is at its limit")]
    Limited {
        /// When it may be asked again, if it says so.
        retry_after: Option<Duration>,
    },
    /// It failed.
    #[error("the provider failed ({status})")]
    Status {
        /// Its HTTP status.
        status: u16,
        /// When it may be asked again, if it says so.
        retry_after: Option<Duration>,
    },
    /// It finds the request wrong.
    #[error("the provider refused the request ({status}): {message}")]
    Refused {
        /// Its HTTP status.
        status: u16,
        /// What it says, shortened.
        message: String,
    },
    /// It says that the prompt does not fit.
    #[error("the provider says that the prompt does not fit its window")]
    OverWindow,
    /// No connection.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// The call's deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// It stopped sending, or sends slower than allowed.
    #[error("the provider stalled")]
    Stalled,
    /// The answer has nothing in it.
    #[error("the answer is empty")]
    Empty,
    /// The answer ends in the middle.
    #[error("the answer was cut")]
    Cut,
    /// The answer is not what the protocol says.
    #[error("the answer is not understood: {0}")]
    Garbled(String),
    /// The answer does not fit the schema that was asked for.
    #[error("the answer does not fit the schema: {0}")]
    WrongSchema(String),
    /// The model would not answer.
    #[error("the model refused to answer")]
    Declined,
    /// The answer repeats itself.
    #[error("the answer repeats itself without end")]
    Looping,
    /// The answer is larger than allowed.
    #[error("the answer is larger than {most} bytes")]
    TooLarge {
        /// The limit in bytes.
        most: u64,
    },
}

impl Failure {
    /// The public code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Auth { .. } => tm11::PROVIDER_KEY,
            Self::Limited { .. } => tm11::PROVIDER_LIMITED,
            Self::Status { .. } => tm11::PROVIDER_FAILED,
            Self::Refused { .. } => tm11::PROVIDER_REFUSED,
            Self::OverWindow => tm11::OVER_WINDOW,
            Self::Unreachable => tm11::UNREACHABLE,
            Self::Deadline => tm11::DEADLINE,
            Self::Stalled => tm11::STALLED,
            Self::Empty => tm11::EMPTY_ANSWER,
            Self::Cut => tm11::CUT_ANSWER,
            Self::Garbled(_) => tm11::GARBLED_ANSWER,
            Self::WrongSchema(_) => tm11::WRONG_SCHEMA,
            Self::Declined => tm11::DECLINED,
            Self::Looping => tm11::LOOPING,
            Self::TooLarge { .. } => tm11::ANSWER_TOO_LARGE,
        }
    }

    /// The HTTP status callers get.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Limited { .. } => 429,
            Self::Refused { .. } | Self::OverWindow => 400,
            Self::Declined => 422,
            Self::Deadline | Self::Stalled => 504,
            Self::Auth { .. }
            | Self::Status { .. }
            | Self::Unreachable
            | Self::Empty
            | Self::Cut
            | Self::Garbled(_)
            | Self::WrongSchema(_)
            | Self::Looping
            | Self::TooLarge { .. } => 502,
        }
    }
}

impl GatewayError {
    /// The public code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => tm11::BAD_REQUEST,
            Self::Unsupported { .. } => tm11::UNSUPPORTED,
            Self::Unauthenticated => tm11::NO_KEY,
            Self::Forbidden { .. } => tm11::FORBIDDEN,
            Self::UnknownModel { .. } => tm11::UNKNOWN_MODEL,
            Self::NotFound { .. } => tm11::NOT_FOUND,
            Self::NoneAvailable { .. } => tm11::NONE_AVAILABLE,
            Self::Limited { .. } => tm11::LIMITED,
            Self::TooLarge { .. } => tm11::TOO_LARGE,
            Self::OverWindow { .. } => tm11::OVER_WINDOW,
            Self::Overloaded { .. } => tm11::OVERLOADED,
            Self::LedgerDown { .. } => tm11::LEDGER_DOWN,
            Self::Failed { failure, .. } => failure.code(),
            Self::Private { code, .. } | Self::Cache { code, .. } => code,
            Self::Config { .. } => tm11::BAD_CONFIG,
            Self::OpenToWorld { .. } => tm11::OPEN_TO_WORLD,
            Self::Secret { .. } => tm11::SECRET,
        }
    }

    /// The HTTP status callers get.
    pub const fn status(&self) -> u16 {
        match self {
            Self::BadRequest { .. } | Self::Unsupported { .. } | Self::OverWindow { .. } | Self::Private { .. } => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden { .. } => 403,
            Self::UnknownModel { .. } | Self::NotFound { .. } => 404,
            Self::TooLarge { .. } => 413,
            Self::Limited { .. } => 429,
            Self::NoneAvailable { .. } | Self::Overloaded { .. } | Self::LedgerDown { .. } => 503,
            Self::Failed { failure, .. } => failure.status(),
            Self::Cache { .. } | Self::Config { .. } | Self::OpenToWorld { .. } | Self::Secret { .. } => 500,
        }
    }

    /// When it is worth another try.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoneAvailable { retry_after, .. } => Some(*retry_after),
            Self::Limited { retry_after, .. } => *retry_after,
            Self::Failed {
                failure: Failure::Limited { retry_after } | Failure::Status { retry_after, .. }, ..
            } => *retry_after,
            Self::Overloaded { .. } | Self::LedgerDown { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The providers that were tried.
    pub fn tried(&self) -> &[Attempt] {
        match self {
            Self::Failed { tried, .. } => tried,
            _ => &[],
        }
    }

    /// What to do about it.
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::OpenToWorld { .. } => Some("listen on 127.0.0.1, or add keys: `tidemill gateway key NAME` makes one"),
            Self::UnknownModel { .. } => Some("GET /v1/models lists what there is"),
            Self::Unauthenticated => Some("send `Authorization: Bearer KEY` or `x-api-key: KEY`"),
            _ => None,
        }
    }
}

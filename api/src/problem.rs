//! Errors as problem documents (RFC 9457): our code, its page, and what to do.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tidemill_dag::approval::Refusal;
use tidemill_dag::codes::{self, tm09, tm13};
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_store::StoreError;
use tidemill_store::blobs::BlobError;
use utoipa::ToSchema;

use crate::start::StartError;

/// The type of every answer that is not a success.
pub const MEDIA: &str = "application/problem+json";

/// What is wrong, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Names the kind of problem: `urn:tidemill:error:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, in a few words.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// The public code, as in `TM0917`; `tidemill errors CODE` explains it.
    #[schema(pattern = "^TM[0-9]{4}$")]
    pub code: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Every finding, where a definition or parameters are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Value>,
}

/// One problem document.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The public code; its page in `docs/errors` says more.
    pub code: &'static str,
    /// What is wrong this time.
    pub detail: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Every finding, where a definition or parameters are wrong.
    pub errors: Vec<Value>,
}

impl Problem {
    /// A problem with a code of the table.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), help: None, errors: Vec::new() }
    }

    /// The document itself.
    pub fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:tidemill:error:{}", self.code),
            title: codes::title(self.code).unwrap_or("An error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
            help: self.help.clone(),
            errors: self.errors.clone(),
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A request that is not understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, tm09::BAD_REQUEST, detail)
    }

    /// The server's own fault; the log says more.
    pub fn fault() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, tm13::FAULT, "the server met a fault of its own")
            .help("its log has more under the request id of this answer")
    }

    /// Something that is not there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, tm09::NOT_FOUND, detail)
    }

    /// Findings about a definition or about parameters.
    pub fn findings(list: &[Diagnostic]) -> Self {
        let code = list.first().map_or(tm09::BAD_REQUEST, |d| d.code);
        let detail = match list {
            [] => "something is wrong".to_owned(),
            [one] => one.message.clone(),
            [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
        };
        let errors = list.iter().filter_map(|d| serde_json::to_value(d).ok()).collect();
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::NoRun(_)
            | StoreError::NoVersion(_)
            | StoreError::NoPipeline(_)
            | StoreError::NoToken(_)
            | StoreError::NoApproval(_)
            | StoreError::NoPool(_)
            | StoreError::NoBackfill(_) => StatusCode::NOT_FOUND,
            StoreError::Answer { why: Refusal::NotAllowed { .. } | Refusal::Starter(_), .. } => StatusCode::FORBIDDEN,
            StoreError::BadLimit { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            StoreError::Refused { .. }
            | StoreError::VersionMove { .. }
            | StoreError::NoEarlier(_)
            | StoreError::TokenTaken(_)
            | StoreError::PlaceTaken { .. }
            | StoreError::Removed(_)
            | StoreError::NotOpen { .. }
            | StoreError::BackfillMove { .. }
            | StoreError::NotOver(_)
            | StoreError::Answer { .. } => StatusCode::CONFLICT,
            StoreError::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            StoreError::KeyTaken { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            StoreError::Contended { .. } | StoreError::Transport(_) | StoreError::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            StoreError::Blob(_)
            | StoreError::Address { .. }
            | StoreError::Open { .. }
            | StoreError::Migrate { .. }
            | StoreError::Database { .. }
            | StoreError::Row { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = ?error, "the state failed");
        }
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        let status = match &error {
            BlobError::NotFound(_) | BlobError::Name(_) => StatusCode::NOT_FOUND,
            BlobError::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            BlobError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = ?error, "a data set could not be read");
        }
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Findings(found) => Self::findings(&found),
            StartError::NotActive(_) => Self::not_found(error.to_string()),
            StartError::KeyTaken { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, tm09::KEY_TAKEN, error.to_string())
                    .help("use a new key for a new run")
            }
            StartError::Rerun(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), error.to_string())
                .help("name what is missing too, or run everything again"),
            StartError::Stored { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, tm09::MACHINE, error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = json!(self.document()).to_string();
        let mut answer = (self.status, [(header::CONTENT_TYPE, MEDIA)], document).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        answer
    }
}

//! Errors as problem documents (RFC 9457): our code, its page, and what to do.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use tidemill_dag::codes::{self, tm09};
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_store::StoreError;

use crate::start::StartError;

/// One problem document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    /// Names the kind of problem; the code within it has a page in `docs/errors`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, in a few words.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// The public code.
    pub code: &'static str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Every finding, where a definition or parameters are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Value>,
}

impl Problem {
    /// A problem with a code of the table.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:tidemill:error:{code}"),
            title: codes::title(code).unwrap_or("An error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            help: None,
            errors: Vec::new(),
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
            StoreError::NoRun(_) | StoreError::NoVersion(_) | StoreError::NoPipeline(_) => StatusCode::NOT_FOUND,
            StoreError::Refused { .. } => StatusCode::CONFLICT,
            StoreError::Contended { .. } | StoreError::Transport(_) | StoreError::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            StoreError::Address { .. }
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

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Findings(found) => Self::findings(&found),
            StartError::NotActive(_) => Self::not_found(error.to_string()),
            StartError::KeyTaken { .. } => {
                Self::new(StatusCode::CONFLICT, tm09::KEY_TAKEN, error.to_string()).help("use a new key for a new run")
            }
            StartError::Stored { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, tm09::MACHINE, error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

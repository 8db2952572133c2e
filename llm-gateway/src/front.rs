//! What callers speak: reads their requests and writes their answers and errors.

use http::HeaderMap;

use crate::answer::Answer;
use crate::error::GatewayError;
use crate::request::Request;
use crate::wire::fields::Fields;
use crate::wire::{Dialect, WriteStream, anthropic, openai};

/// A protocol of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// OpenAI's.
    Openai,
    /// Anthropic's.
    Anthropic,
}

impl Front {
    /// Which one a caller of a shared address speaks: Anthropic's clients always name a version.
    pub fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key("anthropic-version") { Self::Anthropic } else { Self::Openai }
    }

    /// As providers have it.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Openai => Dialect::Openai,
            Self::Anthropic => Dialect::Anthropic,
        }
    }

    /// Reads a request for an answer.
    ///
    /// # Errors
    /// It is not understood.
    pub fn read(self, fields: &Fields) -> Result<Request, GatewayError> {
        match self {
            Self::Openai => openai::read_request(fields),
            Self::Anthropic => anthropic::read_request(fields),
        }
    }

    /// The user that the body names.
    pub fn user(self, request: &Request) -> Option<&str> {
        let metadata = || request.extra.get("metadata")?.get("user_id")?.as_str();
        match self {
            Self::Openai => request.extra.get("user").and_then(serde_json::Value::as_str),
            Self::Anthropic => metadata(),
        }
    }

    /// Writes a whole answer.
    pub fn answer(self, answer: &Answer, created: i64) -> Vec<u8> {
        let value = match self {
            Self::Openai => openai::write_answer(answer, created),
            Self::Anthropic => anthropic::write_answer(answer),
        };
        value.to_string().into_bytes()
    }

    /// Writes an answer in pieces.
    pub fn writer(self, created: i64, include_usage: bool) -> Box<dyn WriteStream> {
        match self {
            Self::Openai => Box::new(openai::Writer::new(created, include_usage)),
            Self::Anthropic => Box::new(anthropic::Writer::default()),
        }
    }

    /// Writes an error.
    pub fn error(self, error: &GatewayError) -> Vec<u8> {
        let value = match self {
            Self::Openai => openai::write_error(error),
            Self::Anthropic => anthropic::write_error(error),
        };
        value.to_string().into_bytes()
    }

    /// Writes an error at the end of a stream.
    pub fn error_frame(self, error: &GatewayError) -> Vec<u8> {
        let mut out = match self {
            Self::Openai => b"data: ".to_vec(),
            Self::Anthropic => b"event: error\ndata: ".to_vec(),
        };
        out.extend(self.error(error));
        out.extend_from_slice(b"\n\n");
        out
    }
}

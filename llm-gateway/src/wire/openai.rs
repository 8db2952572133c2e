//! OpenAI's chat completions and embeddings.

mod answer;
mod embeddings;
mod error;
mod request;
mod stream;

pub(crate) use answer::garbled;
pub use answer::{read_answer, write_answer};
pub use embeddings::{Encoding, read_embed_request, read_embeddings, write_embed_request, write_embeddings};
pub(crate) use error::classify;
pub use error::{read_failure, write_error};
pub use request::{SCHEMA_NAME, read_request, write_request};
pub use stream::{Reader, Writer};

use crate::answer::Finish;

/// Why an answer ends, as the protocol says it.
pub(crate) const fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopText => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Refused => "content_filter",
    }
}

/// What the protocol's word means. Servers that speak it have their own words beside the official ones.
pub(crate) fn finish_of(name: &str) -> Finish {
    match name {
        "length" | "max_tokens" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" | "refusal" => Finish::Refused,
        _ => Finish::Stop,
    }
}

//! Anthropic's messages.

mod answer;
mod error;
mod request;
mod stream;

pub use answer::{read_answer, write_answer};
pub use error::{read_failure, write_error};
pub use request::{read_request, write_request};
pub use stream::{Reader, Writer};

use crate::answer::Finish;
use crate::usage::Usage;

/// A tool whose arguments are the answer: the protocol's way to ask for JSON of a schema.
pub(crate) const ANSWER_TOOL: &str = "structured_answer";

/// Why an answer ends, as the protocol says it.
pub(crate) const fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::StopText => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Refused => "refusal",
    }
}

/// What the protocol's word means.
pub(crate) fn finish_of(name: &str) -> Finish {
    match name {
        "stop_sequence" => Finish::StopText,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refused,
        _ => Finish::Stop,
    }
}

/// Tokens on the wire; `input_tokens` has only those that no cache had a part in.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
pub(crate) struct WireUsage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
}

impl WireUsage {
    /// What it says, over what was said before: the end of a stream repeats only some of the numbers.
    pub(crate) fn over(self, before: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.or(before.input_tokens),
            output_tokens: self.output_tokens.or(before.output_tokens),
            cache_read_input_tokens: self.cache_read_input_tokens.or(before.cache_read_input_tokens),
            cache_creation_input_tokens: self.cache_creation_input_tokens.or(before.cache_creation_input_tokens),
        }
    }

    pub(crate) fn canonical(self) -> Usage {
        let cached = self.cache_read_input_tokens.unwrap_or(0);
        let cache_written = self.cache_creation_input_tokens.unwrap_or(0);
        Usage {
            input: self.input_tokens.unwrap_or(0).saturating_add(cached).saturating_add(cache_written),
            output: self.output_tokens.unwrap_or(0),
            cached,
            cache_written,
            reasoning: 0,
        }
    }
}

pub(crate) fn usage(usage: &Usage) -> serde_json::Value {
    serde_json::json!({
        "input_tokens": usage.input.saturating_sub(usage.cached).saturating_sub(usage.cache_written),
        "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.cache_written,
    })
}

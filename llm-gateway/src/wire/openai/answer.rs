use serde::Deserialize;
use serde_json::{Value, json};

use super::request::WireCall;
use super::{finish_name, finish_of};
use crate::answer::{Answer, Finish};
use crate::error::Failure;
use crate::request::Part;
use crate::usage::Usage;

#[derive(Deserialize)]
struct WireAnswer {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    message: WireMessage,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireMessage {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<WireCall>>,
}

/// Tokens, with the names that the servers that speak the protocol have for parts of them.
#[derive(Deserialize, Default)]
pub(crate) struct WireUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for what was cached.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    pub(crate) fn canonical(&self) -> Usage {
        let cached = self.prompt_tokens_details.as_ref().and_then(|d| d.cached_tokens).or(self.prompt_cache_hit_tokens);
        let reasoning = self.completion_tokens_details.as_ref().and_then(|d| d.reasoning_tokens);
        Usage {
            input: self.prompt_tokens,
            output: self.completion_tokens,
            cached: cached.unwrap_or(0).min(self.prompt_tokens),
            cache_written: 0,
            reasoning: reasoning.unwrap_or(0).min(self.completion_tokens),
        }
    }
}

/// Reads an answer; without usage it is `None`, and the caller must assume the worst.
///
/// # Errors
/// It is not of the protocol, or the model declined.
pub fn read_answer(body: &[u8]) -> Result<(Answer, Option<Usage>), Failure> {
    let wire: WireAnswer = serde_json::from_slice(body).map_err(|error| garbled(&error, body))?;
    let usage = wire.usage.as_ref().map(WireUsage::canonical);
    let choice = wire.choices.into_iter().next().ok_or(Failure::Empty)?;
    let mut finish = choice.finish_reason.as_deref().map_or(Finish::Stop, finish_of);
    if choice.message.refusal.as_ref().is_some_and(|text| !text.is_empty()) {
        finish = Finish::Refused;
    }
    let text = choice.message.content.filter(|text| !text.is_empty());
    let mut parts: Vec<Part> = text.map(Part::Text).into_iter().collect();
    let calls = choice.message.tool_calls.unwrap_or_default().into_iter();
    parts.extend(calls.map(|call| Part::ToolCall {
        id: call.id,
        name: call.function.name,
        arguments: call.function.arguments,
    }));
    Ok((Answer { id: wire.id, model: wire.model, parts, finish, usage: usage.unwrap_or_default() }, usage))
}

/// JSON that ends too early was cut; everything else is not the protocol.
pub(crate) fn garbled(error: &serde_json::Error, body: &[u8]) -> Failure {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Failure::Empty;
    }
    if error.is_eof() {
        return Failure::Cut;
    }
    // The position tells enough; what stands there may be somebody's data.
    Failure::Garbled(format!("line {}, column {} is not what was expected", error.line(), error.column()))
}

/// Writes an answer for a caller.
pub fn write_answer(answer: &Answer, created: i64) -> Value {
    let text = answer.text();
    let calls: Vec<Value> = answer.parts.iter().filter_map(call).collect();
    let mut message = json!({
        "role": "assistant",
        "content": if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() },
        "refusal": null,
    });
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    json!({
        "id": answer.id,
        "object": "chat.completion",
        "created": created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_name(answer.finish)}],
        "usage": usage(&answer.usage),
    })
}

fn call(part: &Part) -> Option<Value> {
    match part {
        Part::ToolCall { id, name, arguments } => {
            Some(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
        }
        Part::Text(_) | Part::Image(_) | Part::ToolResult { .. } | Part::Foreign(_) => None,
    }
}

pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}

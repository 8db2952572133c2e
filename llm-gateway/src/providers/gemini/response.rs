//! Candidates with parts; calls of tools come whole and without ids, so they are numbered here.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::Gemini;
use crate::answer::{Answer, Embeddings, Finish};
use crate::error::Failure;
use crate::providers::Responses;
use crate::request::Part;
use crate::usage::Usage;
use crate::wire::openai::{classify, garbled};

/// An answer, or a piece of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireAnswer {
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    #[serde(default)]
    pub usage_metadata: Option<WireUsage>,
    #[serde(default)]
    pub model_version: String,
    #[serde(default)]
    pub response_id: String,
    #[serde(default)]
    prompt_feedback: Option<PromptFeedback>,
    #[serde(default)]
    pub error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    #[serde(default)]
    block_reason: Option<String>,
}

/// One of the answers; only one is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    #[serde(default)]
    pub content: Option<Content>,
    #[serde(default)]
    pub finish_reason: Option<String>,
}

/// Its parts.
#[derive(Deserialize)]
pub struct Content {
    #[serde(default)]
    pub parts: Vec<WirePart>,
}

/// Words, or a call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WirePart {
    #[serde(default)]
    pub text: Option<String>,
    /// Reasoning, which is not shown.
    #[serde(default)]
    pub thought: bool,
    #[serde(default)]
    pub function_call: Option<WireCall>,
}

/// A call of a tool.
#[derive(Deserialize)]
pub struct WireCall {
    pub name: String,
    #[serde(default)]
    pub args: Value,
}

/// Tokens; reasoning is counted beside the answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireUsage {
    #[serde(default)]
    prompt_token_count: u64,
    #[serde(default)]
    candidates_token_count: u64,
    #[serde(default)]
    thoughts_token_count: u64,
    #[serde(default)]
    cached_content_token_count: u64,
    #[serde(default)]
    tool_use_prompt_token_count: u64,
}

impl WireUsage {
    /// As everywhere.
    pub fn canonical(&self) -> Usage {
        Usage {
            input: self.prompt_token_count.saturating_add(self.tool_use_prompt_token_count),
            output: self.candidates_token_count.saturating_add(self.thoughts_token_count),
            cached: self.cached_content_token_count,
            cache_written: 0,
            reasoning: self.thoughts_token_count,
        }
    }
}

impl WireAnswer {
    /// Whether the prompt was blocked.
    pub fn blocked(&self) -> bool {
        self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some())
    }
}

/// What the protocol's word means.
pub fn finish_of(name: &str) -> Finish {
    match name {
        "MAX_TOKENS" => Finish::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE" => Finish::Refused,
        _ => Finish::Stop,
    }
}

/// The id of a call: the protocol has none.
pub fn call_id(number: usize) -> String {
    format!("call_{number}")
}

/// The arguments of a call as a text.
pub fn arguments(call: &WireCall) -> String {
    if call.args.is_null() { "{}".to_owned() } else { call.args.to_string() }
}

#[derive(Deserialize)]
struct WireEmbeddings {
    embeddings: Vec<WireVector>,
}

#[derive(Deserialize)]
struct WireVector {
    values: Vec<f32>,
}

impl Responses for Gemini {
    fn answer(&self, body: &[u8]) -> Result<(Answer, Option<Usage>), Failure> {
        let wire: WireAnswer = serde_json::from_slice(body).map_err(|error| garbled(&error, body))?;
        if wire.blocked() {
            return Err(Failure::Declined);
        }
        let told = wire.usage_metadata.as_ref().map(WireUsage::canonical);
        let candidate = wire.candidates.into_iter().next().ok_or(Failure::Empty)?;
        let mut finish = candidate.finish_reason.as_deref().map_or(Finish::Stop, finish_of);
        let mut parts = Vec::new();
        for part in candidate.content.map_or_else(Vec::new, |content| content.parts) {
            match (part.text, part.function_call) {
                (_, Some(call)) => {
                    finish = if finish == Finish::Stop { Finish::ToolCalls } else { finish };
                    parts.push(Part::ToolCall {
                        id: call_id(parts.len()),
                        arguments: arguments(&call),
                        name: call.name,
                    });
                }
                (Some(text), None) if !part.thought && !text.is_empty() => parts.push(Part::Text(text)),
                _ => {}
            }
        }
        let usage = told.unwrap_or_default();
        Ok((Answer { id: wire.response_id, model: wire.model_version, parts, finish, usage }, told))
    }

    fn failure(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        // Some of its errors come in a list of one.
        let value = value.get(0).unwrap_or(&value);
        let message = value.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
        let word = value.pointer("/error/status").and_then(Value::as_str).unwrap_or_default();
        if status == 400 && message.contains("API key") {
            return Failure::Auth { status };
        }
        let hint = value.pointer("/error/details").and_then(Value::as_array).into_iter().flatten();
        let mut hints =
            hint.filter_map(|detail| detail.get("retryDelay")?.as_str()?.strip_suffix('s')?.parse::<f64>().ok());
        let hint = hints.find(|seconds| seconds.is_finite() && (0.0..86_400.0).contains(seconds));
        classify(status, retry_after.or(hint.map(Duration::from_secs_f64)), [word, ""], message)
    }

    // The protocol tells neither the model nor the tokens.
    fn embeddings(&self, body: &[u8], texts: usize) -> Result<(Embeddings, bool), Failure> {
        let wire: WireEmbeddings = serde_json::from_slice(body).map_err(|error| garbled(&error, body))?;
        let vectors: Vec<Vec<f32>> = wire.embeddings.into_iter().map(|vector| vector.values).collect();
        if vectors.len() != texts || vectors.iter().any(Vec::is_empty) {
            return Err(Failure::Empty);
        }
        Ok((Embeddings { model: String::new(), vectors, usage: Usage::default() }, false))
    }
}

//! What two requests must share to share an answer, as a hash.

use serde_json::Value;

use crate::caller::Caller;
use crate::request::{Format, Message, Part, Request, Role, Sampling, ToolChoice};

/// A hash over all that changes the right answer.
pub type Key = [u8; 32];

/// Longer questions are only looked up exactly: their vectors say little, and reading them costs much.
const LONGEST_QUESTION: usize = 8 * 1024;

/// The keys of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Of the whole request.
    pub exact: Key,
    /// Of everything but the last thing the user said, and that text. Near requests are looked for among those with the same
    /// context only: system prompt, tools and earlier turns are never approximate.
    pub near: Option<(Key, String)>,
}

impl Keys {
    /// `None` if nothing about this request may be kept.
    pub fn of(caller: &Caller, request: &Request, epoch: u32) -> Option<Self> {
        let namespace = caller.cache_namespace.as_deref().filter(|name| !name.is_empty())?;
        let repeatable = caller.idempotent || request.sampling.temperature == Some(0.0);
        if !repeatable || request.messages.is_empty() {
            return None;
        }
        let mut hasher = Canon::default();
        hasher.number(u64::from(epoch));
        hasher.text(&caller.tenant);
        hasher.text(namespace);
        hasher.text(caller.tables.as_deref().unwrap_or_default());
        settings(&mut hasher, request);
        let question = question(&request.messages);
        let (last, earlier) = request.messages.split_last()?;
        hasher.number(earlier.len() as u64);
        earlier.iter().for_each(|turn| message(&mut hasher, turn));
        let near = question.map(|question| {
            let mut context = hasher.clone();
            context.text("near");
            (context.finish(), question.to_owned())
        });
        message(&mut hasher, last);
        Some(Self { exact: hasher.finish(), near })
    }
}

/// The last turn, if it is the user's and nothing but words.
fn question(messages: &[Message]) -> Option<&str> {
    let last = messages.last().filter(|message| message.role == Role::User)?;
    match last.parts.as_slice() {
        [Part::Text(text)] if text.len() <= LONGEST_QUESTION && !text.trim().is_empty() => Some(text),
        _ => None,
    }
}

/// Everything but the conversation. Named field by field, so that a new one cannot be forgotten.
fn settings(hasher: &mut Canon, request: &Request) {
    let Request {
        model,
        messages: _,
        tools,
        tool_choice,
        parallel_tools,
        format,
        sampling,
        max_tokens,
        stream: _,
        include_usage: _,
        extra,
    } = request;
    hasher.text(model);
    hasher.number(tools.len() as u64);
    for tool in tools {
        hasher.text(&tool.name);
        hasher.text(tool.description.as_deref().unwrap_or_default());
        hasher.value(&tool.parameters);
        hasher.flag(tool.strict);
    }
    match tool_choice {
        ToolChoice::Auto => hasher.text("auto"),
        ToolChoice::None => hasher.text("none"),
        ToolChoice::Required => hasher.text("required"),
        ToolChoice::Named(name) => {
            hasher.text("named");
            hasher.text(name);
        }
    }
    hasher.flag(*parallel_tools);
    match format {
        Format::Text => hasher.text("text"),
        Format::JsonObject => hasher.text("json"),
        Format::JsonSchema { name, schema, strict } => {
            hasher.text("schema");
            hasher.text(name);
            hasher.value(schema);
            hasher.flag(*strict);
        }
    }
    let Sampling { temperature, top_p, top_k, seed, presence_penalty, frequency_penalty, stop } = sampling;
    for number in [temperature, top_p, presence_penalty, frequency_penalty] {
        hasher.number(number.map_or(u64::MAX, f64::to_bits));
    }
    hasher.number(top_k.map_or(u64::MAX, u64::from));
    hasher.flag(seed.map(|_| true));
    hasher.number(seed.unwrap_or_default().cast_unsigned());
    hasher.number(stop.len() as u64);
    stop.iter().for_each(|text| hasher.text(text));
    hasher.number(max_tokens.map_or(u64::MAX, u64::from));
    hasher.number(extra.len() as u64);
    let mut fields: Vec<_> = extra.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in fields {
        hasher.text(name);
        hasher.value(value);
    }
}

fn message(hasher: &mut Canon, message: &Message) {
    hasher.number(match message.role {
        Role::System => 0,
        Role::User => 1,
        Role::Assistant => 2,
        Role::Tool => 3,
    });
    hasher.number(message.parts.len() as u64);
    for part in &message.parts {
        match part {
            Part::Text(text) => {
                hasher.text("text");
                hasher.text(text);
            }
            Part::Image(url) => {
                hasher.text("image");
                hasher.text(url);
            }
            Part::ToolCall { id, name, arguments } => {
                hasher.text("call");
                [id, name, arguments].into_iter().for_each(|text| hasher.text(text));
            }
            Part::ToolResult { id, text, failed } => {
                hasher.text("result");
                [id, text].into_iter().for_each(|text| hasher.text(text));
                hasher.flag(Some(*failed));
            }
            Part::Foreign(value) => {
                hasher.text("foreign");
                hasher.value(value);
            }
        }
    }
}

/// Writes values so that no two different sequences of them look alike: every text goes with its length.
#[derive(Clone, Default)]
struct Canon(blake3::Hasher);

impl Canon {
    fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn flag(&mut self, flag: Option<bool>) {
        self.0.update(&[flag.map_or(2, u8::from)]);
    }

    /// JSON whatever the order of its fields.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                self.0.update(b"{");
                self.number(map.len() as u64);
                let mut fields: Vec<_> = map.iter().collect();
                fields.sort_unstable_by_key(|(name, _)| *name);
                for (name, value) in fields {
                    self.text(name);
                    self.value(value);
                }
            }
            Value::Array(list) => {
                self.0.update(b"[");
                self.number(list.len() as u64);
                list.iter().for_each(|value| self.value(value));
            }
            Value::String(text) => {
                self.0.update(b"s");
                self.text(text);
            }
            other => {
                self.0.update(b"v");
                self.text(&other.to_string());
            }
        }
    }

    fn finish(&self) -> Key {
        *self.0.finalize().as_bytes()
    }
}

//! What is asked, whatever protocol it came in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request for an answer to a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The model as the caller named it: a deployment, an alias, or `auto`.
    pub model: String,
    /// The conversation; instructions are messages of [`Role::System`].
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub tool_choice: ToolChoice,
    /// Whether several tools may be called in one answer; unset: as the provider has it.
    pub parallel_tools: Option<bool>,
    /// What the answer must look like.
    pub format: Format,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// At most so many tokens in the answer.
    pub max_tokens: Option<u32>,
    /// Whether the answer comes in pieces.
    pub stream: bool,
    /// Whether a stream ends with the tokens it used.
    pub include_usage: bool,
    /// Fields of the front protocol that have no place above, as they came.
    pub extra: Map<String, Value>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub parts: Vec<Part>,
}

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text(String),
    /// A picture: a URL, or a `data:` URL that holds it.
    Image(String),
    /// The model calls a tool.
    ToolCall {
        /// Pairs the call with its result.
        id: String,
        /// Which tool.
        name: String,
        /// A JSON object, as text: models write it, so it may be wrong.
        arguments: String,
    },
    /// What a tool gave back.
    ToolResult {
        /// The call it answers.
        id: String,
        /// What it gave.
        text: String,
        /// Whether the tool failed.
        failed: bool,
    },
    /// A piece that only the protocol it came in knows, as it came: hidden reasoning, documents.
    Foreign(Value),
}

/// Something the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// Whether arguments must fit the schema exactly.
    pub strict: Option<bool>,
}

/// Whether tools are called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// What the answer must look like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Anything.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// JSON Schema.
        schema: Value,
        /// Whether the provider constrains decoding to it.
        strict: Option<bool>,
    },
}

/// How tokens are drawn. Unset: as the provider has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 is the most likely token each time.
    pub temperature: Option<f64>,
    /// Share of the probability that is drawn from.
    pub top_p: Option<f64>,
    /// How many tokens are drawn from.
    pub top_k: Option<u32>,
    /// Makes draws repeat, as far as the provider can.
    pub seed: Option<i64>,
    /// Less of what is there.
    pub presence_penalty: Option<f64>,
    /// Less of what is there often.
    pub frequency_penalty: Option<f64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

/// A request for the vectors of texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbedRequest {
    /// The model as the caller named it.
    pub model: String,
    /// The texts.
    pub inputs: Vec<String>,
    /// The length of the vectors; unset: the model's own.
    pub dimensions: Option<u32>,
}

impl Message {
    /// A turn of words.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text(text.into())] }
    }
}

impl Request {
    /// A question without more.
    pub fn ask(model: impl Into<String>, question: impl Into<String>) -> Self {
        Self { model: model.into(), messages: vec![Message::text(Role::User, question)], ..Self::default() }
    }

    /// Every text of the conversation, in order: words, arguments and results of tools.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().flat_map(|message| &message.parts).map(Part::words)
    }

    /// The last thing the user said.
    pub fn question(&self) -> Option<&str> {
        let last = self.messages.iter().rev().find(|message| message.role == Role::User)?;
        last.parts.iter().rev().find_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image(_) | Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Foreign(_) => None,
        })
    }
}

impl Part {
    /// What it says in words; empty for a picture or a piece that is not understood.
    pub fn words(&self) -> &str {
        match self {
            Self::Text(text) | Self::ToolResult { text, .. } => text,
            Self::ToolCall { arguments, .. } => arguments,
            Self::Image(_) | Self::Foreign(_) => "",
        }
    }
}

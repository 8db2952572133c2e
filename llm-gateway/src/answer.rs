//! What comes back, whatever protocol it goes out in.

use serde::{Deserialize, Serialize};

use crate::request::Part;
use crate::usage::Usage;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// As the provider named it.
    pub id: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// Words and calls of tools, in order.
    pub parts: Vec<Part>,
    /// Why it ends.
    pub finish: Finish,
    /// The tokens it took, as the provider counted.
    pub usage: Usage,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done.
    #[default]
    Stop,
    /// A stop text came.
    StopText,
    /// No more tokens were allowed.
    Length,
    /// It calls tools.
    ToolCalls,
    /// The model or its provider would not answer.
    Refused,
}

/// A piece of an answer, as it comes.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start {
        /// As the provider named it.
        id: String,
        /// The model, as the provider names it.
        model: String,
    },
    /// More words.
    Text(String),
    /// The model would not answer, and says so.
    Refusal(String),
    /// A call of a tool begins.
    ToolStart {
        /// Counts calls from 0.
        index: usize,
        /// Pairs the call with its result.
        id: String,
        /// Which tool.
        name: String,
    },
    /// More of a call's arguments.
    ToolArguments {
        /// Which call.
        index: usize,
        /// More JSON text.
        text: String,
    },
    /// Why it ends.
    Finish(Finish),
    /// The tokens so far; the last one counts.
    Usage(Usage),
}

/// Vectors of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// The model, as the provider names it.
    pub model: String,
    /// One for each text, in order.
    pub vectors: Vec<Vec<f32>>,
    /// The tokens it took.
    pub usage: Usage,
}

impl Answer {
    /// All its words.
    pub fn text(&self) -> String {
        let words = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Image(_) | Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Foreign(_) => "",
        });
        words.collect()
    }

    /// Whether it calls a tool.
    pub fn calls_tools(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }))
    }
}

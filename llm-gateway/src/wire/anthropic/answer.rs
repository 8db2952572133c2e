use serde::Deserialize;
use serde_json::{Value, json};

use super::{ANSWER_TOOL, WireUsage, finish_name, finish_of, usage};
use crate::answer::{Answer, Finish};
use crate::error::Failure;
use crate::request::Part;
use crate::usage::Usage;
use crate::wire::openai::garbled;

#[derive(Deserialize)]
struct WireAnswer {
    id: String,
    #[serde(default)]
    model: String,
    content: Vec<Block>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    input: Option<Value>,
}

/// Reads an answer; without usage it is `None`, and the caller must assume the worst.
///
/// # Errors
/// It is not of the protocol.
pub fn read_answer(body: &[u8]) -> Result<(Answer, Option<Usage>), Failure> {
    let wire: WireAnswer = serde_json::from_slice(body).map_err(|error| garbled(&error, body))?;
    let told = wire.usage.map(WireUsage::canonical);
    let mut finish = wire.stop_reason.as_deref().map_or(Finish::Stop, finish_of);
    let mut parts = Vec::with_capacity(wire.content.len());
    for block in wire.content {
        match (block.kind.as_str(), block.text, block.name) {
            ("text", Some(text), _) if !text.is_empty() => parts.push(Part::Text(text)),
            ("tool_use", _, Some(name)) if name == ANSWER_TOOL => {
                finish = Finish::Stop;
                parts.push(Part::Text(block.input.unwrap_or_default().to_string()));
            }
            ("tool_use", _, Some(name)) => {
                let arguments = block.input.map_or_else(|| "{}".to_owned(), |input| input.to_string());
                parts.push(Part::ToolCall { id: block.id.unwrap_or_default(), name, arguments });
            }
            _ => {}
        }
    }
    Ok((Answer { id: wire.id, model: wire.model, parts, finish, usage: told.unwrap_or_default() }, told))
}

/// Writes an answer for a caller.
pub fn write_answer(answer: &Answer) -> Value {
    let content: Vec<Value> = answer.parts.iter().filter_map(block).collect();
    json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": finish_name(if answer.calls_tools() { Finish::ToolCalls } else { answer.finish }),
        "stop_sequence": null,
        "usage": usage(&answer.usage),
    })
}

fn block(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) => Some(json!({"type": "text", "text": text})),
        Part::ToolCall { id, name, arguments } => {
            // What a model wrote may be no JSON: then it goes on as a text under a name of its own.
            let text = if arguments.trim().is_empty() { "{}" } else { arguments };
            let input = serde_json::from_str(text).unwrap_or_else(|_| json!({"unparsed": arguments}));
            Some(json!({"type": "tool_use", "id": id, "name": name, "input": input}))
        }
        Part::Image(_) | Part::ToolResult { .. } | Part::Foreign(_) => None,
    }
}

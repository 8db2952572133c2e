use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ANSWER_TOOL, WireUsage, finish_name, finish_of, usage};
use crate::answer::{Event, Finish};
use crate::error::Failure;
use crate::usage::Usage;
use crate::wire::openai::garbled;
use crate::wire::sse::Frame;
use crate::wire::{ReadStream, WriteStream};

#[derive(Deserialize)]
struct WireEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    index: usize,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    content_block: Option<Block>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize, Default)]
struct Delta {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    stop_reason: Option<String>,
}

/// Reads the events of an answer.
#[derive(Debug, Default)]
pub struct Reader {
    /// Blocks that call tools, with the number of the call; `None` for the one that is the answer.
    calls: BTreeMap<usize, Option<usize>>,
    usage: WireUsage,
    answered: bool,
    stopped: bool,
}

impl ReadStream for Reader {
    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), Failure> {
        if frame.data.is_empty() {
            return Ok(());
        }
        let wrong = |error: serde_json::Error| garbled(&error, frame.data.as_bytes());
        let event: WireEvent = serde_json::from_str(frame.data).map_err(wrong)?;
        match event.kind.as_str() {
            "message_start" => {
                let message = event.message.ok_or_else(|| Failure::Garbled("a start without message".into()))?;
                self.usage = message.usage.unwrap_or_default();
                events.push(Event::Start { id: message.id, model: message.model });
            }
            "content_block_start" => self.start(event.index, event.content_block, events),
            "content_block_delta" => self.delta(event.index, event.delta.unwrap_or_default(), events),
            "message_delta" => {
                self.usage = event.usage.unwrap_or_default().over(self.usage);
                if let Some(reason) = event.delta.and_then(|delta| delta.stop_reason) {
                    let finish = finish_of(&reason);
                    let answered = self.answered && finish == Finish::ToolCalls;
                    events.push(Event::Finish(if answered { Finish::Stop } else { finish }));
                }
                events.push(Event::Usage(self.usage.canonical()));
            }
            "message_stop" => self.stopped = true,
            "error" => return Err(super::error::in_stream(&event.error.unwrap_or_default())),
            _ => {}
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.stopped
    }

    fn ended(&self) -> bool {
        self.stopped
    }
}

impl Reader {
    fn start(&mut self, index: usize, block: Option<Block>, events: &mut Vec<Event>) {
        let Some(block) = block else { return };
        match block.kind.as_str() {
            "tool_use" if block.name == ANSWER_TOOL => {
                self.answered = true;
                self.calls.insert(index, None);
            }
            "tool_use" => {
                let call = self.calls.values().flatten().count();
                self.calls.insert(index, Some(call));
                events.push(Event::ToolStart { index: call, id: block.id, name: block.name });
            }
            "text" if !block.text.is_empty() => events.push(Event::Text(block.text)),
            _ => {}
        }
    }

    fn delta(&mut self, index: usize, delta: Delta, events: &mut Vec<Event>) {
        events.extend(delta.text.filter(|text| !text.is_empty()).map(Event::Text));
        let Some(text) = delta.partial_json.filter(|text| !text.is_empty()) else { return };
        match self.calls.get(&index) {
            Some(Some(call)) => events.push(Event::ToolArguments { index: *call, text }),
            Some(None) => events.push(Event::Text(text)),
            None => {}
        }
    }
}

/// Writes the events of an answer.
#[derive(Debug, Default)]
pub struct Writer {
    /// The number of the block that is open, and the call in it.
    open: Option<(usize, Option<usize>)>,
    blocks: usize,
    calls: bool,
    finish: Finish,
    usage: Usage,
}

impl Writer {
    fn frame(name: &str, data: Value, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        // Writing a value into memory does not fail.
        let _ = serde_json::to_writer(&mut *out, &data);
        out.extend_from_slice(b"\n\n");
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some((block, _)) = self.open.take() {
            Self::frame("content_block_stop", json!({"type": "content_block_stop", "index": block}), out);
        }
    }

    fn open(&mut self, call: Option<usize>, content: Value, out: &mut Vec<u8>) {
        self.close(out);
        let index = self.blocks;
        self.blocks += 1;
        self.open = Some((index, call));
        let data = json!({"type": "content_block_start", "index": index, "content_block": content});
        Self::frame("content_block_start", data, out);
    }

    fn delta(&self, delta: Value, out: &mut Vec<u8>) {
        let index = self.open.map_or(0, |(index, _)| index);
        Self::frame("content_block_delta", json!({"type": "content_block_delta", "index": index, "delta": delta}), out);
    }
}

impl WriteStream for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => {
                let message = json!({
                    "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
                    "stop_reason": null, "stop_sequence": null, "usage": usage(&self.usage),
                });
                Self::frame("message_start", json!({"type": "message_start", "message": message}), out);
            }
            Event::Text(text) | Event::Refusal(text) => {
                if !matches!(self.open, Some((_, None))) {
                    self.open(None, json!({"type": "text", "text": ""}), out);
                }
                self.delta(json!({"type": "text_delta", "text": text}), out);
            }
            Event::ToolStart { index, id, name } => {
                self.calls = true;
                self.open(Some(*index), json!({"type": "tool_use", "id": id, "name": name, "input": {}}), out);
            }
            Event::ToolArguments { text, .. } => {
                self.delta(json!({"type": "input_json_delta", "partial_json": text}), out);
            }
            Event::Finish(finish) => self.finish = *finish,
            Event::Usage(usage) => self.usage = *usage,
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        let finish = if self.calls && self.finish == Finish::Stop { Finish::ToolCalls } else { self.finish };
        let delta = json!({"stop_reason": finish_name(finish), "stop_sequence": null});
        let data = json!({"type": "message_delta", "delta": delta, "usage": usage(&self.usage)});
        Self::frame("message_delta", data, out);
        Self::frame("message_stop", json!({"type": "message_stop"}), out);
    }
}

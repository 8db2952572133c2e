use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{WireUsage, usage};
use super::{finish_name, finish_of};
use crate::answer::{Event, Finish};
use crate::error::Failure;
use crate::wire::sse::Frame;
use crate::wire::{ReadStream, WriteStream};

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Deserialize)]
struct CallPiece {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionPiece>,
}

#[derive(Deserialize)]
struct FunctionPiece {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

/// Reads the chunks of an answer.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    finished: bool,
    done: bool,
}

impl ReadStream for Reader {
    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), Failure> {
        if frame.data.is_empty() {
            return Ok(());
        }
        if frame.data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let wrong = |error: serde_json::Error| super::answer::garbled(&error, frame.data.as_bytes());
        let chunk: Chunk = serde_json::from_str(frame.data).map_err(wrong)?;
        if let Some(error) = &chunk.error {
            return Err(super::error::in_stream(error));
        }
        if !self.started {
            self.started = true;
            events.push(Event::Start { id: chunk.id, model: chunk.model });
        }
        for choice in chunk.choices.into_iter().take(1) {
            if let Some(delta) = choice.delta {
                self.delta(delta, events);
            }
            if let Some(reason) = choice.finish_reason {
                self.finished = true;
                events.push(Event::Finish(finish_of(&reason)));
            }
        }
        events.extend(chunk.usage.map(|usage| Event::Usage(usage.canonical())));
        Ok(())
    }

    fn complete(&self) -> bool {
        self.done || self.finished
    }

    fn ended(&self) -> bool {
        self.done
    }
}

impl Reader {
    fn delta(&mut self, delta: Delta, events: &mut Vec<Event>) {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        events.extend(filled(delta.content).map(Event::Text));
        events.extend(filled(delta.refusal).map(Event::Refusal));
        for piece in delta.tool_calls.unwrap_or_default() {
            let index = piece.index;
            let FunctionPiece { name, arguments } =
                piece.function.unwrap_or(FunctionPiece { name: None, arguments: None });
            if let (Some(name), id) = (filled(name), piece.id) {
                events.push(Event::ToolStart { index, id: id.unwrap_or_default(), name });
            }
            events.extend(filled(arguments).map(|text| Event::ToolArguments { index, text }));
        }
    }
}

/// Writes the chunks of an answer.
#[derive(Debug)]
pub struct Writer {
    id: String,
    model: String,
    created: i64,
    include_usage: bool,
    usage: Option<crate::usage::Usage>,
    calls: bool,
}

impl Writer {
    /// For one answer.
    pub fn new(created: i64, include_usage: bool) -> Self {
        Self { id: String::new(), model: String::new(), created, include_usage, usage: None, calls: false }
    }

    fn chunk(&self, choices: Value, usage: Value, out: &mut Vec<u8>) {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        });
        if self.include_usage {
            chunk["usage"] = usage;
        }
        out.extend_from_slice(b"data: ");
        // Writing a value into memory does not fail.
        let _ = serde_json::to_writer(&mut *out, &chunk);
        out.extend_from_slice(b"\n\n");
    }

    fn delta(&self, delta: Value, finish: Option<Finish>, out: &mut Vec<u8>) {
        let finish = finish.map(finish_name);
        self.chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null, out);
    }
}

impl WriteStream for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => {
                (self.id, self.model) = (id.clone(), model.clone());
                self.delta(json!({"role": "assistant", "content": "", "refusal": null}), None, out);
            }
            Event::Text(text) => self.delta(json!({"content": text}), None, out),
            Event::Refusal(text) => self.delta(json!({"refusal": text}), None, out),
            Event::ToolStart { index, id, name } => {
                self.calls = true;
                let function = json!({"name": name, "arguments": ""});
                let call = json!([{"index": index, "id": id, "type": "function", "function": function}]);
                self.delta(json!({"tool_calls": call}), None, out);
            }
            Event::ToolArguments { index, text } => {
                let call = json!([{"index": index, "function": {"arguments": text}}]);
                self.delta(json!({"tool_calls": call}), None, out);
            }
            Event::Finish(finish) => {
                let finish = if self.calls && *finish == Finish::Stop { Finish::ToolCalls } else { *finish };
                self.delta(json!({}), Some(finish), out);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.include_usage {
            self.chunk(json!([]), usage(&self.usage.unwrap_or_default()), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

//! Each frame is an answer of its own with more parts; usage comes with every one.

use super::Gemini;
use super::response::{self, WireAnswer, WireUsage};
use crate::answer::{Event, Finish};
use crate::error::Failure;
use crate::providers::Streams;
use crate::wire::ReadStream;
use crate::wire::openai::{classify, garbled};
use crate::wire::sse::Frame;

#[derive(Default)]
struct GeminiReader {
    started: bool,
    finished: bool,
    calls: usize,
}

impl ReadStream for GeminiReader {
    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), Failure> {
        if frame.data.is_empty() {
            return Ok(());
        }
        let wrong = |error: serde_json::Error| garbled(&error, frame.data.as_bytes());
        let wire: WireAnswer = serde_json::from_str(frame.data).map_err(wrong)?;
        if let Some(error) = &wire.error {
            let status =
                error.get("code").and_then(serde_json::Value::as_u64).and_then(|code| u16::try_from(code).ok());
            return Err(classify(status.unwrap_or(500), None, ["", ""], ""));
        }
        if wire.blocked() {
            return Err(Failure::Declined);
        }
        if !self.started {
            self.started = true;
            events.push(Event::Start { id: wire.response_id, model: wire.model_version });
        }
        for candidate in wire.candidates.into_iter().take(1) {
            for part in candidate.content.map_or_else(Vec::new, |content| content.parts) {
                match (part.text, part.function_call) {
                    (_, Some(call)) => {
                        let index = self.calls;
                        self.calls += 1;
                        let text = response::arguments(&call);
                        events.push(Event::ToolStart { index, id: response::call_id(index), name: call.name });
                        events.push(Event::ToolArguments { index, text });
                    }
                    (Some(text), None) if !part.thought && !text.is_empty() => events.push(Event::Text(text)),
                    _ => {}
                }
            }
            if let Some(reason) = candidate.finish_reason {
                self.finished = true;
                let finish = response::finish_of(&reason);
                let called = finish == Finish::Stop && self.calls > 0;
                events.push(Event::Finish(if called { Finish::ToolCalls } else { finish }));
            }
        }
        events.extend(wire.usage_metadata.as_ref().map(WireUsage::canonical).map(Event::Usage));
        Ok(())
    }

    fn complete(&self) -> bool {
        self.finished
    }

    fn ended(&self) -> bool {
        // Usage may follow the reason to end.
        false
    }
}

impl Streams for Gemini {
    fn reader(&self) -> Box<dyn ReadStream> {
        Box::new(GeminiReader::default())
    }
}

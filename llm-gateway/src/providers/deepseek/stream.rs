//! Chunks of OpenAI's protocol; one reason to end means that the service gave up in the middle.

use super::DeepSeek;
use super::response::GAVE_UP;
use crate::answer::Event;
use crate::error::Failure;
use crate::providers::Streams;
use crate::wire::ReadStream;
use crate::wire::openai::Reader;
use crate::wire::sse::Frame;

struct DeepSeekReader(Reader);

impl ReadStream for DeepSeekReader {
    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), Failure> {
        if frame.data.contains(GAVE_UP) {
            return Err(Failure::Cut);
        }
        self.0.read(frame, events)
    }

    fn complete(&self) -> bool {
        self.0.complete()
    }

    fn ended(&self) -> bool {
        self.0.ended()
    }
}

impl Streams for DeepSeek {
    fn reader(&self) -> Box<dyn ReadStream> {
        Box::new(DeepSeekReader(Reader::default()))
    }
}

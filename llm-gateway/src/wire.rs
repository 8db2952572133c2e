//! The protocols on the wire, each in both directions: pure, from bytes to what they mean and back.

pub mod anthropic;
pub mod fields;
pub mod openai;
pub mod sse;

use crate::answer::Event;
use crate::error::Failure;

/// A protocol on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions.
    Openai,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's generateContent; only towards providers.
    Gemini,
}

/// Reads the frames of a provider's stream.
pub trait ReadStream: Send + Sync {
    /// What one frame says.
    ///
    /// # Errors
    /// It is not of the protocol, or it is the provider's own error.
    fn read(&mut self, frame: &sse::Frame<'_>, events: &mut Vec<Event>) -> Result<(), Failure>;

    /// Whether the stream said that it is complete.
    fn complete(&self) -> bool;

    /// Whether nothing can follow any more.
    fn ended(&self) -> bool;
}

/// Writes a stream for a caller.
pub trait WriteStream: Send + Sync {
    /// Adds the frames for one event.
    fn write(&mut self, event: &Event, out: &mut Vec<u8>);

    /// Adds the frames that end a whole answer.
    fn end(&mut self, out: &mut Vec<u8>);
}

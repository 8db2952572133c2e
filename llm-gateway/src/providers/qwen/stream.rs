//! Chunks of OpenAI's protocol.

use crate::wire::ReadStream;
use crate::wire::openai::Reader;

/// Reads an answer in pieces.
pub fn reader() -> Box<dyn ReadStream> {
    Box::new(Reader::default())
}

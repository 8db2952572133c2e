//! Events of Anthropic's protocol.

use crate::wire::ReadStream;
use crate::wire::anthropic::Reader;

/// Reads an answer in pieces.
pub fn reader() -> Box<dyn ReadStream> {
    Box::new(Reader::default())
}

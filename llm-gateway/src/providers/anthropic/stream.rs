//! Events of Anthropic's protocol as they are.

use super::Anthropic;
use crate::providers::Streams;
use crate::wire::ReadStream;
use crate::wire::anthropic::Reader;

impl Streams for Anthropic {
    fn reader(&self) -> Box<dyn ReadStream> {
        Box::new(Reader::default())
    }
}

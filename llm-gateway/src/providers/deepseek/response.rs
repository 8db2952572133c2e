//! Answers of OpenAI's protocol; one reason to end means that the service gave up in the middle.

use memchr::memmem;

use crate::answer::Answer;
use crate::error::Failure;
use crate::usage::Usage;
use crate::wire::openai;
pub use crate::wire::openai::{read_embeddings as embeddings, read_failure as failure};

/// How it says that it gave up.
pub const GAVE_UP: &str = "\"insufficient_system_resource\"";

/// Reads a whole answer.
pub fn answer(body: &[u8]) -> Result<(Answer, Option<Usage>), Failure> {
    // Inside a text the quotes would be escaped.
    if memmem::find(body, GAVE_UP.as_bytes()).is_some() {
        return Err(Failure::Cut);
    }
    openai::read_answer(body)
}

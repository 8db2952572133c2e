//! Answers of OpenAI's protocol; one reason to end means that the service gave up in the middle.

use memchr::memmem;

use super::DeepSeek;
use crate::answer::Answer;
use crate::error::Failure;
use crate::providers::Responses;
use crate::usage::Usage;
use crate::wire::openai;

/// How it says that it gave up.
pub const GAVE_UP: &str = "\"insufficient_system_resource\"";

impl Responses for DeepSeek {
    fn answer(&self, body: &[u8]) -> Result<(Answer, Option<Usage>), Failure> {
        // Inside a text the quotes would be escaped.
        if memmem::find(body, GAVE_UP.as_bytes()).is_some() {
            return Err(Failure::Cut);
        }
        openai::read_answer(body)
    }
}

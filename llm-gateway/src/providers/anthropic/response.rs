//! Answers of Anthropic's protocol as they are.

use std::time::Duration;

use super::Anthropic;
use crate::answer::Answer;
use crate::error::Failure;
use crate::providers::Responses;
use crate::usage::Usage;
use crate::wire::anthropic;

impl Responses for Anthropic {
    fn answer(&self, body: &[u8]) -> Result<(Answer, Option<Usage>), Failure> {
        anthropic::read_answer(body)
    }

    fn failure(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        anthropic::read_failure(status, retry_after, body)
    }
}

//! The newer name of the most tokens, which all its models know; no `top_k`.

use super::OpenAi;
use crate::providers::{Habits, Requests};

impl Requests for OpenAi {
    fn habits(&self) -> Habits {
        Habits { max_tokens: "max_completion_tokens", top_k: false, ..Habits::of("openai") }
    }
}

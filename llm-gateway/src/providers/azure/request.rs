//! As OpenAI's; the address names the model, and the body repeats it.

use super::Azure;
use crate::providers::{Habits, Requests};

impl Requests for Azure {
    fn habits(&self) -> Habits {
        Habits { max_tokens: "max_completion_tokens", top_k: false, ..Habits::of("azure") }
    }
}

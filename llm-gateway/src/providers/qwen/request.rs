//! The older name of the most tokens; `top_k` is known; hidden reasoning only works in pieces, so it is off for
//! whole answers unless the caller says otherwise.

use super::Qwen;
use crate::providers::{Habits, Requests};

impl Requests for Qwen {
    fn habits(&self) -> Habits {
        Habits { off_for_whole_answers: Some("enable_thinking"), ..Habits::of("qwen") }
    }
}

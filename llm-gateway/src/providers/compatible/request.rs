//! The older name of the most tokens, which every server knows, and `top_k`, which all of these have.

use super::Compatible;
use crate::providers::{Habits, Requests};

impl Requests for Compatible {
    fn habits(&self) -> Habits {
        Habits::of("compatible")
    }
}

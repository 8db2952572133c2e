//! Answers of Anthropic's protocol as they are.

pub use crate::wire::anthropic::{read_answer as answer, read_failure as failure};
pub use crate::wire::openai::read_embeddings as embeddings;

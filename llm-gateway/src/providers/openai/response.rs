//! Answers of OpenAI's protocol as they are.

pub use crate::wire::openai::{read_answer as answer, read_embeddings as embeddings, read_failure as failure};

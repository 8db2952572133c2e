//! Any server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama. Each has an address of its own.

mod request;
mod response;
mod stream;

use super::Provider;

/// Any server that speaks OpenAI's protocol.
pub struct Compatible;

impl Provider for Compatible {}

//! Chunks of OpenAI's protocol as they are.

use super::Qwen;
use crate::providers::Streams;

impl Streams for Qwen {}

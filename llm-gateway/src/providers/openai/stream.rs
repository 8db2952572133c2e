//! Chunks of OpenAI's protocol as they are.

use super::OpenAi;
use crate::providers::Streams;

impl Streams for OpenAi {}

//! Chunks of OpenAI's protocol as they are.

use super::Azure;
use crate::providers::Streams;

impl Streams for Azure {}

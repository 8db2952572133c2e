//! Chunks of OpenAI's protocol as they are.

use super::Compatible;
use crate::providers::Streams;

impl Streams for Compatible {}

//! Answers of OpenAI's protocol as they are.

use super::Compatible;
use crate::providers::Responses;

impl Responses for Compatible {}

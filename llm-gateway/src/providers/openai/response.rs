//! Answers of OpenAI's protocol as they are.

use super::OpenAi;
use crate::providers::Responses;

impl Responses for OpenAi {}

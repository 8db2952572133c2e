//! Masked values back in their places: in words as they are, in JSON as JSON writes them.

use serde_json::Value;

use crate::answer::Answer;
use crate::hooks::Unmask;
use crate::request::{Format, Part};

/// Puts masked values back into a whole answer.
pub(crate) fn restore(mut answer: Answer, unmask: &dyn Unmask, format: &Format) -> Answer {
    for part in &mut answer.parts {
        match part {
            Part::Text(text) if *format == Format::Text => *text = unmask.restore(text).into_owned(),
            Part::Text(text) => *text = in_json(text, unmask),
            Part::ToolCall { arguments, .. } => *arguments = in_json(arguments, unmask),
            Part::Image(_) | Part::ToolResult { .. } | Part::Foreign(_) => {}
        }
    }
    answer
}

/// The same in JSON text; what is no JSON is words.
pub(crate) fn in_json(text: &str, unmask: &dyn Unmask) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(mut value) => {
            walk(&mut value, unmask);
            value.to_string()
        }
        Err(_) => unmask.restore(text).into_owned(),
    }
}

fn walk(value: &mut Value, unmask: &dyn Unmask) {
    match value {
        Value::String(text) => *text = unmask.restore(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, unmask)),
        Value::Object(map) => map.values_mut().for_each(|item| walk(item, unmask)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Words of a stream: what may be the beginning of a placeholder waits for its end.
pub(crate) struct Held {
    unmask: Box<dyn Unmask>,
    waiting: String,
}

impl Held {
    pub fn new(unmask: Box<dyn Unmask>) -> Self {
        Self { unmask, waiting: String::new() }
    }

    /// More words in, what is sure out.
    pub fn push(&mut self, text: &str) -> String {
        self.waiting.push_str(text);
        let cut = self.unmask.open_end(&self.waiting).unwrap_or(self.waiting.len());
        // What is longer than any placeholder is none.
        let sure = if self.waiting.len() - cut > self.unmask.longest() { self.waiting.len() } else { cut };
        let rest = self.waiting.split_off(sure);
        let ready = std::mem::replace(&mut self.waiting, rest);
        self.unmask.restore(&ready).into_owned()
    }

    /// What still waits.
    pub fn rest(&mut self) -> String {
        let ready = std::mem::take(&mut self.waiting);
        self.unmask.restore(&ready).into_owned()
    }

    /// Whole JSON text.
    pub fn json(&self, text: &str) -> String {
        in_json(text, &*self.unmask)
    }
}

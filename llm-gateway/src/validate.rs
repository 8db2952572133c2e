//! What an answer must be before it goes out: not empty, not a refusal, not a loop, and of the form that was asked for.

use serde_json::Value;

use crate::answer::{Answer, Finish};
use crate::error::Failure;
use crate::request::{Format, Part, Request};

/// A text this long that ends in so many repeats of a short text is a loop.
const LOOP_BYTES: usize = 2_000;
const LOOP_TIMES: usize = 12;
const LONGEST_PERIOD: usize = 160;

/// Checks a whole answer.
///
/// # Errors
/// What is wrong with it.
pub fn whole(request: &Request, answer: &Answer) -> Result<(), Failure> {
    if answer.finish == Finish::Refused {
        return Err(Failure::Declined);
    }
    if answer.parts.is_empty() {
        return Err(Failure::Empty);
    }
    for part in &answer.parts {
        if loops(part.words()) {
            return Err(Failure::Looping);
        }
    }
    if answer.calls_tools() {
        return arguments(answer);
    }
    if request.format == Format::Text {
        return Ok(());
    }
    form(&request.format, &answer.text(), answer.finish)
}

/// Arguments of calls are JSON objects; whether they fit the tool's schema is the tool's own affair.
fn arguments(answer: &Answer) -> Result<(), Failure> {
    for part in &answer.parts {
        if let Part::ToolCall { name, arguments, .. } = part {
            let sound =
                arguments.trim().is_empty() || serde_json::from_str::<Value>(arguments).is_ok_and(|v| v.is_object());
            if !sound && answer.finish == Finish::Length {
                return Err(Failure::Cut);
            }
            if !sound {
                return Err(Failure::Garbled(format!("the arguments of a call of `{name}` are no JSON object")));
            }
        }
    }
    Ok(())
}

/// Checks a text against the form that was asked for.
///
/// # Errors
/// It is no JSON, or does not fit the schema.
pub fn form(format: &Format, text: &str, finish: Finish) -> Result<(), Failure> {
    let schema = match format {
        Format::Text => return Ok(()),
        Format::JsonObject => None,
        Format::JsonSchema { schema, .. } => Some(schema),
    };
    let value: Value = serde_json::from_str(text).map_err(|error| {
        if finish == Finish::Length {
            Failure::Cut
        } else {
            Failure::WrongSchema(format!("it is no JSON at line {}, column {}", error.line(), error.column()))
        }
    })?;
    let Some(schema) = schema else {
        return if value.is_object() { Ok(()) } else { Err(Failure::WrongSchema("it is no JSON object".to_owned())) };
    };
    let validator = jsonschema::validator_for(schema)
        .map_err(|error| Failure::WrongSchema(format!("the schema itself is none: {}", error.schema_path())))?;
    match validator.iter_errors(&value).next() {
        None => Ok(()),
        // Its path tells enough; the value may be somebody's data.
        Some(error) => {
            let (at, rule) = (error.instance_path().to_string(), error.schema_path().to_string());
            let at = if at.is_empty() { "the top" } else { &at };
            Err(Failure::WrongSchema(format!("{at} breaks {rule}")))
        }
    }
}

/// Whether a schema can be checked at all; asked before a call, so that a wrong one costs nothing.
///
/// # Errors
/// What is wrong with it.
pub fn schema(format: &Format) -> Result<(), String> {
    match format {
        Format::JsonSchema { schema, .. } => {
            jsonschema::validator_for(schema).map(drop).map_err(|error| error.to_string())
        }
        Format::Text | Format::JsonObject => Ok(()),
    }
}

/// Whether a text ends in a loop: its last part is a short text many times over.
pub fn loops(text: &str) -> bool {
    if text.len() < LOOP_BYTES {
        return false;
    }
    let tail = &text.as_bytes()[text.len() - LOOP_BYTES..];
    (1..=LONGEST_PERIOD).any(|period| {
        // Spaces and rules of tables repeat in good answers too; a loop says something again and again.
        let worth = tail[LOOP_BYTES - period..].iter().any(u8::is_ascii_alphanumeric) || !tail.is_ascii();
        let times = LOOP_TIMES.max(LOOP_BYTES / period / 2);
        worth && period * times <= LOOP_BYTES && {
            let span = &tail[LOOP_BYTES - period * times..];
            span[period..] == span[..span.len() - period]
        }
    })
}

/// Looks for loops while a text grows, without keeping more of it than that takes.
#[derive(Debug, Default)]
pub struct LoopWatch {
    tail: String,
    since: usize,
}

impl LoopWatch {
    /// More of the text; true when it loops.
    pub fn push(&mut self, text: &str) -> bool {
        self.tail.push_str(text);
        self.since += text.len();
        if self.tail.len() > 4 * LOOP_BYTES {
            let mut cut = self.tail.len() - 2 * LOOP_BYTES;
            while !self.tail.is_char_boundary(cut) {
                cut += 1;
            }
            self.tail.drain(..cut);
        }
        // Looking costs more than copying, so it is done now and then.
        if self.since < LOOP_BYTES / 4 {
            return false;
        }
        self.since = 0;
        loops(&self.tail)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn loops_are_seen_and_lists_are_not() {
        assert!(loops(&"and then it went on ".repeat(200)));
        assert!(loops(&format!("A good start. {}", "no ".repeat(1_000))));
        assert!(loops(&"是的。".repeat(1_000)));
        let list: String = (0..400).map(|n| format!("{n}. item number {n}\n")).collect();
        assert!(!loops(&list));
        let rows: String = (0..300).map(|n| format!("| {:>20} | {n} |\n", "")).collect();
        assert!(!loops(&rows));
        assert!(!loops(&" ".repeat(5_000)));
        assert!(!loops("no no no"));
        let mut watch = LoopWatch::default();
        assert!((0..2_000).any(|_| watch.push("again ")));
        assert!(watch.tail.len() <= 5 * LOOP_BYTES);
    }

    #[test]
    fn forms_are_checked_with_the_place_of_the_first_wrong_value() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let format = Format::JsonSchema { name: "x".into(), schema, strict: None };
        assert_eq!(form(&format, r#"{"n": 1}"#, Finish::Stop), Ok(()));
        let Err(Failure::WrongSchema(why)) = form(&format, r#"{"n": "secret"}"#, Finish::Stop) else { panic!() };
        assert!(why.contains("/n") && !why.contains("secret"), "{why}");
        assert!(form(&format, "{}", Finish::Stop).is_err());
        assert!(matches!(form(&format, "nothing", Finish::Stop), Err(Failure::WrongSchema(_))));
        assert_eq!(form(&format, r#"{"n": "#, Finish::Length), Err(Failure::Cut));
        assert!(form(&Format::JsonObject, "[]", Finish::Stop).is_err());
        assert!(
            self::schema(&Format::JsonSchema { name: "x".into(), schema: json!({"type": 7}), strict: None }).is_err()
        );
    }
}

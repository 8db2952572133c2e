//! The values a run is started with.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use crate::{
    codes::tm02,
    diagnostic::{Diagnostic, Place},
    spec::{ParamType, Pipeline},
    suggest,
};

/// Fits the given values to the definition's parameters: every one known, of its type, and none missing;
/// defaults fill the gaps. Numbers and booleans may come as text, as they do from a command line.
///
/// # Errors
/// Everything that does not fit.
pub fn bind(pipeline: &Pipeline, given: &Map<String, Value>) -> Result<Map<String, Value>, Vec<Diagnostic>> {
    let mut bound = Map::new();
    let mut problems = Vec::new();
    let problem = |code, name: &str, message: String, help: String| {
        Diagnostic::error(code, Place::default(), format!("params.{name}"), message).help(help)
    };
    for name in given.keys().filter(|name| !pipeline.params.contains_key(*name)) {
        let help = suggest::help(name, pipeline.params.keys().map(String::as_str), "parameters");
        problems.push(problem(tm02::UNKNOWN_PARAM, name, format!("there is no parameter `{name}`"), help));
    }
    for (name, param) in &pipeline.params {
        match (given.get(name), &param.default) {
            (Some(value), _) => match fit(param.kind, value, true) {
                Ok(value) => drop(bound.insert(name.clone(), value)),
                Err(wanted) => {
                    let message = format!("`{name}` got {}, and its type wants {wanted}", describe(value));
                    let help = format!("as in `{name}={}`", example(param.kind));
                    problems.push(problem(tm02::BAD_PARAM, name, message, help));
                }
            },
            (None, Some(default)) => {
                let value = fit(param.kind, default, false).unwrap_or_else(|_| default.clone());
                bound.insert(name.clone(), value);
            }
            (None, None) => {
                let help = format!(
                    "give it a value, as in `{name}={}`, or a `default` in the definition",
                    example(param.kind)
                );
                problems.push(problem(tm02::MISSING_PARAM, name, format!("the parameter `{name}` has no value"), help));
            }
        }
    }
    if problems.is_empty() { Ok(bound) } else { Err(problems) }
}

const fn example(kind: ParamType) -> &'static str {
    match kind {
        ParamType::String => "text",
        ParamType::Integer => "3",
        ParamType::Number => "1.5",
        ParamType::Boolean => "true",
        ParamType::Date => "2024-05-31",
        ParamType::Timestamp => "2024-05-31T06:00:00Z",
    }
}

/// A value, for people.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => format!("the text `{text}`"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
    }
}

/// The value in its type's one form, or what the type wants. Points in time become UTC.
pub(crate) fn fit(kind: ParamType, value: &Value, from_text: bool) -> Result<Value, &'static str> {
    let text = value.as_str();
    let parsed = |wanted: fn(&Value) -> bool| {
        let text = text.filter(|_| from_text)?;
        serde_json::from_str::<Value>(text).ok().filter(wanted)
    };
    match kind {
        ParamType::String => text.map(|text| Value::String(text.to_owned())).ok_or("text; put it in quotes"),
        ParamType::Integer => whole(value).or_else(|| whole(&parsed(Value::is_number)?)).ok_or("a whole number"),
        ParamType::Number if value.is_number() => Ok(value.clone()),
        ParamType::Number => parsed(Value::is_number).ok_or("a number"),
        ParamType::Boolean if value.is_boolean() => Ok(value.clone()),
        ParamType::Boolean => parsed(Value::is_boolean).ok_or("`true` or `false`"),
        ParamType::Date => text
            .filter(|text| text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok())
            .map(|text| Value::String(text.to_owned()))
            .ok_or("a date such as 2024-05-31"),
        ParamType::Timestamp => text
            .and_then(moment)
            .map(|moment| Value::String(moment.to_rfc3339_opts(digits(moment), true)))
            .ok_or("a point in time such as 2024-05-31T06:00:00Z"),
    }
}

fn whole(value: &Value) -> Option<Value> {
    (value.is_i64() || value.is_u64()).then(|| value.clone())
}

/// RFC 3339; without an offset it is UTC.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let with_offset = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    with_offset
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|moment| moment.and_utc()))
        .ok()
}

fn digits(moment: DateTime<Utc>) -> SecondsFormat {
    if moment.timestamp_subsec_nanos() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compile::{Known, read};

    fn pipeline() -> Pipeline {
        let text = "
pipeline: p
params:
  s: {type: string}
  i: {type: integer, default: 1}
  n: {type: number, default: 0}
  b: {type: boolean, default: false}
  d: {type: date, default: 2024-01-01}
  t: {type: timestamp, default: '2024-01-01T02:00:00+02:00'}
tasks:
  a: {sql: SELECT 1}
";
        read(text, &Known::default()).expect("sound").pipeline
    }

    fn given(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("a map")
    }

    #[test]
    fn defaults_fill_gaps_and_text_becomes_its_type() {
        let bound = bind(&pipeline(), &given(json!({"s": "5", "i": "7", "b": "true"}))).expect("fits");
        let expected = json!({"s": "5", "i": 7, "n": 0, "b": true, "d": "2024-01-01", "t": "2024-01-01T00:00:00Z"});
        assert_eq!(Value::Object(bound), expected);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let wrong = json!({"i": "1.5", "n": "x", "b": "yes", "d": "2024-02-30", "t": "now", "z": 1});
        let problems = bind(&pipeline(), &given(wrong)).expect_err("nothing fits");
        let codes: Vec<_> = problems.iter().map(|problem| (problem.code, problem.path.as_str())).collect();
        let bad = tm02::BAD_PARAM;
        assert_eq!(
            codes,
            [
                (tm02::UNKNOWN_PARAM, "params.z"),
                (tm02::MISSING_PARAM, "params.s"),
                (bad, "params.i"),
                (bad, "params.n"),
                (bad, "params.b"),
                (bad, "params.d"),
                (bad, "params.t"),
            ]
        );
    }
}

use std::collections::BTreeSet;

use super::*;
use crate::{
    compile::{Known, read},
    read::parse,
};

/// As much of a validator as the generated schema needs; an unknown word fails the test.
fn valid(schema: &Value, root: &Value, value: &Value) -> Result<(), String> {
    let Some(rules) = schema.as_object() else {
        return if schema == &json!(true) { Ok(()) } else { Err("never".to_owned()) };
    };
    for (word, rule) in rules {
        let sound = match word.as_str() {
            "$ref" => {
                let path = rule.as_str().and_then(|path| path.strip_prefix('#')).expect("a local reference");
                valid(root.pointer(path).expect(path), root, value)?;
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|t| is(t, value)),
                one => is(one, value),
            },
            "properties" => {
                for (key, inner) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(key) {
                        valid(rule, root, inner).map_err(|error| format!("{key}: {error}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let named = rules.get("properties").and_then(Value::as_object);
                for (key, inner) in value.as_object().into_iter().flatten() {
                    if named.is_none_or(|named| !named.contains_key(key)) {
                        valid(rule, root, inner).map_err(|error| format!("{key}: {error}"))?;
                    }
                }
                true
            }
            "propertyNames" => {
                value.as_object().into_iter().flatten().all(|(key, _)| valid(rule, root, &json!(key)).is_ok())
            }
            "required" => {
                rule.as_array().into_iter().flatten().all(|key| value.get(key.as_str().unwrap_or_default()).is_some())
            }
            "items" => {
                for inner in value.as_array().into_iter().flatten() {
                    valid(rule, root, inner)?;
                }
                true
            }
            "oneOf" => {
                rule.as_array().into_iter().flatten().filter(|rule| valid(rule, root, value).is_ok()).count() == 1
            }
            "anyOf" => rule.as_array().into_iter().flatten().any(|rule| valid(rule, root, value).is_ok()),
            "enum" => rule.as_array().is_some_and(|words| words.contains(value)),
            "const" => rule == value,
            "pattern" => value.as_str().is_none_or(|text| {
                regex::Regex::new(rule.as_str().unwrap_or_default()).expect("a pattern").is_match(text)
            }),
            "minimum" => value.as_f64() >= rule.as_f64(),
            "maximum" => value.as_f64() <= rule.as_f64(),
            "minProperties" => value.as_object().map(|map| map.len() as u64) >= rule.as_u64(),
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            other => panic!("the schema uses `{other}`"),
        };
        if !sound {
            return Err(format!("{word} {rule} does not hold for {value}"));
        }
    }
    Ok(())
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => false,
    }
}

fn value(text: &str) -> Value {
    parse(text, &mut Vec::new()).expect("YAML").to_json()
}

#[test]
fn what_reads_is_valid() {
    let schema = json_schema();
    for text in [crate::compile::EVERYTHING, "pipeline: p\ntasks:\n  a:\n    sql: SELECT 1\n"] {
        read(text, &Known { connections: [("shop".to_owned(), Default::default())].into(), ..Known::default() })
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(valid(&schema, &schema, &value(text)), Ok(()));
    }
}

#[test]
fn every_example_is_valid() {
    let schema = json_schema();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/pipelines");
    let paths = std::fs::read_dir(&folder).expect("examples").map(|entry| entry.expect("a readable entry").path());
    let definitions: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    assert!(!definitions.is_empty(), "no examples in {}", folder.display());
    for path in definitions {
        let text = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(valid(&schema, &schema, &value(&text)), Ok(()), "{}", path.display());
    }
}

#[test]
fn stored_versions_are_valid_too() {
    let schema = json_schema();
    let known = Known { connections: [("shop".to_owned(), Default::default())].into(), ..Known::default() };
    let compiled = read(crate::compile::EVERYTHING, &known).expect("sound");
    let stored = serde_json::to_value(&compiled.pipeline).expect("JSON");
    assert_eq!(valid(&schema, &schema, &stored), Ok(()));
    let again: Pipeline = serde_json::from_value(stored).expect("the same");
    assert_eq!(again, compiled.pipeline);
}

#[test]
fn what_does_not_read_is_not_valid() {
    let schema = json_schema();
    for text in [
        "tasks: {a: {sql: SELECT 1}}",
        "pipeline: P\ntasks: {a: {sql: SELECT 1}}",
        "pipeline: p\ntasks: {}",
        "pipeline: p\ntasks: {a: {}}",
        "pipeline: p\ntasks: {a: {sql: SELECT 1, wait: {for: 1s}}}",
        "pipeline: p\ntasks: {a: {sqll: SELECT 1}}",
        "pipeline: p\ntasks: {a: {sql: SELECT 1, retires: 1}}",
        "pipeline: p\ntasks: {a: {wait: {for: soon}}}",
        "pipeline: p\ntasks: {a: {load: {input: b, connection: c, table: d, mode: overwrite}}}",
    ] {
        assert!(valid(&schema, &schema, &value(text)).is_err(), "{text}");
    }
}

/// A key that only the types know would be refused by reading; one that only reading knows, by the schema.
#[test]
fn every_key_of_the_schema_is_used_by_the_full_example() {
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                found.insert(key.clone());
                keys(value, found);
            }),
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let schema = json_schema();
    let mut used = BTreeSet::new();
    keys(&value(crate::compile::EVERYTHING), &mut used);
    let parts = schema["$defs"].as_object().expect("parts").iter().map(|(name, part)| (name.as_str(), part));
    let not_built =
        ["for_each", "max_parallel", "pool", "incremental", "cursor", "lookback", "llm", "approval", "run", "notify"];
    for (name, part) in parts.chain([("Pipeline", &schema)]) {
        for key in part["properties"].as_object().into_iter().flatten().map(|(key, _)| key) {
            assert!(used.contains(key) || not_built.contains(&key.as_str()), "{name}.{key} is not in the full example");
        }
    }
}

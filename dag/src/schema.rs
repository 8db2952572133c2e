//! The JSON Schema of the language, for editors and models.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::spec::Pipeline;

/// The schema of a whole definition, generated from the types in [`crate::spec`] and then told what only
/// reading knows: that a task has one kind, and the short forms.
pub fn json_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Pipeline>();
    let mut schema = schema.to_value();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), json!("Tidemill pipeline"));
    }
    for path in [
        "/properties/pipeline",
        "/properties/params/propertyNames",
        "/properties/vars/propertyNames",
        "/properties/tasks/propertyNames",
    ] {
        set(&mut schema, path, "pattern", json!("^[a-z][a-z0-9_]{0,62}$"));
    }
    set(&mut schema, "/properties/tasks", "minProperties", json!(1));
    if let Some(task) = schema.pointer_mut("/$defs/Task").and_then(Value::as_object_mut) {
        one_kind(task);
    }
    set(&mut schema, "/$defs/Task/properties/when", "type", json!(["string", "boolean", "null"]));
    if let Some(inputs) = schema.pointer_mut("/$defs/Python/properties/inputs") {
        let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let list = json!({"type": "array", "items": {"type": "string"}});
        let description = inputs.get("description").cloned().unwrap_or_default();
        *inputs = json!({"description": description, "anyOf": [map, list]});
    }
    schema
}

fn set(schema: &mut Value, path: &str, key: &str, value: Value) {
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
    let Some(parent) = schema.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    if let Some(target) = parent.entry(last).or_insert_with(|| json!({})).as_object_mut() {
        target.insert(key.to_owned(), value);
    }
}

/// The kinds are alternatives of the whole task; as its properties, exactly one of them required, they let
/// an editor complete keys and still refuse unknown ones.
fn one_kind(task: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = task.remove("oneOf") else { return };
    let mut required = Vec::new();
    for variant in variants {
        let Some(kinds) = variant.get("properties").and_then(Value::as_object) else { continue };
        for (kind, body) in kinds {
            let mut body = body.clone();
            if let (Some(body), Some(description)) = (body.as_object_mut(), variant.get("description")) {
                body.entry("description").or_insert_with(|| description.clone());
            }
            required.push(json!({ "required": [kind] }));
            if let Some(properties) = task.entry("properties").or_insert_with(|| json!({})).as_object_mut() {
                properties.insert(kind.clone(), body);
            }
        }
    }
    task.insert("oneOf".to_owned(), Value::Array(required));
    task.insert("additionalProperties".to_owned(), Value::Bool(false));
    task.remove("unevaluatedProperties");
}

#[cfg(test)]
mod tests;

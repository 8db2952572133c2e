//! The JSON Schema of the language, for editors and models.

/// The schema of a whole definition, generated from the types in [`crate::spec`].
pub fn json_schema() -> serde_json::Value {
    unimplemented!()
}

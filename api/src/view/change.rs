use serde::Serialize;
use serde_json::{Value, json};
use tidemill_dag::id::VersionId;
use utoipa::ToSchema;

use crate::definitions::Change;

/// What applying a definition changes, or would change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeView {
    /// The pipeline.
    pub name: String,
    /// The version that the definition is.
    #[schema(value_type = String)]
    pub version: VersionId,
    /// Its number, once it is saved.
    pub number: Option<u32>,
    /// The version that was active before.
    #[schema(value_type = Option<String>)]
    pub before: Option<VersionId>,
    /// Whether it was applied; a plan only looks.
    pub applied: bool,
    /// Whether the version is another one than the active one.
    pub changed: bool,
    /// What is different: `tasks`, `edges`, `columns`, `schedule`, `settings`, and what could not be compared.
    #[schema(value_type = Object)]
    pub diff: Value,
    /// What is worth a look.
    #[schema(value_type = Vec<Object>)]
    pub warnings: Vec<Value>,
}

impl ChangeView {
    /// A change, before it is applied.
    pub fn planned(change: &Change) -> Self {
        Self {
            name: change.pipeline.clone(),
            version: change.version.clone(),
            number: None,
            before: change.before.clone(),
            applied: false,
            changed: change.changed(),
            diff: json!(change.diff),
            warnings: change.warnings.iter().map(|warning| json!(warning)).collect(),
        }
    }

    /// The same once it is applied, under its number.
    #[must_use]
    pub fn applied(self, number: u32) -> Self {
        Self { number: Some(number), applied: true, ..self }
    }
}

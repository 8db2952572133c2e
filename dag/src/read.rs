//! From text to [`Pipeline`], with everything that is wrong on the way, not only the first.
//!
//! `tree` makes nodes with places of the text, `decode` says how a node becomes a value, and the
//! others say what each part of the language is made of. A part that is wrong never hides another:
//! it is noted and left out, and reading goes on beside it.

mod decode;
mod document;
mod json;
mod kinds;
mod syntax;
mod task;
pub(crate) mod tree;
mod trigger;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{diagnostic::Diagnostic, places::Places, spec::Pipeline};

pub(crate) use syntax::{parse, too_large, utf8};
pub(crate) use task::BUILT;

/// What could be read of a definition.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The sound parts.
    pub(crate) pipeline: Option<Pipeline>,
    /// Tasks that are there but were left out of `pipeline`; others may still name them.
    pub(crate) broken: BTreeSet<String>,
    /// What is wrong.
    pub(crate) problems: Vec<Diagnostic>,
}

/// Reads any YAML or JSON text as a plain value, with the place of everything in it. This is how the project's
/// other files are read.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn document(text: &str) -> Result<(Value, Places), Vec<Diagnostic>> {
    let mut problems = Vec::new();
    match parse(text, &mut problems) {
        Some(root) if problems.is_empty() => Ok((root.to_json(), Places::new(text, root))),
        Some(_) | None => Err(problems),
    }
}

/// Reads a whole definition from its tree.
pub(crate) fn definition(root: &tree::Node) -> Draft {
    document::decode(root)
}

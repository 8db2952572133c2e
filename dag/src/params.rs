//! The values a run is started with.

use serde_json::{Map, Value};

use crate::{diagnostic::Diagnostic, spec::Pipeline};

/// Fits the given values to the definition's parameters: every one known, of its type, and none missing;
/// defaults fill the gaps. Numbers and booleans may come as text, as they do from a command line.
///
/// # Errors
/// Everything that does not fit.
pub fn bind(pipeline: &Pipeline, given: &Map<String, Value>) -> Result<Map<String, Value>, Vec<Diagnostic>> {
    let _ = (pipeline, given);
    unimplemented!()
}

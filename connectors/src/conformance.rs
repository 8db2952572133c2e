//! The contract in executable form: one call exercises any connector.

use std::sync::Arc;

use crate::Connection;

/// What to exercise: the suite creates, fills and leaves tables whose names start with `prefix`.
#[derive(Debug, Clone)]
pub struct Subject {
    /// A connection that may be written to.
    pub connection: Arc<dyn Connection>,
    /// Start of every table name that the suite uses.
    pub prefix: String,
}

//! What a load is: its identity, its request, its receipt.

use std::fmt;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_dag::{
    id::{Attempt, TaskKey},
    spec::{Contract, LoadMode},
};

/// Names one load for ever: run, task and map index, but not the attempt, so that a second attempt of the
/// same task is recognised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoadId(pub String);

impl LoadId {
    /// The id of a task's load; `item` is the index within `for_each`, 0 without it.
    pub fn new(task: TaskKey, item: u32) -> Self {
        Self(format!("{task}_{item}"))
    }
}

impl fmt::Display for LoadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to write, and how.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// The load's identity.
    pub load_id: LoadId,
    /// The attempt that writes; a lower one than recorded is refused.
    pub fence: Attempt,
    /// The table, as the connection names it.
    pub table: String,
    /// How the rows meet those already there.
    pub mode: LoadMode,
    /// For `merge`: the columns that name a row.
    pub key: Vec<String>,
    /// What happens when the columns differ from the table's.
    pub contract: Contract,
    /// The columns of the rows; every batch has exactly these.
    pub schema: SchemaRef,
}

/// What a load did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Rows written.
    pub rows: u64,
    /// Bytes written, as stored.
    pub bytes: u64,
    /// Where they went, for people: file paths, or a table's full name.
    pub places: Vec<String>,
    /// True if an earlier call had already done it.
    pub already: bool,
}

/// Knows whether the writer may still publish.
#[async_trait]
pub trait CommitGuard: Send + Sync {
    /// Asked right before rows become visible; `false` leaves nothing behind.
    async fn may_commit(&self) -> bool;
}

/// Always lets the load through; for callers that cannot be overtaken.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unguarded;

#[async_trait]
impl CommitGuard for Unguarded {
    async fn may_commit(&self) -> bool {
        true
    }
}

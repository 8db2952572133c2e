//! Data checks.
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidemill_dag::{spec::Check, time::Timestamp};

use crate::{EngineError, Rows, Session};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Rows that were tested.
    pub rows: u64,
    /// Whether everything holds.
    pub passed: bool,
    /// One entry per expectation, in the order of the definition.
    pub results: Vec<ExpectationResult>,
}

/// What one expectation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectationResult {
    /// Its name, as in `not_null`.
    pub name: String,
    /// The columns it is about; none for those about the whole.
    pub columns: Vec<String>,
    /// Whether it is about single rows or the whole.
    pub scope: Scope,
    /// What was expected, in one sentence.
    pub expected: String,
    /// What was found, in one sentence.
    pub found: String,
    /// Whether it holds.
    pub passed: bool,
    /// How many rows offend; 0 or 1 for those about the whole.
    pub violations: u64,
    /// Some of the offending rows, at most ten, long values cut.
    pub sample: Vec<Map<String, Value>>,
}

/// What an expectation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Single rows: the offending ones can be set aside.
    Rows,
    /// The whole: nothing can be set aside.
    Whole,
}

/// A relation in two parts.
#[derive(Debug)]
pub struct Split {
    /// The rows that pass.
    pub surviving: Rows,
    /// The rows that do not, with a column `_reason` that says why.
    pub quarantined: Rows,
}

impl Session {
    /// Tests a relation.
    ///
    /// # Errors
    /// A column is not there, or the relation cannot be read.
    pub async fn check(&self, check: &Check, moment: Timestamp) -> Result<CheckReport, EngineError> {
        let _ = (check, moment);
        Err(EngineError::Stopped { problem: String::new() })
    }

    /// Splits a relation into rows that pass and rows that do not.
    ///
    /// # Errors
    /// As [`Session::check`].
    pub async fn split(&self, check: &Check) -> Result<Split, EngineError> {
        let _ = check;
        Err(EngineError::Stopped { problem: String::new() })
    }
}

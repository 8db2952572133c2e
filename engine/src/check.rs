//! Data checks: what must hold of a relation's rows, tested by streaming queries, and the rows that offend.
//!
//! What NULL means: `not_null` counts it; every other expectation lets it pass, and rows with NULL in one of the
//! columns are not compared by `unique`. NaN lies in no range. `freshness` needs at least one value; a date counts
//! from the end of its day.

mod condition;
mod run;
mod sample;
mod split;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Rows;

pub use sample::json_rows;

pub(crate) use condition::{Rule, Tested, find_column, tested};

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

impl CheckReport {
    /// Whether setting the offending rows aside repairs all that does not hold.
    pub fn can_set_aside(&self) -> bool {
        self.results.iter().all(|result| result.passed || result.scope == Scope::Rows)
    }
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
    /// How many rows offend; 0 or 1 for those about the whole, except `sql`, which counts its rows.
    pub violations: u64,
    /// Some of the offending rows, at most ten, long values cut. For `unique` the values that repeat, and how often.
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

/// A relation in two parts. Each part reads the relation anew when it is taken.
#[derive(Debug)]
pub struct Split {
    /// The rows that pass every expectation about single rows, with the relation's own columns.
    pub surviving: Rows,
    /// The others, and one more column, `_reason`, that names what they offend against. Of rows that repeat, none
    /// survives, because nothing says which is right.
    pub quarantined: Rows,
}

#[cfg(test)]
mod tests;

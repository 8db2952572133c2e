//! What a query does, read from its plan: where each column comes from, what each source is asked.

mod lineage;
mod pushdown;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

pub(crate) use lineage::lineage;
pub(crate) use pushdown::pushdown;

/// What a query gives, from what, and how.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The columns of the result.
    pub schema: SchemaRef,
    /// Where each of them comes from, in the same order.
    pub lineage: Vec<ColumnLineage>,
    /// What each source is asked for and what stays here.
    pub pushdown: Vec<ScanFacts>,
}

/// A column of a relation, as the session knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The relation, as it is written in SQL.
    pub relation: String,
    /// The column.
    pub column: String,
}

/// Where one column of a result comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnLineage {
    /// The column of the result.
    pub column: String,
    /// The columns whose values or presence made it, sorted.
    pub sources: Vec<Influence>,
}

/// One source of one column, and in which way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Influence {
    /// The source.
    #[serde(flatten)]
    pub source: Source,
    /// What it does to the column.
    #[serde(rename = "use")]
    pub how: Use,
}

/// Whether a source's values are in the column, or decide about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// The value comes from it.
    Direct(Direct),
    /// It decides which rows, which group, which order or which branch.
    Indirect(Indirect),
}

/// How a value comes from its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direct {
    /// Unchanged, perhaps under another name.
    Identity,
    /// Computed row by row.
    Transformation,
    /// Computed from many rows.
    Aggregation,
}

/// How a source decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Indirect {
    /// In a WHERE, HAVING or FILTER, an IN or an EXISTS.
    Filter,
    /// In a join's condition.
    Join,
    /// In GROUP BY or DISTINCT.
    GroupBy,
    /// In ORDER BY.
    Sort,
    /// In a window's PARTITION BY or ORDER BY.
    Window,
    /// In a CASE's condition or the like.
    Conditional,
}

/// What one scan asks of its source, and what is left to do here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanFacts {
    /// The relation, as it is written in SQL or found through a view.
    pub relation: String,
    /// The kind of its connection; `dataset` for data sets, `empty` in dry runs.
    pub kind: String,
    /// The columns that are read.
    pub columns: Vec<String>,
    /// How many columns there are.
    pub of_columns: usize,
    /// Conditions that go to the source.
    pub filters: Vec<String>,
    /// The number of rows after which the source may stop.
    pub limit: Option<u64>,
    /// What is done here although the source might have, and why.
    pub local: Vec<Local>,
}

/// A piece of work that stays in the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The condition or limit.
    pub what: String,
    /// Why the source does not do it.
    pub why: String,
}

#[cfg(test)]
mod tests;

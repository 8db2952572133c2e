//! What is known about the tables that a request may speak of.

use serde::{Deserialize, Serialize};

/// The tables of the given connections, with what helps to recognise them in a sentence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Every connection by name, also those that only receive rows.
    pub connections: Vec<String>,
    /// Every table that could be described.
    pub tables: Vec<Table>,
    /// Tables that could not be described, and why; no request can use them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
}

/// A table that could not be described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// `connection.table`, or the connection alone.
    pub name: String,
    /// What went wrong.
    pub why: String,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The connection that has it.
    pub connection: String,
    /// Its name there.
    pub name: String,
    /// How many rows, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Distinct values seen, for text with few of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Whether `values` are all there are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// Whether no value was seen twice and none was missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Whether the same holds once identical rows are dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique_once: bool,
    /// Whether a missing value was seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nulls: bool,
    /// For whole numbers: the smallest and the greatest seen, if every row was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(i64, i64)>,
}

/// What the values of a column are, as far as a sentence can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Other numbers.
    Number,
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// Calendar days.
    Date,
    /// Points in time.
    Moment,
    /// Lists, structures, bytes: named and counted, nothing more.
    Other,
}

impl Kind {
    /// Whether it can be summed and averaged.
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Number)
    }

    /// Whether it is a day or a moment.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Moment)
    }
}

/// A table of the catalog by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TableId(pub(crate) usize);

/// A column of the catalog by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ColumnId {
    pub(crate) table: TableId,
    pub(crate) column: usize,
}

impl Catalog {
    pub(crate) fn table(&self, id: TableId) -> &Table {
        &self.tables[id.0]
    }

    pub(crate) fn column(&self, id: ColumnId) -> &Column {
        &self.tables[id.table.0].columns[id.column]
    }

    pub(crate) fn table_ids(&self) -> impl Iterator<Item = TableId> + use<> {
        (0..self.tables.len()).map(TableId)
    }

    pub(crate) fn columns(&self, table: TableId) -> impl Iterator<Item = ColumnId> + use<> {
        (0..self.table(table).columns.len()).map(move |column| ColumnId { table, column })
    }

    pub(crate) fn find(&self, table: TableId, name: &str) -> Option<ColumnId> {
        self.columns(table).find(|id| self.column(*id).name.eq_ignore_ascii_case(name))
    }

    /// `table.column`, for people.
    pub(crate) fn label(&self, id: ColumnId) -> String {
        format!("{}.{}", self.table(id.table).name, self.column(id).name)
    }

    /// Hash of everything known: two equal catalogs give equal answers.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&text).to_hex()[..32].to_owned()
    }

    /// The catalog without the tables of one connection (results of earlier requests are no sources).
    #[must_use]
    pub fn without(&self, connection: &str) -> Self {
        let mut catalog = self.clone();
        catalog.tables.retain(|table| table.connection != connection);
        catalog
    }
}

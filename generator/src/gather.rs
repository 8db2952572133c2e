//! Looks at the tables of connections: columns and types, values of text columns that have few, keys.
//! Bounded in rows and memory; a table that cannot be read is noted and left out.

use std::collections::{BTreeSet, HashSet};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use futures::StreamExt;
use tidemill_connectors::{Connection, Connections, ConnectorError, Scan};

use crate::{
    catalog::{Catalog, Column, Kind, Table, Unreadable},
    joins::names_its_rows,
};

/// How much is read, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Tables of one connection.
    pub tables: usize,
    /// Rows of one table.
    pub rows: usize,
    /// Distinct values that are kept of one column; a column with more has none.
    pub distinct: usize,
    /// A longer value is not kept.
    pub value_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { tables: 200, rows: 200_000, distinct: 2_000, value_bytes: 64 }
    }
}

impl Catalog {
    /// Looks at every connection within the default bounds.
    pub async fn gather(connections: &Connections) -> Self {
        Self::gather_within(connections, Bounds::default(), &[]).await
    }

    /// Looks at every connection but the skipped ones, which only receive rows.
    pub async fn gather_within(connections: &Connections, bounds: Bounds, skip: &[&str]) -> Self {
        let mut catalog = Self { connections: connections.0.keys().cloned().collect(), ..Self::default() };
        for (name, connection) in connections.0.iter().filter(|(name, _)| !skip.contains(&name.as_str())) {
            let tables = match connection.tables().await {
                Ok(tables) => tables,
                Err(error) => {
                    catalog.unreadable.push(Unreadable { name: name.clone(), why: error.to_string() });
                    continue;
                }
            };
            for table in tables.iter().take(bounds.tables) {
                match look(connection.as_ref(), name, table, bounds).await {
                    Ok(found) => catalog.tables.push(found),
                    Err(error) => {
                        catalog.unreadable.push(Unreadable { name: format!("{name}.{table}"), why: error.to_string() })
                    }
                }
            }
        }
        catalog
    }
}

async fn look(connection: &dyn Connection, name: &str, table: &str, bounds: Bounds) -> Result<Table, ConnectorError> {
    let info = connection.describe(table).await?;
    // A name with signs that open templates or end lines could not be written down.
    let fields: Vec<_> = info
        .schema
        .fields()
        .iter()
        .filter(|f| f.name().chars().all(|c| !c.is_control() && !"{}%#".contains(c)))
        .collect();
    let mut seen: Vec<Seen> = fields.iter().map(|f| Seen::new(table, f.name(), f.data_type())).collect();
    let wanted: Vec<String> = seen.iter().map(|s| s.name.clone()).collect();
    let scan = Scan { columns: Some(wanted), partitions: 1, ..Scan::table(table) };
    let (mut rows, mut complete, mut lines) = (0, true, HashSet::new());
    'all: for mut stream in connection.scan(scan).await? {
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows += batch.num_rows();
            take(&mut seen, &batch, bounds, &mut lines);
            if rows >= bounds.rows {
                complete = false;
                break 'all;
            }
        }
    }
    let total = info.rows.or_else(|| complete.then_some(rows as u64));
    let columns = seen.into_iter().map(|s| s.column(complete, rows)).collect();
    Ok(Table { connection: name.to_owned(), name: table.to_owned(), rows: total, columns })
}

/// What was seen of one column so far.
struct Seen {
    name: String,
    kind: Kind,
    /// The name says that it is the key of its table.
    key: bool,
    values: Option<BTreeSet<String>>,
    skipped: bool,
    /// `None` once a value came twice.
    distinct: Option<HashSet<String>>,
    /// The same for rows that are not identical to one before; kept for keys only.
    once: Option<HashSet<String>>,
    nulls: bool,
    range: Option<(i64, i64)>,
}

impl Seen {
    fn new(table: &str, name: &str, data_type: &DataType) -> Self {
        let kind = kind(data_type);
        let key = names_its_rows(table, name);
        let named = matches!(kind, Kind::Integer | Kind::Text);
        Self {
            name: name.to_owned(),
            kind,
            key,
            values: (kind == Kind::Text).then(BTreeSet::new),
            skipped: false,
            distinct: named.then(HashSet::new),
            once: (named && key).then(HashSet::new),
            nulls: false,
            range: None,
        }
    }

    fn column(self, complete: bool, rows: usize) -> Column {
        let some = rows > 0 && !self.nulls;
        let values: Vec<String> = self.values.unwrap_or_default().into_iter().collect();
        Column {
            complete: complete && !self.skipped && !values.is_empty(),
            values,
            unique: some && self.distinct.is_some(),
            unique_once: some && self.distinct.is_none() && self.once.is_some(),
            nulls: self.nulls,
            range: self.range.filter(|_| complete),
            name: self.name,
            kind: self.kind,
        }
    }

    fn take(&mut self, array: &ArrayRef, fresh: &[bool], bounds: Bounds) {
        self.nulls |= array.null_count() > 0;
        if self.kind == Kind::Integer
            && let Ok(numbers) = cast(array, &DataType::Int64)
        {
            for value in numbers.as_primitive::<Int64Type>().iter().flatten() {
                let (low, high) = self.range.unwrap_or((value, value));
                self.range = Some((low.min(value), high.max(value)));
            }
        }
        if self.values.is_none() && self.distinct.is_none() && self.once.is_none() {
            return;
        }
        let Ok(texts) = cast(array, &DataType::Utf8) else { return };
        for (row, value) in texts.as_string::<i32>().iter().enumerate() {
            if let Some(value) = value {
                self.value(value, fresh.get(row).copied().unwrap_or(true), bounds);
            }
        }
    }

    fn value(&mut self, value: &str, fresh: bool, bounds: Bounds) {
        if let Some(values) = &mut self.values {
            if value.len() > bounds.value_bytes || value.is_empty() || value.chars().any(char::is_control) {
                self.skipped = true;
            } else if !values.contains(value) {
                values.insert(value.to_owned());
            }
            if values.len() > bounds.distinct {
                self.values = None;
            }
        }
        if self.distinct.as_mut().is_some_and(|d| !d.insert(value.to_owned())) {
            self.distinct = None;
        }
        if fresh && self.once.as_mut().is_some_and(|d| !d.insert(value.to_owned())) {
            self.once = None;
        }
    }
}

fn take(seen: &mut [Seen], batch: &RecordBatch, bounds: Bounds, lines: &mut HashSet<blake3::Hash>) {
    // Whole rows are only compared where a key could stand twice.
    let fresh = if seen.iter().any(|s| s.key) { first_time(batch, lines) } else { Vec::new() };
    for column in seen {
        if let Some(array) = batch.column_by_name(&column.name) {
            column.take(array, &fresh, bounds);
        }
    }
}

/// For each row whether no identical one came before.
fn first_time(batch: &RecordBatch, lines: &mut HashSet<blake3::Hash>) -> Vec<bool> {
    let texts: Vec<Option<ArrayRef>> = batch.columns().iter().map(|c| cast(c, &DataType::Utf8).ok()).collect();
    (0..batch.num_rows())
        .map(|row| {
            let mut hash = blake3::Hasher::new();
            for text in texts.iter().flatten() {
                let text = text.as_string::<i32>();
                let value = if text.is_null(row) { "\u{0}" } else { text.value(row) };
                hash.update(&(value.len() as u64).to_le_bytes());
                hash.update(value.as_bytes());
            }
            lines.insert(hash.finalize())
        })
        .collect()
}

fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => Kind::Integer,
        DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Kind::Number,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Boolean => Kind::Flag,
        DataType::Date32 | DataType::Date64 => Kind::Date,
        DataType::Timestamp(..) => Kind::Moment,
        DataType::Dictionary(_, values) => kind(values),
        DataType::Null
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Binary
        | DataType::FixedSizeBinary(_)
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::List(_)
        | DataType::ListView(_)
        | DataType::FixedSizeList(..)
        | DataType::LargeList(_)
        | DataType::LargeListView(_)
        | DataType::Struct(_)
        | DataType::Union(..)
        | DataType::Map(..)
        | DataType::RunEndEncoded(..) => Kind::Other,
    }
}

//! Which row groups of a Parquet file a filter rules out, by their statistics. Says "may match" whenever in doubt.

use std::cmp::Ordering;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Int64Type, TimeUnit},
};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, statistics::StatisticsConverter};

use crate::{Comparison, Literal, Predicate};

/// Whether a row group may hold rows for which all filters are true.
pub fn may_match(filters: &[Predicate], footer: &ArrowReaderMetadata, group: usize) -> bool {
    filters.iter().all(|filter| may_be_true(filter, footer, group))
}

/// Whether statistics can rule anything out by this predicate.
pub fn helps(predicate: &Predicate) -> bool {
    let comparable = |literal: &Literal| {
        matches!(literal, Literal::Int(_) | Literal::Date(_) | Literal::Timestamp { .. } | Literal::Text(_))
    };
    match predicate {
        Predicate::Compare { op, literal, .. } => *op != Comparison::NotEq && comparable(literal),
        Predicate::In { values, .. } => values.iter().all(comparable),
        Predicate::IsNull(_) | Predicate::IsNotNull(_) => true,
        Predicate::And(parts) => parts.iter().any(helps),
        Predicate::Or(parts) => parts.iter().all(helps),
    }
}

fn may_be_true(predicate: &Predicate, footer: &ArrowReaderMetadata, group: usize) -> bool {
    let facts = |column: &str| Facts::of(footer, group, column);
    match predicate {
        Predicate::Compare { column, op, literal } => facts(column).is_none_or(|facts| facts.may(*op, literal)),
        Predicate::In { column, values } => {
            facts(column).is_none_or(|facts| values.iter().any(|value| facts.may(Comparison::Eq, value)))
        }
        Predicate::IsNull(column) => facts(column).is_none_or(|facts| facts.nulls != Some(0)),
        Predicate::IsNotNull(column) => facts(column).is_none_or(|facts| facts.nulls != Some(facts.rows)),
        Predicate::And(parts) => parts.iter().all(|part| may_be_true(part, footer, group)),
        Predicate::Or(parts) => parts.iter().any(|part| may_be_true(part, footer, group)),
    }
}

/// What is known about one column of one row group.
struct Facts {
    min: ArrayRef,
    max: ArrayRef,
    nulls: Option<u64>,
    rows: u64,
}

impl Facts {
    fn of(footer: &ArrowReaderMetadata, group: usize, column: &str) -> Option<Self> {
        let converter = StatisticsConverter::try_new(column, footer.schema(), footer.parquet_schema()).ok()?;
        let facts = footer.metadata().row_group(group);
        let nulls = converter.row_group_null_counts([facts]).ok()?;
        Some(Self {
            min: converter.row_group_mins([facts]).ok()?,
            max: converter.row_group_maxes([facts]).ok()?,
            nulls: nulls.is_valid(0).then(|| nulls.value(0)),
            rows: u64::try_from(facts.num_rows()).ok()?,
        })
    }

    fn may(&self, op: Comparison, literal: &Literal) -> bool {
        if self.nulls == Some(self.rows) {
            return false;
        }
        let against = |bound: &ArrayRef| compare(bound, literal);
        // Bounds may be cut or missing; only a comparison that came out says anything.
        let (min, max) = (against(&self.min), against(&self.max));
        let below = |found: Option<Ordering>, limit: &[Ordering]| found.is_some_and(|found| limit.contains(&found));
        let ruled_out = match op {
            Comparison::Eq => below(min, &[Ordering::Greater]) || below(max, &[Ordering::Less]),
            Comparison::NotEq => false,
            Comparison::Lt => below(min, &[Ordering::Greater, Ordering::Equal]),
            Comparison::LtEq => below(min, &[Ordering::Greater]),
            Comparison::Gt => below(max, &[Ordering::Less, Ordering::Equal]),
            Comparison::GtEq => below(max, &[Ordering::Less]),
        };
        !ruled_out
    }
}

/// A bound against a literal, where both are of the same plain kind.
fn compare(bound: &ArrayRef, literal: &Literal) -> Option<Ordering> {
    if bound.len() != 1 || bound.is_null(0) {
        return None;
    }
    match (bound.data_type(), literal) {
        (whole_type, Literal::Int(value)) if whole_type.is_integer() && *whole_type != DataType::UInt64 => {
            Some(whole(bound, &DataType::Int64)?.cmp(value))
        }
        (DataType::Date32, Literal::Date(days)) => Some(whole(bound, &DataType::Int32)?.cmp(&i64::from(*days))),
        (DataType::Timestamp(TimeUnit::Microsecond, zone), Literal::Timestamp { micros, utc })
            if zone.is_some() == *utc =>
        {
            Some(whole(bound, &DataType::Int64)?.cmp(micros))
        }
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, Literal::Text(text)) => {
            let bound = cast(bound, &DataType::Utf8).ok()?;
            Some(bound.as_string::<i32>().value(0).cmp(text.as_str()))
        }
        _ => None,
    }
}

fn whole(bound: &ArrayRef, through: &DataType) -> Option<i64> {
    let bound = cast(&cast(bound, through).ok()?, &DataType::Int64).ok()?;
    bound.is_valid(0).then(|| bound.as_primitive::<Int64Type>().value(0))
}

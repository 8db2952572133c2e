//! Batches of one schema as batches of another, by column name.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, SchemaRef, TimeUnit},
    error::ArrowError,
};

/// The columns of `target`: those that are missing are empty, those of another type are cast, those that are too
/// many are left out. A value that a cast would change or lose is an error.
pub fn adapt(batch: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == target {
        return Ok(batch.clone());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(array) if array.data_type() == field.data_type() => Ok(Arc::clone(array)),
            Some(array) => cast_with_options(array, field.data_type(), &options),
        }
    };
    let columns = target.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(target), columns, &options)
}

/// The type that holds every value of both, unchanged; none if there is none.
pub fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Null, Timestamp, UInt8, UInt16, UInt32};
    if one == other {
        return Some(one.clone());
    }
    let rank = |data_type: &DataType| match data_type {
        Int8 => Some((true, 8)),
        Int16 => Some((true, 16)),
        Int32 => Some((true, 32)),
        Int64 => Some((true, 64)),
        UInt8 => Some((false, 8)),
        UInt16 => Some((false, 16)),
        UInt32 => Some((false, 32)),
        _ => None,
    };
    if let (Some((signed, bits)), Some((other_signed, other_bits))) = (rank(one), rank(other)) {
        // A signed type holds an unsigned one of half its width.
        let bits = match (signed, other_signed) {
            (true, false) => bits.max(other_bits * 2),
            (false, true) => other_bits.max(bits * 2),
            _ => bits.max(other_bits),
        };
        return match (signed || other_signed, bits) {
            (true, 16) => Some(Int16),
            (true, 32) => Some(Int32),
            (true, 64) => Some(Int64),
            (false, 16) => Some(UInt16),
            (false, 32) => Some(UInt32),
            _ => None,
        };
    }
    match (one, other) {
        (Null, other) | (other, Null) => Some(other.clone()),
        (Float32, Float64) | (Float64, Float32) => Some(Float64),
        (Float64, Int8 | Int16 | Int32) | (Int8 | Int16 | Int32, Float64) => Some(Float64),
        (Decimal128(p, s), Decimal128(q, t)) => {
            let scale = *s.max(t);
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let precision = whole + i16::from(scale);
            (precision <= 38).then(|| Decimal128(precision.unsigned_abs() as u8, scale))
        }
        (Timestamp(unit, zone), Timestamp(other_unit, other_zone)) if zone == other_zone => {
            // Finer units reach less far, so only the coarse ones can be widened up to microseconds.
            let (unit, other_unit) = (unit.min(other_unit), unit.max(other_unit));
            (*other_unit <= TimeUnit::Microsecond || unit == other_unit).then(|| Timestamp(*other_unit, zone.clone()))
        }
        _ => None,
    }
}

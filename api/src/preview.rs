//! Rows of Arrow batches as text cells and as JSON.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

/// Gives every row of a batch as text, cell by cell; NULL is none.
///
/// # Errors
/// A type has no text.
pub fn each_row(batch: &RecordBatch, mut take: impl FnMut(Vec<Option<String>>)) -> Result<(), ArrowError> {
    let options = FormatOptions::default().with_display_error(true);
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
    for row in 0..batch.num_rows() {
        let cell = |(array, format): (&ArrayRef, &ArrayFormatter<'_>)| {
            array.is_valid(row).then(|| format.value(row).to_string())
        };
        take(batch.columns().iter().zip(&columns).map(cell).collect());
    }
    Ok(())
}

/// Batches as JSON objects; numbers and booleans keep their types, everything else is text.
///
/// # Errors
/// A type has no text.
pub fn json(batches: &[RecordBatch]) -> Result<Vec<Value>, ArrowError> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        each_row(batch, |row| {
            let cell = |(field, text): (&FieldRef, Option<String>)| {
                (field.name().clone(), text.map_or(Value::Null, |text| value(field.data_type(), text)))
            };
            rows.push(Value::Object(schema.fields().iter().zip(row).map(cell).collect::<Map<_, _>>()));
        })?;
    }
    Ok(rows)
}

fn value(kind: &DataType, text: String) -> Value {
    let plain = kind.is_integer() || kind.is_floating() || *kind == DataType::Boolean;
    if plain { serde_json::from_str(&text).unwrap_or(Value::String(text)) } else { Value::String(text) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn numbers_stay_numbers() {
        let name: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let n: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(2)]));
        let x: ArrayRef = Arc::new(Float64Array::from(vec![0.5, f64::NAN]));
        let batch = RecordBatch::try_from_iter([("name", name), ("n", n), ("x", x)]).expect("a batch");
        let rows = json(&[batch]).expect("rows");
        assert_eq!(rows[0], serde_json::json!({"name": "a", "n": null, "x": 0.5}));
        assert_eq!(rows[1], serde_json::json!({"name": null, "n": 2, "x": "NaN"}));
    }
}

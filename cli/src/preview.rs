//! The first rows of Arrow batches, as a table or as JSON.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

use crate::error::CliError;
use crate::table::Table;

fn wrong(source: ArrowError) -> CliError {
    CliError::Machine { doing: "show the rows".into(), source: Box::new(source) }
}

/// Batches as a table.
pub fn table(batches: &[RecordBatch]) -> Result<Table, CliError> {
    let Some(first) = batches.first() else { return Ok(Table::default()) };
    let schema = first.schema();
    let mut table = Table {
        head: schema.fields().iter().map(|f| f.name().clone()).collect(),
        right: schema.fields().iter().map(|f| is_number(f.data_type())).collect(),
        rows: Vec::new(),
    };
    for batch in batches {
        each_row(batch, |row| table.rows.push(row))?;
    }
    Ok(table)
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

fn each_row(batch: &RecordBatch, mut take: impl FnMut(Vec<Option<String>>)) -> Result<(), CliError> {
    let options = FormatOptions::default().with_display_error(true);
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    for row in 0..batch.num_rows() {
        let cell = |(array, format): (&arrow::array::ArrayRef, &ArrayFormatter<'_>)| {
            array.is_valid(row).then(|| format.value(row).to_string())
        };
        take(batch.columns().iter().zip(&columns).map(cell).collect());
    }
    Ok(())
}

/// Batches as JSON objects; numbers and booleans keep their types, everything else is text.
pub fn json(batches: &[RecordBatch]) -> Result<Vec<Value>, CliError> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        each_row(batch, |row| {
            let cell = |(field, text): (&arrow::datatypes::FieldRef, Option<String>)| {
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

    fn batch() -> RecordBatch {
        let name: arrow::array::ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let n: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![None, Some(2)]));
        let x: arrow::array::ArrayRef = Arc::new(Float64Array::from(vec![0.5, f64::NAN]));
        RecordBatch::try_from_iter([("name", name), ("n", n), ("x", x)]).expect("a batch")
    }

    #[test]
    fn rows_become_cells() {
        let table = table(&[batch()]).expect("a table");
        assert_eq!(table.right, [false, true, true]);
        assert_eq!(table.rows[0], [Some("a".to_owned()), None, Some("0.5".to_owned())]);
    }

    #[test]
    fn numbers_stay_numbers() {
        let rows = json(&[batch()]).expect("rows");
        assert_eq!(rows[0], serde_json::json!({"name": "a", "n": null, "x": 0.5}));
        assert_eq!(rows[1], serde_json::json!({"name": null, "n": 2, "x": "NaN"}));
    }
}

//! The first rows of Arrow batches, as a table or as JSON.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use serde_json::Value;

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
        tidemill_api::preview::each_row(batch, |row| table.rows.push(row)).map_err(wrong)?;
    }
    Ok(table)
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

/// Batches as JSON objects; numbers and booleans keep their types, everything else is text.
pub fn json(batches: &[RecordBatch]) -> Result<Vec<Value>, CliError> {
    tidemill_api::preview::json(batches).map_err(wrong)
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
}

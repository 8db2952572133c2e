//! A few rows as JSON, for people.

use arrow::{
    array::RecordBatch,
    datatypes::DataType,
    util::display::{ArrayFormatter, FormatOptions},
};
use serde_json::{Map, Value};

use crate::EngineError;

/// A sample has at most this many rows.
pub(crate) const SAMPLE_ROWS: usize = 10;

/// No value in it is longer than this, in characters.
const VALUE_CHARACTERS: usize = 200;

/// The first rows of a batch. Numbers, booleans and NULL keep their kind, everything else becomes text.
pub(crate) fn to_json(batch: &RecordBatch, rows: usize) -> Result<Vec<Map<String, Value>>, EngineError> {
    written(batch, rows, cut)
}

/// All rows of a batch as JSON objects. Numbers, booleans and NULL keep their kind, everything else becomes text.
///
/// # Errors
/// A column has no text form.
pub fn json_rows(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>, EngineError> {
    written(batch, batch.num_rows(), |text| text)
}

fn written(
    batch: &RecordBatch,
    rows: usize,
    fit: impl Fn(String) -> String,
) -> Result<Vec<Map<String, Value>>, EngineError> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let schema = batch.schema();
    let cell = |at: usize, row: usize| {
        let column = batch.column(at);
        if column.is_null(row) || column.data_type() == &DataType::Null {
            return Value::Null;
        }
        let text = columns[at].value(row).to_string();
        let plain = column.data_type() == &DataType::Boolean || column.data_type().is_numeric();
        let exact = plain.then(|| serde_json::from_str::<Value>(&text).ok()).flatten();
        exact.unwrap_or_else(|| Value::String(fit(text)))
    };
    let row = |row: usize| {
        let cells = schema.fields().iter().enumerate();
        cells.map(|(at, field)| (field.name().clone(), cell(at, row))).collect()
    };
    Ok((0..batch.num_rows().min(rows)).map(row).collect())
}

fn cut(text: String) -> String {
    match text.char_indices().nth(VALUE_CHARACTERS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

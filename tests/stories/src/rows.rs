//! Tables as rows of JSON values, and whether two of them are equal whatever the order of rows and columns.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    datatypes::TimestampMicrosecondType,
    json::{LineDelimitedWriter, writer::WriterBuilder},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// The rows that the manifest of a loaded table makes visible, as objects.
pub fn loaded(table: &Path) -> Vec<Value> {
    let manifest = std::fs::read_to_string(table.join("_manifest.json"))
        .unwrap_or_else(|error| panic!("{} was not loaded: {error}", table.display()));
    let manifest: Value = serde_json::from_str(&manifest).expect("a manifest is JSON");
    let parts = manifest["parts"].as_array().expect("a manifest names its parts");
    let files = parts.iter().map(|part| part["file"].as_str().expect("a part is a file"));
    files.flat_map(|file| parquet_rows(&table.join(file))).collect()
}

fn parquet_rows(path: &Path) -> Vec<Value> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build()).expect("it is Parquet");
    let mut text = Vec::new();
    let mut writer: LineDelimitedWriter<_> = WriterBuilder::new().with_explicit_nulls(true).build(&mut text);
    for batch in reader {
        writer.write(&without_zones(&batch.expect("whole pages"))).expect("JSON can hold it");
    }
    writer.finish().expect("memory suffices");
    drop(writer);
    let text = String::from_utf8(text).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

/// The same moments without the name of their zone, which the JSON writer cannot look up; all of ours are UTC.
fn without_zones(batch: &RecordBatch) -> RecordBatch {
    let plain = batch.columns().iter().map(|column| match column.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(moments) => Arc::new(moments.clone().with_timezone_opt(None::<&str>)) as ArrayRef,
        None => column.clone(),
    });
    let names = batch.schema();
    let named = names.fields().iter().map(|field| field.name().as_str()).zip(plain);
    RecordBatch::try_from_iter_with_nullable(named.map(|(name, column)| (name, column, true)))
        .expect("as many as before")
}

/// Rows of objects as rows of cells that compare: see [`cell`].
pub fn cells_of_objects(rows: &[Value]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.as_object().expect("an object").values().map(cell).collect()).collect()
}

/// Rows of arrays as rows of cells that compare.
pub fn cells_of_arrays(rows: &[Value]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.as_array().expect("an array").iter().map(cell).collect()).collect()
}

/// One value as text that is equal when the values are: numbers to nine significant digits (sums of floats in
/// another order), times to the second without a zone, midnight as its date.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "∅".to_owned(),
        Value::Number(number) => significant(number.as_f64().expect("a JSON number")),
        Value::Bool(true) => significant(1.0),
        Value::Bool(false) => significant(0.0),
        Value::String(text) => {
            moment(text).or_else(|| text.parse().ok().map(significant)).unwrap_or_else(|| text.clone())
        }
        other => other.to_string(),
    }
}

fn significant(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { format!("{number:.8e}") }
}

fn moment(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let dated = bytes.len() >= 19 && bytes[4] == b'-' && bytes[7] == b'-' && matches!(bytes[10], b'T' | b' ');
    dated.then(|| {
        let seconds = text[..19].replace(' ', "T");
        seconds.strip_suffix("T00:00:00").map(str::to_owned).unwrap_or(seconds)
    })
}

/// Whether the two tables hold the same rows, each as often, under some order of the columns.
pub fn same(left: &[Vec<String>], right: &[Vec<String>]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let Some(width) = left.first().map(Vec::len) else { return true };
    if right[0].len() != width {
        return false;
    }
    let column = |rows: &[Vec<String>], i: usize| {
        let mut values: Vec<_> = rows.iter().map(|row| row[i].clone()).collect();
        values.sort();
        values
    };
    let lefts: Vec<_> = (0..width).map(|i| column(left, i)).collect();
    let rights: Vec<_> = (0..width).map(|i| column(right, i)).collect();
    let mut wanted = left.to_vec();
    wanted.sort();
    matches(&lefts, &rights, &mut Vec::new(), &|order| {
        let mut rows: Vec<Vec<String>> =
            right.iter().map(|row| order.iter().map(|i| row[*i].clone()).collect()).collect();
        rows.sort();
        rows == wanted
    })
}

/// Tries every assignment of right columns to left ones whose values agree.
fn matches(
    lefts: &[Vec<String>],
    rights: &[Vec<String>],
    order: &mut Vec<usize>,
    whole: &dyn Fn(&[usize]) -> bool,
) -> bool {
    if order.len() == lefts.len() {
        return whole(order);
    }
    for candidate in 0..rights.len() {
        if !order.contains(&candidate) && rights[candidate] == lefts[order.len()] {
            order.push(candidate);
            if matches(lefts, rights, order, whole) {
                return true;
            }
            order.pop();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|&text| text.to_owned()).collect()).collect()
    }

    #[test]
    fn order_does_not_matter_but_rows_do() {
        let one = table(&[&["a", "1"], &["b", "2"]]);
        assert!(same(&one, &table(&[&["2", "b"], &["1", "a"]])));
        assert!(!same(&one, &table(&[&["1", "b"], &["2", "a"]])));
        assert!(!same(&one, &table(&[&["a", "1"]])));
        assert!(!same(&one, &table(&[&["a", "1"], &["b", "2"], &["b", "2"]])));
    }

    #[test]
    fn cells_compare_across_engines() {
        assert_eq!(cell(&Value::from("2013-01-01T10:00:00Z")), cell(&Value::from("2013-01-01T10:00:00.000000")));
        assert_eq!(cell(&Value::from(2)), cell(&Value::from("2.00")));
        assert_eq!(cell(&Value::from("2024-03-01")), cell(&Value::from("2024-03-01T00:00:00Z")));
        assert_ne!(cell(&Value::Null), cell(&Value::from("")));
    }
}

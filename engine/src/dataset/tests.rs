use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, DictionaryArray, Float64Array, Int64Array, IntervalMonthDayNanoArray, RecordBatch,
        StringArray, StringViewArray, TimestampNanosecondArray,
    },
    datatypes::{DataType, Field, Int32Type},
};
use futures::stream;

use super::Manifest;
use crate::{
    EngineError, Rows,
    testing::{Bench, MemoryFiles, batch, schema, table, value},
};

fn ids(range: std::ops::Range<i64>) -> RecordBatch {
    let names = StringArray::from_iter(range.clone().map(|n| (n % 3 != 0).then(|| format!("name {n}"))));
    batch(vec![("id", Arc::new(Int64Array::from_iter_values(range)) as ArrayRef), ("name", Arc::new(names))])
}

async fn write(bench: &Bench, files: &MemoryFiles, batches: Vec<RecordBatch>) -> Manifest {
    let rows = Rows::from_batches(batches[0].schema(), batches);
    bench.engine.write_dataset(rows, Arc::new(files.clone()), "runs/r/t/1/").await.expect("a data set")
}

#[tokio::test]
async fn a_manifest_survives_json_and_describes_the_rows() {
    let bench = Bench::new();
    let files = MemoryFiles::default();
    let manifest = write(&bench, &files, vec![ids(0..10), ids(10..25)]).await;
    assert_eq!((manifest.rows, manifest.files.len()), (25, 1));
    assert_eq!(manifest.files[0].path, "runs/r/t/1/part-00000.parquet");
    assert_eq!(manifest.bytes, files.files.lock().expect("no panic")["runs/r/t/1/part-00000.parquet"].len() as u64);
    assert_eq!(manifest.columns[1].name, "name");
    let text = serde_json::to_string(&manifest).expect("JSON");
    let back: Manifest = serde_json::from_str(&text).expect("the same");
    assert_eq!(back, manifest);
    assert_eq!(back.schema().expect("columns"), ids(0..1).schema());
    let mut session = bench.session();
    session.add_dataset("t", &back, Arc::new(files)).expect("a relation");
    assert_eq!(value(&session, "SELECT count(*) FROM t").await, "25");
    assert_eq!(value(&session, "SELECT sum(id) FROM t WHERE name IS NOT NULL").await, "192");
}

#[tokio::test]
async fn no_rows_keep_their_columns() {
    let bench = Bench::new();
    let files = MemoryFiles::default();
    let manifest = write(&bench, &files, vec![ids(0..0)]).await;
    assert_eq!((manifest.rows, manifest.files.len(), manifest.bytes), (0, 0, 0));
    let mut session = bench.session();
    session.add_dataset("t", &manifest, Arc::new(files)).expect("a relation");
    let rows = session.stream("SELECT name, id FROM t").await.expect("a query");
    assert_eq!(rows.schema().field(1).data_type(), &DataType::Int64);
    assert_eq!(table(rows).await.lines().count(), 4);
    assert_eq!(value(&session, "SELECT count(*) FROM t").await, "0");
}

#[tokio::test]
async fn the_hash_is_of_what_rows_say() {
    let bench = Bench::new();
    let hash = |batches: Vec<RecordBatch>| {
        let bench = &bench;
        async move { write(bench, &MemoryFiles::default(), batches).await.hash }
    };
    let whole = hash(vec![ids(0..10)]).await;
    assert_eq!(hash(vec![ids(5..10), ids(0..5)]).await, whole, "order and batches do not matter");
    assert_ne!(hash(vec![ids(0..9)]).await, whole);
    assert_ne!(hash(vec![ids(0..10), ids(0..1)]).await, whole, "a row more");
    assert_ne!(
        hash(vec![ids(0..10), ids(0..1), ids(0..1)]).await,
        hash(vec![ids(0..10), ids(0..1)]).await,
        "twice is not once"
    );
    let renamed = batch(vec![("key", Arc::clone(ids(0..10).column(0))), ("name", Arc::clone(ids(0..10).column(1)))]);
    assert_ne!(hash(vec![renamed]).await, whole, "names matter");
    let none = hash(vec![ids(0..0)]).await;
    assert_ne!(none, whole);
}

#[tokio::test]
async fn row_groups_are_left_out_by_their_statistics() {
    let bench = Bench::new();
    let files = MemoryFiles::default();
    let batches: Vec<RecordBatch> = (0..300).map(|n| ids(n * 8_000..(n + 1) * 8_000)).collect();
    let manifest = write(&bench, &files, batches).await;
    let mut session = bench.session();
    session.add_dataset("t", &manifest, Arc::new(files.clone())).expect("a relation");
    let read = |files: &MemoryFiles| {
        let reads: u64 = files.reads.lock().expect("no panic").drain(..).map(|range| range.end - range.start).sum();
        reads
    };
    assert!(!value(&session, "SELECT sum(length(name)) FROM t WHERE id % 2 = 0").await.is_empty());
    let everything = read(&files);
    assert_eq!(value(&session, "SELECT name FROM t WHERE id = 2300003").await, "name 2300003");
    let one = read(&files);
    assert!(one * 3 < everything, "{one} of {everything} bytes");
}

#[tokio::test]
async fn files_are_cut_and_read_together() {
    let bench = Bench::new();
    let (a, b) = (MemoryFiles::default(), MemoryFiles::default());
    let mut one = write(&bench, &a, vec![ids(0..100)]).await;
    let two = write(&bench, &b, vec![ids(100..150)]).await;
    let second = b.files.lock().expect("no panic")["runs/r/t/1/part-00000.parquet"].clone();
    let odd = "runs/odd name %20 ü/part.parquet".to_owned();
    a.files.lock().expect("no panic").insert(odd.clone(), second);
    one.files.push(super::DatasetFile { path: odd, ..two.files[0].clone() });
    one.rows += two.rows;
    let mut session = bench.session();
    session.add_dataset("t", &one, Arc::new(a)).expect("a relation");
    assert_eq!(value(&session, "SELECT count(DISTINCT id) FROM t").await, "150");
    assert_eq!(value(&session, "SELECT count(*) FROM t").await, "150");
}

#[tokio::test]
async fn missing_and_short_files_are_named() {
    let bench = Bench::new();
    let files = MemoryFiles::default();
    let manifest = write(&bench, &files, vec![ids(0..100)]).await;
    let mut session = bench.session();
    session.add_dataset("t", &manifest, Arc::new(files.clone())).expect("a relation");
    let path = manifest.files[0].path.clone();
    let whole = files.files.lock().expect("no panic").remove(&path).expect("a file");
    for left in [None, Some(whole.slice(0..100))] {
        if let Some(left) = left {
            files.files.lock().expect("no panic").insert(path.clone(), left);
        }
        let error = session.stream("SELECT id FROM t").await.expect("a query").collect().await.expect_err("no file");
        assert!(matches!(&error, EngineError::DatasetRead { path: named, .. } if *named == path), "{error:?}");
        assert_eq!((error.code(), error.retryable()), ("TM0524", true));
    }
}

#[tokio::test]
async fn an_error_in_the_rows_leaves_no_manifest() {
    let bench = Bench::new();
    let files = MemoryFiles::default();
    let failing = stream::iter([Ok(ids(0..5)), Err(EngineError::Stopped { problem: "test".to_owned() })]);
    let rows = Rows::new(ids(0..1).schema(), failing);
    let error = bench.engine.write_dataset(rows, Arc::new(files.clone()), "x").await.expect_err("the rows fail");
    assert!(matches!(error, EngineError::Stopped { .. }), "{error:?}");
    assert!(files.files.lock().expect("no panic").is_empty(), "an unfinished file is not there");
}

#[tokio::test]
async fn all_sorts_of_types_come_back_as_they_were() {
    let bench = Bench::new();
    let files = MemoryFiles::default();
    let words: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
    let list = arrow::array::ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let rows = batch(vec![
        ("dictionary", Arc::new(words) as ArrayRef),
        ("list", Arc::new(list)),
        ("nan", Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(f64::NEG_INFINITY)]))),
        (
            "nanos",
            Arc::new(
                TimestampNanosecondArray::from(vec![Some(1), None, Some(i64::MAX)]).with_timezone("Europe/Berlin"),
            ),
        ),
        ("view", Arc::new(StringViewArray::from(vec![Some(""), None, Some("a text of more than twelve bytes")]))),
        ("nothing", arrow::array::new_null_array(&DataType::Null, 3)),
    ]);
    let manifest = write(&bench, &files, vec![rows.clone()]).await;
    let mut session = bench.session();
    session.add_dataset("t", &manifest, Arc::new(files)).expect("a relation");
    let back = session.stream_table("t").await.expect("rows").collect().await.expect("rows");
    assert_eq!(back[0].schema(), rows.schema());
    for (name, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let found = back[0].column_by_name(name.name()).expect("the column");
        assert_eq!(found.to_data(), column.to_data(), "{name}");
    }
}

#[tokio::test]
async fn types_without_a_place_are_refused_by_name() {
    let bench = Bench::new();
    let interval = IntervalMonthDayNanoArray::from(vec![None; 1]);
    let rows = batch(vec![("age", Arc::new(interval) as ArrayRef)]);
    let rows = Rows::from_batches(rows.schema(), vec![rows]);
    let error = bench.engine.write_dataset(rows, Arc::new(MemoryFiles::default()), "x").await.expect_err("refused");
    assert!(matches!(&error, EngineError::Unstorable { column, .. } if column == "age"), "{error:?}");
}

#[test]
fn a_damaged_manifest_is_refused() {
    let good = Manifest::new(&schema(vec![Field::new("a", DataType::Utf8, true)]), Vec::new(), String::new())
        .expect("a manifest");
    for arrow in ["", "zz", "abc", &good.arrow[..20], "ä"] {
        let damaged = Manifest { arrow: arrow.to_owned(), ..good.clone() };
        assert!(matches!(damaged.schema(), Err(EngineError::Manifest { .. })), "{arrow}");
    }
}

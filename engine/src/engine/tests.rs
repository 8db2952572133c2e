use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::{StreamExt, stream};

use super::{Engine, EngineConfig};
use crate::{
    EngineError, Rows, Session,
    testing::{Bench, MemoryConnection, MemoryFiles, NOW, batch, value},
};

const BATCH: i64 = 8_192;

/// Rows with a key that never repeats and a text of 60 bytes, in no order.
fn wide(part: i64) -> RecordBatch {
    let scatter = |n: i64| n.wrapping_mul(0x5851_F42D_4C95_7F2D) >> 20;
    let keys: Vec<i64> = (part * BATCH..(part + 1) * BATCH).map(scatter).collect();
    let texts = StringArray::from_iter_values(keys.iter().map(|key| format!("{key:060}")));
    batch(vec![("key", Arc::new(Int64Array::from(keys)) as ArrayRef), ("text", Arc::new(texts))])
}

/// A session with that many batches as the data set `wide`.
async fn session(bench: &Bench, batches: i64) -> Session {
    let files = Arc::new(MemoryFiles::default());
    let rows = Rows::new(wide(0).schema(), stream::iter((0..batches).map(|part| Ok(wide(part)))));
    let manifest = bench.engine.write_dataset(rows, files.clone(), "wide").await.expect("a data set");
    let mut session = bench.session();
    session.add_dataset("wide", &manifest, files).expect("a relation");
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn grouping_and_sorting_far_beyond_the_pool_spill() {
    // About 75 MB of keys and texts through a pool of 24 MB.
    let bench = Bench::with_memory(24 << 20);
    let session = session(&bench, 120).await;
    let groups = "SELECT count(*) FROM (SELECT text, sum(key) AS s FROM wide GROUP BY text)";
    let rows = 120 * BATCH;
    let distinct: i64 = value(&session, groups).await.parse().expect("a number");
    assert!(distinct > rows * 9 / 10, "{distinct}");
    let mut sorted = session.stream("SELECT text, key FROM wide ORDER BY text DESC, key").await.expect("a query");
    let (mut seen, mut last) = (0, None::<String>);
    while let Some(batch) = sorted.next().await {
        let batch = batch.expect("sorted rows");
        let texts = batch.column(0).as_any().downcast_ref::<StringArray>().expect("text");
        for text in texts.iter().flatten() {
            assert!(last.as_deref().is_none_or(|last| last >= text));
            last = Some(text.to_owned());
        }
        seen += batch.num_rows();
    }
    assert_eq!(seen, usize::try_from(rows).expect("small"));
    drop(sorted);
    assert!(bench.engine.reserved_bytes() < 1 << 20, "memory comes back: {}", bench.engine.reserved_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_too_large_for_hashing_is_sorted_instead() {
    let bench = Bench::with_memory(36 << 20);
    let session = session(&bench, 60).await;
    let sql = "SELECT count(*) FROM wide a JOIN wide b ON a.text = b.text AND a.key = b.key";
    let joined: i64 = value(&session, sql).await.parse().expect("a number");
    assert!(joined >= 60 * BATCH, "{joined}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_spill_names_itself() {
    let bench = Bench::with_memory(12 << 20);
    let session = session(&bench, 60).await;
    let sql = "SELECT array_length(array_agg(text)) FROM wide";
    let error = session.stream(sql).await.expect("a query").collect().await.expect_err("too large");
    assert!(matches!(&error, EngineError::Memory { consumer, .. } if consumer.contains("Aggregate")), "{error:?}");
    assert_eq!((error.code(), error.retryable()), ("TM0521", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spill_folder_has_a_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = EngineConfig {
        memory_bytes: 12 << 20,
        tasks: 1,
        spill_bytes: 1 << 20,
        ..EngineConfig::new(folder.path().join("spill"))
    };
    let engine = Engine::new(config).expect("an engine");
    let bench = Bench { engine, _folder: folder };
    let session = session(&bench, 60).await;
    let rows = session.stream("SELECT * FROM wide ORDER BY text").await.expect("a query");
    let error = rows.collect().await.expect_err("no space");
    assert!(matches!(error, EngineError::SpillSpace { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_rows_stops_the_work() {
    let bench = Bench::new();
    let produced = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&produced);
    let endless = stream::iter(0_i64..).map(move |part| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(wide(part % 10))
    });
    let schema = wide(0).schema();
    let open_schema = schema.clone();
    let open: super::Opening = Box::pin(async move {
        let adapter = datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(open_schema, endless);
        Ok(Some(Box::pin(adapter) as datafusion::execution::SendableRecordBatchStream))
    });
    let mut rows = bench.engine.produce(schema, vec![open]);
    rows.next().await.expect("a batch").expect("rows");
    let made = produced.load(Ordering::SeqCst);
    assert!(made <= 5, "no more is made than fits between: {made}");
    drop(rows);
}

#[tokio::test]
async fn an_error_of_the_source_keeps_its_code() {
    let bench = Bench::new();
    let mut session = bench.session();
    let error = session.add_table("t", MemoryConnection::new([]), "nope", &[]).await.expect_err("no table");
    assert_eq!(error.code(), "TM0601");
    let rows = Rows::new(wide(0).schema(), stream::iter([Err(error)]));
    let mut batches = rows.into_batches();
    let back = EngineError::from(batches.next().await.expect("an item").expect_err("an error"));
    assert_eq!(back.code(), "TM0601");
}

#[test]
fn limits_must_make_sense() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = EngineConfig::new(folder.path());
    assert!(matches!(Engine::new(EngineConfig { memory_bytes: 0, ..config.clone() }), Err(EngineError::Start { .. })));
    assert!(matches!(Engine::new(EngineConfig { partitions: 0, ..config.clone() }), Err(EngineError::Start { .. })));
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    assert!(matches!(Engine::new(EngineConfig { spill_dir: file, ..config }), Err(EngineError::Start { .. })));
    let engine = Engine::new(config).expect("an engine");
    drop(engine.session(NOW));
}

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
        StringViewArray, UInt64Array,
    },
    datatypes::{DataType, Field},
};

use crate::{
    EngineError, Rows,
    testing::{Bench, MemoryConnection, MemoryFiles, batch, failure, schema, table, value},
};

fn numbers() -> arrow::array::RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
        ("Name", Arc::new(StringArray::from(vec![Some("a"), None, Some("c"), Some("a")]))),
        ("amount", Arc::new(Float64Array::from(vec![Some(1.5), Some(2.5), None, Some(4.0)]))),
    ])
}

#[tokio::test]
async fn a_table_is_asked_only_for_what_is_wanted() {
    let bench = Bench::new();
    let connection = MemoryConnection::new([("numbers", numbers())]);
    let mut session = bench.session();
    session.add_table("shop.numbers", connection.clone(), "numbers", &[]).await.expect("a table");
    let rows = session.stream("SELECT name FROM shop.numbers WHERE id = 1 AND amount > 1").await.expect("a query");
    assert_eq!(rows.schema().field(0).name(), "Name");
    assert_eq!(table(rows).await.lines().nth(3), Some("| a    |"));
    let scans = connection.scans.lock().expect("no panic");
    assert_eq!(scans.len(), 1);
    assert_eq!(scans[0].filters.len(), 2, "{:?}", scans[0].filters);
    assert!(scans[0].columns.as_ref().is_some_and(|columns| !columns.contains(&"id".to_owned())), "{:?}", scans[0]);
}

#[tokio::test]
async fn a_limit_goes_to_the_source_only_past_exact_filters() {
    let bench = Bench::new();
    for (sql, expected) in [
        ("SELECT id FROM t LIMIT 2", Some(2)),
        ("SELECT id FROM t WHERE id = 1 LIMIT 2", Some(2)),
        ("SELECT id FROM t WHERE id > 1 LIMIT 2", None),
        ("SELECT id FROM t WHERE amount * 2 > 1 LIMIT 2", None),
    ] {
        let connection = MemoryConnection::new([("numbers", numbers())]);
        let mut session = bench.session();
        session.add_table("t", connection.clone(), "numbers", &[]).await.expect("a table");
        session.stream(sql).await.expect(sql).collect().await.expect(sql);
        assert_eq!(connection.scans.lock().expect("no panic")[0].limit, expected, "{sql}");
    }
}

#[tokio::test]
async fn views_are_folded_into_their_reader() {
    let bench = Bench::new();
    let connection = MemoryConnection::new([("numbers", numbers())]);
    let mut session = bench.session();
    session
        .add_table("numbers", connection.clone(), "numbers", &["id".to_owned(), "amount".to_owned()])
        .await
        .expect("a table");
    session.add_view("big", "SELECT id, amount * 2 AS Twice FROM numbers").await.expect("a view");
    session.add_view("bigger", "SELECT twice FROM big WHERE id = 4").await.expect("a view on a view");
    assert_eq!(value(&session, "SELECT sum(TWICE) FROM bigger").await, "8.0");
    let scans = connection.scans.lock().expect("no panic");
    assert_eq!(scans[0].filters.len(), 1, "the view's condition reaches the source: {:?}", scans[0]);
}

#[tokio::test]
async fn a_view_may_read_a_table_twice() {
    let bench = Bench::new();
    let mut session = bench.session();
    session.add_table("t", MemoryConnection::new([("numbers", numbers())]), "numbers", &[]).await.expect("a table");
    assert_eq!(value(&session, "SELECT count(*) FROM t a CROSS JOIN t b").await, "16");
    let recursive =
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT r.n + 1 FROM r JOIN t ON t.id = r.n) SELECT max(n) FROM r";
    assert_eq!(value(&session, recursive).await, "5", "a source is read anew in every round");
}

#[tokio::test]
async fn now_is_given() {
    let bench = Bench::new();
    let session = bench.session();
    assert_eq!(value(&session, "SELECT now()").await, "2026-03-01T12:00:00Z");
    assert_eq!(value(&session, "SELECT CURRENT_TIMESTAMP").await, "2026-03-01T12:00:00Z");
    assert_eq!(value(&session, "SELECT current_date").await, "2026-03-01");
    assert_eq!(value(&session, "SELECT today()").await, "2026-03-01");
    assert_eq!(value(&session, "SELECT now() - INTERVAL '1 day'").await, "2026-02-28T12:00:00Z");
}

#[tokio::test]
async fn the_end_of_time_has_a_place() {
    let bench = Bench::new();
    let session = bench.session();
    for sql in [
        "SELECT TIMESTAMP '9999-12-31 00:00:00'",
        "SELECT CAST('9999-12-31' AS TIMESTAMP)",
        "SELECT '9999-12-31'::timestamp",
        "SELECT to_timestamp('9999-12-31')",
        "SELECT CAST(DATE '9999-12-31' AS TIMESTAMP)",
    ] {
        assert!(value(&session, sql).await.starts_with("9999-12-31T00:00:00"), "{sql}");
    }
    assert_eq!(value(&session, "SELECT to_timestamp(0)").await, "1970-01-01T00:00:00Z");
    assert_eq!(value(&session, "SELECT to_timestamp(1.5)").await, "1970-01-01T00:00:01.500Z");
    assert_eq!(value(&session, "SELECT TIMESTAMP '0001-01-01' < now()").await, "true");
}

#[tokio::test]
async fn whole_numbers_never_wrap_around() {
    let bench = Bench::new();
    let mut session = bench.session();
    let extremes = batch(vec![
        ("i", Arc::new(Int64Array::from(vec![i64::MAX, i64::MIN])) as ArrayRef),
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("s", Arc::new(Int32Array::from(vec![i32::MAX, i32::MIN]))),
        (
            "d",
            Arc::new(
                Decimal128Array::from(vec![10_i128.pow(37) * 9; 2]).with_precision_and_scale(38, 0).expect("38 digits"),
            ),
        ),
    ]);
    session.add_table("t", MemoryConnection::new([("t", extremes)]), "t", &[]).await.expect("a table");
    for sql in [
        "SELECT 9223372036854775807 + 1",
        "SELECT i + 1 FROM t",
        "SELECT i - 1 FROM t",
        "SELECT i * 2 FROM t",
        "SELECT -i FROM t",
        "SELECT abs(i) FROM t",
        "SELECT u + u FROM t",
        "SELECT s + s FROM t",
        "SELECT sum(i - 1) FROM t",
        "SELECT id FROM (SELECT i AS id FROM t) WHERE id + 1 > 0",
        "SELECT a.i FROM t a JOIN t b ON a.i = b.i + 1",
        "SELECT i FROM t ORDER BY i + 1",
        "SELECT i FROM t WHERE i IN (SELECT i + 1 FROM t)",
        "SELECT CASE WHEN i > 0 THEN i + 1 ELSE 0 END FROM t",
        "SELECT sum(i) FROM t WHERE i > 0 UNION ALL SELECT sum(i + i) FROM t",
        "SELECT i / -1 FROM t",
        "SELECT round(i, -19) FROM t",
        "SELECT sum(d) FROM t",
        "SELECT CAST(i AS INT) FROM t",
    ] {
        let error = failure(&session, sql).await;
        let refused = matches!(error, EngineError::Overflow { .. } | EngineError::Execution { .. });
        assert!(refused, "{sql}: {error:?}");
    }
    assert_eq!(value(&session, "SELECT 9223372036854775806 + 1").await, "9223372036854775807");
    assert_eq!(value(&session, "SELECT -(-9223372036854775807) AS x").await, "9223372036854775807");
}

#[tokio::test]
async fn sums_are_exact_whatever_the_order() {
    let bench = Bench::new();
    let mut session = bench.session();
    let values = batch(vec![
        ("g", Arc::new(Int64Array::from(vec![1, 1, 1, 2, 2])) as ArrayRef),
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(5), Some(-6), None, None]))),
    ]);
    session.add_table("t", MemoryConnection::new([("t", values)]), "t", &[]).await.expect("a table");
    assert_eq!(value(&session, "SELECT sum(i) FROM t").await, (i64::MAX - 1).to_string());
    let grouped =
        table(session.stream("SELECT g, sum(i) AS s FROM t GROUP BY g ORDER BY g").await.expect("a query")).await;
    assert!(
        grouped.contains("| 1 | 9223372036854775806 |") && grouped.contains("| 2 |                     |"),
        "{grouped}"
    );
    assert_eq!(value(&session, "SELECT sum(DISTINCT g) FROM t").await, "3");
    assert_eq!(value(&session, "SELECT sum(DISTINCT g) + count(DISTINCT i) FROM t").await, "6");
    assert_eq!(value(&session, "SELECT sum(i) FROM t WHERE g = 9").await, "");
    assert_eq!(value(&session, "SELECT sum(g) FILTER (WHERE i > 0) FROM t").await, "2");
    let window = "SELECT sum(g) OVER (ORDER BY g, i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM t ORDER BY s DESC LIMIT 1";
    assert_eq!(value(&session, window).await, "4");
    assert!(matches!(failure(&session, "SELECT sum(i) FROM t WHERE i > 0").await, EngineError::Overflow { .. }));
}

#[tokio::test]
async fn rounding_and_mathematics() {
    let bench = Bench::new();
    let session = bench.session();
    for (sql, expected) in [
        ("round(2.5)", "3.0"),
        ("round(-2.5)", "-3.0"),
        ("round(3.14159, 2)", "3.14"),
        ("round(1234.5, -2)", "1200.0"),
        ("round(1250, -2)", "1300"),
        ("round(-1250, -2)", "-1300"),
        ("round(CAST(2.345 AS DECIMAL(10, 3)), 2)", "2.350"),
        ("round(CAST(-2.345 AS DECIMAL(10, 3)), 2)", "-2.350"),
        ("trunc(-2.7)", "-2.0"),
        ("trunc(CAST(-2.7 AS DECIMAL(10, 1)))", "-2.0"),
        ("floor(-2.1)", "-3.0"),
        ("ceil(2.1)", "3.0"),
        ("ceil(CAST(2.1 AS DECIMAL(10, 1)))", "3.0"),
        ("abs(-3)", "3"),
        ("abs(CAST(-3.5 AS DECIMAL(10, 1)))", "3.5"),
        ("sqrt(16)", "4.0"),
        ("power(2, 10)", "1024.0"),
        ("log10(1000)", "3.0"),
        ("ln(exp(1))", "1.0"),
        ("sign(-4)", "-1.0"),
        ("round(NULL)", ""),
        ("round(1e300, 5)", "1e300"),
    ] {
        assert_eq!(value(&session, &format!("SELECT {sql}")).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn only_queries_run() {
    let bench = Bench::new();
    let mut session = bench.session();
    session.add_empty("t", schema(vec![Field::new("id", DataType::Int64, true)])).expect("a relation");
    for sql in [
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW x AS SELECT 1",
        "DROP TABLE t",
        "INSERT INTO t VALUES (1)",
        "DELETE FROM t",
        "UPDATE t SET id = 1",
        "COPY t TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "DESCRIBE t",
        "PREPARE p AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1 INTO x",
        "",
    ] {
        let error = failure(&session, sql).await;
        let refused = matches!(
            error,
            EngineError::NotAQuery { .. }
                | EngineError::Unsupported { .. }
                | EngineError::Syntax { .. }
                | EngineError::Types { .. }
        );
        assert!(refused, "{sql}: {error:?}");
    }
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/etc/passwd')",
    ] {
        assert!(session.stream(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn errors_say_where_and_what_instead() {
    let bench = Bench::new();
    let mut session = bench.session();
    let fields = vec![Field::new("updated_at", DataType::Utf8, true), Field::new("Total", DataType::Int64, true)];
    session.add_empty("orders", schema(fields.clone())).expect("a relation");
    session.add_empty("returns", schema(fields)).expect("a relation");
    let cases = [
        ("SELECT\n  updatd_at FROM orders", "TM0502", Some((2, 3)), Some("did you mean `updated_at`?")),
        ("SELECT orders.totl FROM orders", "TM0502", Some((1, 8)), Some("did you mean `Total`?")),
        ("SELECT \"total\" FROM orders", "TM0502", Some((1, 8)), Some("did you mean `Total`?")),
        ("SELECT 1 FROM ordrs", "TM0501", Some((1, 15)), Some("did you mean `orders`?")),
        (
            "SELECT total FROM orders, returns",
            "TM0503",
            Some((1, 8)),
            Some("write the relation in front, as in `orders.Total`"),
        ),
        ("SELECT uper(updated_at) FROM orders", "TM0504", None, Some("did you mean `upper`?")),
        ("SELECT * FROM orders JOIN returns ON orders.total = returns.total", "TM0509", None, None),
        ("SELECT FROM orders WHERE", "TM0506", None, None),
        ("SELECT updated_at + true FROM orders", "TM0505", None, None),
        ("SELECT updated_at, sum(total) FROM orders", "TM0505", None, None),
    ];
    for (sql, code, place, help) in cases {
        let error = failure(&session, sql).await;
        assert_eq!(error.code(), code, "{sql}: {error:?}");
        if place.is_some() {
            assert_eq!(error.place().map(|place| (place.line, place.column)), place, "{sql}: {error:?}");
        }
        if let Some(help) = help {
            assert_eq!(error.help().as_deref(), Some(help), "{sql}: {error:?}");
        }
    }
}

#[tokio::test]
async fn names_of_connections_hide_no_task() {
    let bench = Bench::new();
    let mut session = bench.session();
    let one = |n| schema(vec![Field::new(n, DataType::Int64, true)]);
    session.add_empty("flights", one("a")).expect("a task");
    session.add_empty("flights.flights", one("b")).expect("a table");
    session.add_empty("public.flights", one("c")).expect("a table");
    session.add_empty("shop.public.flights", one("d")).expect("a table");
    session.add_empty("files.\"odd.name\"", one("e")).expect("a table");
    for (from, column) in [
        ("flights", "a"),
        ("flights.flights", "b"),
        ("Flights.FLIGHTS", "b"),
        ("public.flights", "c"),
        ("shop.public.flights", "d"),
        ("files.\"odd.name\"", "e"),
    ] {
        let found = session.analyze(&format!("SELECT * FROM {from}")).await.expect(from);
        assert_eq!(found.schema.field(0).name(), column, "{from}");
    }
}

#[tokio::test]
async fn view_types_and_others_pass_through_a_data_set() {
    let bench = Bench::new();
    let files = Arc::new(MemoryFiles::default());
    let rows = batch(vec![
        ("view", Arc::new(StringViewArray::from(vec![Some("a longer text than twelve bytes"), None])) as ArrayRef),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(0), None]))),
    ]);
    let manifest = bench
        .engine
        .write_dataset(Rows::from_batches(rows.schema(), vec![rows.clone()]), files.clone(), "runs/1/t/1")
        .await
        .expect("a data set");
    let mut session = bench.session();
    session.add_dataset("t", &manifest, files).expect("a relation");
    let back = session.stream_table("t").await.expect("rows").collect().await.expect("rows");
    assert_eq!(back, vec![rows]);
    assert_eq!(
        value(&session, "SELECT upper(view) FROM t WHERE view LIKE 'a%'").await,
        "A LONGER TEXT THAN TWELVE BYTES"
    );
}

#[tokio::test]
async fn names_are_found_whatever_their_case() {
    let bench = Bench::new();
    let mut session = bench.session();
    let int = |name| Field::new(name, DataType::Int64, true);
    session.add_empty("Odd", schema(vec![int("Count"), int("max"), int("Date"), int("order no")])).expect("a relation");
    session.add_empty("even", schema(vec![int("COUNT"), int("id")])).expect("a relation");
    for (sql, columns) in [
        ("SELECT COUNT(*) AS N, MAX(count) AS m, Count FROM odd GROUP BY COUNT", vec!["N", "m", "Count"]),
        (
            "SELECT date, CAST('2024-01-01' AS DATE) AS d, \"order no\" FROM ODD WHERE Max > 1",
            vec!["Date", "d", "order no"],
        ),
        ("SELECT o.count, e.count AS other FROM odd O JOIN even e ON e.count = o.count", vec!["Count", "other"]),
        (
            "WITH X AS (SELECT count AS Total FROM odd) SELECT total, x.TOTAL + 1 AS more FROM x ORDER BY Total",
            vec!["Total", "more"],
        ),
        ("SELECT DISTINCT max FROM Odd WHERE DATE BETWEEN 1 AND 2 ORDER BY MAX", vec!["max"]),
    ] {
        let found = session.analyze(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let names: Vec<&str> = found.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, columns, "{sql}");
    }
    assert!(session.analyze("SELECT \"count\" FROM odd").await.is_err(), "a quoted name is exact");
}

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, StringViewArray,
    TimestampMicrosecondArray,
};
use serde_json::{Value, json};
use tidemill_dag::spec::{Check, Expectation, OnFail};

use super::{CheckReport, Scope};
use crate::{
    EngineError, Session,
    testing::{Bench, MemoryConnection, NOW, batch, table},
};

fn rows() -> arrow::array::RecordBatch {
    let day = 86_400_000_000_i64;
    let decimals = Decimal128Array::from(vec![Some(150), Some(250), None, Some(-50)]);
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(2), None])) as ArrayRef),
        ("Country", Arc::new(StringArray::from(vec![Some("DE"), Some("FR"), Some("XX"), None]))),
        ("code", Arc::new(StringViewArray::from(vec![Some("a-1"), Some("b-2"), Some("c3"), None]))),
        ("share", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None, Some(1.5)]))),
        ("total", Arc::new(decimals.with_precision_and_scale(12, 2).expect("12 digits"))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]))),
        ("day", Arc::new(Date32Array::from(vec![Some(20_512), Some(20_513), None, Some(20_000)]))),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(NOW.0 - day), None, Some(NOW.0 - 2 * day), None])
                    .with_timezone("UTC"),
            ),
        ),
    ])
}

async fn session(bench: &Bench) -> Session {
    let countries =
        batch(vec![("name", Arc::new(StringArray::from(vec![Some("DE"), Some("FR"), None, Some("DE")])) as ArrayRef)]);
    let connection = MemoryConnection::new([("rows", rows()), ("none", rows().slice(0, 0)), ("countries", countries)]);
    let mut session = bench.session();
    for name in ["rows", "none", "countries"] {
        session.add_table(name, connection.clone(), name, &[]).await.expect("a table");
    }
    session
}

fn check(input: &str, expectation: &Value) -> Check {
    let one: Expectation = serde_json::from_value(expectation.clone()).expect("an expectation");
    Check { input: input.to_owned(), expect: vec![one], on_fail: OnFail::Fail }
}

async fn run(session: &Session, input: &str, expectation: &Value) -> CheckReport {
    session.check(&check(input, expectation), NOW).await.expect("a report")
}

#[tokio::test]
async fn every_expectation_with_null_nan_and_nothing() {
    let bench = Bench::new();
    let session = session(&bench).await;
    // Expectation, violations in `rows`, violations in a relation without rows.
    let cases = [
        (json!({"not_null": "id"}), 1, 0),
        (json!({"not_null": ["id", "share"]}), 2, 0),
        (json!({"not_null": "ID"}), 1, 0),
        (json!({"unique": "id"}), 2, 0),
        (json!({"unique": ["id", "Country"]}), 0, 0),
        (json!({"unique": "flag"}), 2, 0),
        (json!({"between": {"column": "share", "min": 0}}), 1, 0),
        (json!({"between": {"column": "share", "max": 1}}), 2, 0),
        (json!({"between": {"column": "share"}}), 1, 0),
        (json!({"between": {"column": "id", "min": 1.5}}), 1, 0),
        (json!({"between": {"column": "id", "min": 2, "max": 2}}), 1, 0),
        (json!({"between": {"column": "total", "min": 0, "max": 2.49}}), 2, 0),
        (json!({"between": {"column": "total", "max": 2.5}}), 0, 0),
        (json!({"between": {"column": "Country", "min": "E"}}), 1, 0),
        (json!({"between": {"column": "day", "min": "2026-02-28", "max": "2026-03-01"}}), 1, 0),
        (json!({"between": {"column": "at", "min": "2026-02-28T00:00:00Z"}}), 1, 0),
        (json!({"accepted_values": {"column": "Country", "values": ["DE", "FR"]}}), 1, 0),
        (json!({"accepted_values": {"column": "Country", "values": ["DE", null]}}), 2, 0),
        (json!({"accepted_values": {"column": "Country", "values": [null]}}), 3, 0),
        (json!({"accepted_values": {"column": "id", "values": [1, 3]}}), 2, 0),
        (json!({"accepted_values": {"column": "flag", "values": [true]}}), 1, 0),
        (json!({"accepted_values": {"column": "code", "values": ["a-1"]}}), 2, 0),
        (json!({"regex": {"column": "code", "pattern": "^[a-z]-\\d$"}}), 1, 0),
        (json!({"regex": {"column": "Country", "pattern": "^[A-Z]{2}$"}}), 0, 0),
        (json!({"row_count": {"min": 1}}), 0, 1),
        (json!({"row_count": {"min": 4, "max": 4}}), 0, 1),
        (json!({"row_count": {"max": 3}}), 1, 0),
        (json!({"freshness": {"column": "at", "max_age": "1d"}}), 0, 1),
        (json!({"freshness": {"column": "at", "max_age": "23h"}}), 1, 1),
        (json!({"freshness": {"column": "day", "max_age": "1h"}}), 0, 1),
        (json!({"references": {"column": "Country", "to": "countries", "to_column": "name"}}), 1, 0),
        (json!({"sql": "SELECT * FROM rows WHERE id > 1"}), 2, 2),
        (json!({"sql": "SELECT * FROM rows WHERE id > 9"}), 0, 0),
    ];
    for (expectation, violations, without_rows) in cases {
        for (input, expected, rows) in [("rows", violations, 4), ("none", without_rows, 0)] {
            let report = run(&session, input, &expectation).await;
            let result = &report.results[0];
            assert_eq!(result.violations, expected, "{expectation} on {input}: {result:?}");
            assert_eq!((report.passed, report.rows), (expected == 0, rows), "{expectation} on {input}");
            assert_eq!(
                result.sample.is_empty(),
                expected == 0 || result.scope == Scope::Whole && result.name != "sql",
                "{result:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_date_counts_from_the_end_of_its_day() {
    let bench = Bench::new();
    let session = session(&bench).await;
    // The newest day is 2026-03-01, the moment noon of 2026-03-01 and later noon of 2026-03-02.
    let fresh = check("rows", &json!({"freshness": {"column": "day", "max_age": "11h"}}));
    let next_noon = tidemill_dag::time::Timestamp(NOW.0 + 86_400_000_000);
    assert!(session.check(&fresh, NOW).await.expect("a report").passed);
    assert!(!session.check(&fresh, next_noon).await.expect("a report").passed);
    let longer = check("rows", &json!({"freshness": {"column": "day", "max_age": "12h"}}));
    assert!(session.check(&longer, next_noon).await.expect("a report").passed);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let bench = Bench::new();
    let session = session(&bench).await;
    let cases = [
        (json!({"not_null": "nope"}), "TM0502"),
        (json!({"not_null": "countri"}), "TM0502"),
        (json!({"regex": {"column": "id", "pattern": "x"}}), "TM0511"),
        (json!({"regex": {"column": "code", "pattern": "("}}), "TM0511"),
        (json!({"between": {"column": "flag", "min": 0}}), "TM0511"),
        (json!({"between": {"column": "id", "min": "a"}}), "TM0511"),
        (json!({"between": {"column": "Country", "min": 1}}), "TM0511"),
        (json!({"between": {"column": "day", "min": "tomorrow"}}), "TM0511"),
        (json!({"accepted_values": {"column": "id", "values": ["1"]}}), "TM0511"),
        (json!({"accepted_values": {"column": "Country", "values": [1]}}), "TM0511"),
        (json!({"freshness": {"column": "Country", "max_age": "1d"}}), "TM0511"),
        (json!({"references": {"column": "Country", "to": "countris", "to_column": "name"}}), "TM0501"),
        (json!({"references": {"column": "Country", "to": "countries"}}), "TM0502"),
        (json!({"sql": "DELETE FROM rows"}), "TM0507"),
    ];
    for (expectation, code) in cases {
        let error = session.check(&check("rows", &expectation), NOW).await.expect_err("refused");
        assert_eq!(error.code(), code, "{expectation}: {error:?}");
    }
    let error = session.check(&check("rows", &json!({"not_null": "countri"})), NOW).await.expect_err("refused");
    assert_eq!(error.help().as_deref(), Some("did you mean `Country`?"));
    assert!(matches!(error, EngineError::UnknownColumn { .. }));
}

#[tokio::test]
async fn samples_are_short() {
    let bench = Bench::new();
    let long = batch(vec![
        ("n", Arc::new(Int64Array::from_iter_values(0..1_000)) as ArrayRef),
        ("text", Arc::new(StringArray::from_iter_values((0..1_000).map(|_| "ä".repeat(500))))),
    ]);
    let mut session = bench.session();
    session.add_table("long", MemoryConnection::new([("long", long)]), "long", &[]).await.expect("a table");
    let report = run(&session, "long", &json!({"between": {"column": "n", "min": 5}})).await;
    let result = &report.results[0];
    assert_eq!((result.violations, result.sample.len()), (5, 5));
    let text = result.sample[0]["text"].as_str().expect("text");
    assert_eq!(text.chars().count(), 201);
    let report = run(&session, "long", &json!({"unique": "text"})).await;
    assert_eq!(report.results[0].violations, 1_000);
    assert_eq!(report.results[0].sample[0]["_rows"], json!(1_000));
    let report = run(&session, "long", &json!({"sql": "SELECT n FROM long"})).await;
    assert_eq!((report.results[0].violations, report.results[0].sample.len()), (1_000, 10));
}

#[tokio::test]
async fn quarantine_divides_the_rows() {
    let bench = Bench::new();
    let session = session(&bench).await;
    let expect = [
        json!({"not_null": "id"}),
        json!({"unique": "id"}),
        json!({"accepted_values": {"column": "Country", "values": ["DE", "FR", "XX"]}}),
        json!({"references": {"column": "Country", "to": "countries", "to_column": "name"}}),
        json!({"row_count": {"min": 100}}),
    ];
    let expect = expect.into_iter().map(|one| serde_json::from_value(one).expect("an expectation")).collect();
    let check = Check { input: "rows".to_owned(), expect, on_fail: OnFail::Quarantine };
    let split = session.split(&check).await.expect("two parts");
    assert_eq!(split.surviving.schema().fields().len(), 8);
    assert_eq!(split.quarantined.schema().fields().len(), 9);
    let surviving = table(split.surviving).await;
    assert!(surviving.contains("DE") && surviving.lines().count() == 5, "{surviving}");
    let quarantined = table(split.quarantined).await;
    assert_eq!(quarantined.lines().count(), 7, "{quarantined}");
    assert!(quarantined.contains("not_null: no NULL in `id`"), "{quarantined}");
    assert!(
        quarantined.contains("unique: no two rows with the same `id`; references: every `Country`"),
        "{quarantined}"
    );
    let report = session.check(&check, NOW).await.expect("a report");
    assert!(!report.passed && !report.can_set_aside(), "a row count cannot be repaired: {report:?}");
}

#[tokio::test]
async fn quarantine_without_offences_keeps_everything() {
    let bench = Bench::new();
    let session = session(&bench).await;
    for expectation in
        [json!({"row_count": {"min": 1}}), json!({"not_null": "_reason"}), json!({"unique": ["id", "Country"]})]
    {
        let check = check("rows", &expectation);
        match session.split(&check).await {
            Ok(split) => {
                assert_eq!(table(split.surviving).await.lines().count(), 8, "{expectation}");
                assert_eq!(table(split.quarantined).await.lines().count(), 4, "{expectation}");
            }
            Err(error) => assert_eq!(error.code(), "TM0502", "{expectation}"),
        }
    }
}

//! What a user is told about data that cannot be used.

use super::*;

/// One file, the settings of its table, and what is said about it.
async fn says(name: &str, bytes: impl AsRef<[u8]>, settings: serde_json::Value, expected: &str) {
    let place = Place::new().file(name, bytes);
    let connection = place.connect_with(settings);
    let table = name.split('.').next().expect("a name");
    let said = error_of(&*connection, table).await;
    assert!(said.starts_with(expected), "{name}: {said}");
}

#[tokio::test]
async fn files_that_are_no_tables() {
    says("t.csv", "", json!({}), "TM0608 data/t.csv is empty").await;
    says("t.jsonl", "\n", json!({}), "TM0608 data/t.jsonl is empty").await;
    says("t.csv", "a,b,a\n1,2,3\n", json!({}), "TM0607 data/t.csv: the columns 1 and 3 are both named `a`").await;
    says("t.csv", "\n1,2\n", json!({}), "TM0607 data/t.csv: its first row").await;
    says("t.csv", "a,b\r1,2\r", json!({}), "TM0607 data/t.csv: its lines end with carriage returns alone").await;
    says("t.parquet", "PAR1 no", json!({}), "TM0628 data/t.parquet is not a Parquet file").await;
    says("t.csv.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1], json!({}), "TM0603 cannot read data/t.csv.gz").await;
}

#[tokio::test]
async fn rows_that_do_not_fit_the_header() {
    says("t.csv", "a,b\n1,2\n3\n", json!({}), "TM0605 data/t.csv:3: the row has 1 fields, the header has 2").await;
    says(
        "t.csv",
        "a,b\n\"x\ny\",2\n1,2,3,4\n",
        json!({}),
        "TM0605 data/t.csv:4: the row has 4 fields, the header has 2",
    )
    .await;
    says("t.csv", "a,b\n1,\"x\n2,y\n", json!({}), "TM0606 data/t.csv:2: a quote that opens here is never closed").await;
    says("t.csv", "a,b\n1,\"x\"y\n", json!({}), "TM0606 data/t.csv:2: there is text after a closing quote").await;
}

#[tokio::test]
async fn lines_that_are_no_json() {
    says("t.jsonl", "{\"a\": 1}\n{\"a\": 1,}\n", json!({}), "TM0606 data/t.jsonl:2").await;
    says("t.jsonl", "[{\"a\": 1}]\n", json!({}), "TM0606 data/t.jsonl:1: every line must be one JSON object").await;
    says("t.jsonl", "{\"a\": 01}\n", json!({}), "TM0606 data/t.jsonl:1: `01` is not a JSON value").await;
    says("t.jsonl", "{\"a\": 1, \"a\": 2}\n", json!({}), "TM0606 data/t.jsonl:1: the key `a` stands twice").await;
    says("t.jsonl", "{\"a\": 1} {\"a\": 2}\n", json!({}), "TM0606 data/t.jsonl:1: there is more").await;
    let deep = format!("{{\"a\": {}1{}}}\n", "[".repeat(500), "]".repeat(500));
    says("t.jsonl", deep, json!({}), "TM0606 data/t.jsonl:1: nested deeper").await;
}

#[tokio::test]
async fn encodings_that_were_not_declared() {
    says("t.csv", b"a,b\n1,x\n2,caf\xe9\n", json!({}), "TM0604 data/t.csv:3: not valid UTF-8 (byte 0xe9)").await;
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    says(
        "t.csv",
        wide("\u{feff}a,b\n1,2\n"),
        json!({}),
        "TM0604 data/t.csv:1: not valid UTF-8: it begins with the mark",
    )
    .await;
    says("t.csv", wide("a,b\n1,2\n"), json!({}), "TM0604 data/t.csv:1: not valid UTF-8: every second byte is zero")
        .await;
    says("t.csv", b"a\n\xff\n", json!({"encoding": "shift_jis"}), "TM0604 data/t.csv:1: not valid Shift_JIS").await;
}

#[tokio::test]
async fn a_value_that_does_not_fit_has_a_place() {
    let mut text = String::from("n,v\n");
    for n in 2..90_000 {
        text.push_str(&format!("{n},{n}\n"));
    }
    text.push_str("90000,n/a\n90001,5\n");
    let place = Place::new().file("t.csv", &text);
    let info = place.connect().describe("t").await.expect("columns");
    assert_eq!(
        info.hints,
        ["`v` would be int64 but for `n/a` (data/t.csv:90000); if that means \"no value\", add `n/a` to `null_values`"]
    );
    let declared =
        place.connect_with(json!({"tables": {"t": {"path": "t.csv", "columns": {"n": "int64", "v": "int64"}}}}));
    assert_eq!(error_of(&*declared, "t").await, "TM0609 data/t.csv:90000, column `v`: `n/a` is not int64");
    let help = failure(&*declared, "t").await.help().expect("advice");
    assert!(help.contains("null_values"), "{help}");
}

#[tokio::test]
async fn declared_types_are_kept_to_the_letter() {
    let case = |kind: &'static str, value: &'static str, expected: &'static str| async move {
        let settings = json!({"tables": {"t": {"path": "t.csv", "columns": {"a": kind}}}});
        says(
            "t.csv",
            format!("a\n{value}\n"),
            settings,
            &format!("TM0609 data/t.csv:2, column `a`: `{value}` is not {expected}"),
        )
        .await;
    };
    case("int8", "128", "int8").await;
    case("int64", "9223372036854775808", "int64").await;
    case("int64", "1.0", "int64").await;
    case("float64", "1e309", "float64").await;
    case("decimal(4,2)", "1.005", "decimal(4,2)").await;
    case("boolean", "yes", "boolean (true or false)").await;
    case("date", "31/01/2013", "date (a date as in 2013-01-31)").await;
    case("timestamp", "2013-01-31T00:00:00Z", "timestamp (a timestamp without zone").await;
    case("timestamp(UTC)", "2013-01-31T00:00:00", "timestamp(UTC) (a timestamp with its zone").await;
    case("timestamp", "2013-01-31T00:00:00.0000001", "timestamp").await;
    case("list<int64>", "[1", "list<int64>").await;
    let columns = json!({"tables": {"t": {"path": "t.jsonl", "columns": {"a": "struct<b: int64>"}}}});
    says(
        "t.jsonl",
        "{\"a\": {\"b\": 1}}\n{\"a\": {\"b\": \"x\"}}\n",
        columns.clone(),
        "TM0609 data/t.jsonl:2, column `a.b`: `\"x\"` is not int64",
    )
    .await;
    says("t.jsonl", "{\"a\": {\"c\": 1}}\n", columns.clone(), "TM0610 data/t.jsonl:1: the key `a.c` is no column")
        .await;
    says("t.jsonl", "{\"z\": 1}\n", columns, "TM0610 data/t.jsonl:1: the key `z` is no column").await;
}

#[tokio::test]
async fn columns_that_are_not_those_declared() {
    let declared = |columns| json!({"tables": {"t": {"path": "t.csv", "columns": columns}}});
    says("t.csv", "a,b\n1,2\n", declared(json!({"a": "int64"})), "TM0610 data/t.csv: the header has `b`").await;
    says("t.csv", "a\n1\n", declared(json!({"a": "int64", "b": "utf8"})), "TM0610 data/t.csv: the header lacks `b`")
        .await;
    let place = Place::new().file("t/1.csv", "a,b\n1,2\n").file("t/2.csv", "a,c\n1,2\n");
    let said = error_of(&*place.connect(), "t").await;
    assert_eq!(said, "TM0610 data/t/2.csv: the header lacks `b` and has `c`, which the table does not have");
    let place = Place::new().file("t.csv", "a\n1\n").file("t.jsonl", "{\"a\": 1}\n");
    let said = error_of(&*place.connect(), "t").await;
    assert!(said.contains("data/t.csv, data/t.jsonl all have the name of table `t`"), "{said}");
    let place = Place::new().file("t/1.csv", "a\n1\n").file("t/2.jsonl", "{}\n");
    assert!(error_of(&*place.connect(), "t").await.contains("it has another format"), "one format a table");
}

#[tokio::test]
async fn tables_that_are_not_there() {
    let place = Place::new().file("orders.csv", "a\n1\n");
    let error = failure(&*place.connect(), "order").await;
    assert_eq!(error.code(), "TM0601");
    assert_eq!(error.help().as_deref(), Some("its tables are orders"));
    let none = place.connect_with(json!({"tables": {"t": {"path": "2013/*.csv"}}}));
    assert!(error_of(&*none, "t").await.contains("no file matches this pattern"), "an empty pattern is an error");
    let gone = place.connect_with(json!({"path": "nowhere"}));
    assert!(gone.tables().await.expect("tables").is_empty());
}

#[test]
fn settings_that_make_no_sense() {
    let case = |settings: serde_json::Value, expected: &str| {
        let config: Result<ConnectionConfig, _> = serde_json::from_value(settings);
        let said = match config {
            Err(error) => error.to_string(),
            Ok(config) => match connect("c", &config, &Folders::default()) {
                Err(error) => format!("{} {error}", error.code()),
                Ok(connection) => format!("{connection:?}"),
            },
        };
        assert!(said.contains(expected), "{said}");
    };
    case(json!({"kind": "files"}), "`path` is missing");
    case(json!({"kind": "fils", "path": "x"}), "unknown variant `fils`");
    case(json!({"kind": "files", "path": "x", "delimeter": ";"}), "unknown field `delimeter`");
    case(json!({"kind": "files", "path": "x", "columns": {}}), "`columns` belongs to a table");
    case(
        json!({"kind": "files", "path": "x", "delimiter": "→"}),
        "TM0602 connection `c`: `delimiter` must be one ASCII",
    );
    case(json!({"kind": "files", "path": "x", "encoding": "utf-9"}), "`encoding: utf-9` is not known");
    case(
        json!({"kind": "files", "path": "x", "tables": {"t": {"columns": {"a": "number"}}}}),
        "`number` is not a column type",
    );
    case(
        json!({"kind": "files", "path": "https://a.example/x", "tables": {"t": {"path": "http://b.example/"}}}),
        "leads away",
    );
}

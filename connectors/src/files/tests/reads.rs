//! Reading what is fine.

use std::io::Write;

use arrow::{
    array::AsArray,
    compute::concat_batches,
    datatypes::{Int64Type, TimestampMicrosecondType},
};

use super::*;

fn gz(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("bytes")
}

#[tokio::test]
async fn types_are_concluded_from_all_values() {
    let place = Place::new().file(
        "t.csv",
        "i,f,b,d,ts,tz,zip,s,none,big,long,huge,plus,mixed\n\
         1,1.5,true,2020-02-29,2020-01-01 05:00:00,2020-01-01T05:00:00+01:00,00123,\"a,\"\"b\"\"\nc\",,9223372036854775808,0.123456789012345678,1,+1,1\n\
         -2,3,FALSE,1999-12-31,2020-01-01T05:00:00.25,2020-01-01T05:00:00Z,10,,,1,1.5,1e400,2,x\n",
    );
    let connection = place.connect();
    assert_eq!(connection.tables().await.expect("tables"), ["t"]);
    assert_eq!(
        columns(&*connection, "t").await.expect("columns"),
        "i: int64, f: float64, b: boolean, d: date, ts: timestamp, tz: timestamp(UTC), zip: utf8, s: utf8, none: utf8, \
         big: decimal(38,0), long: decimal(38,18), huge: utf8, plus: utf8, mixed: utf8"
    );
    let rows = rows_of(&*connection, Scan::table("t")).await.expect("rows");
    let moments = rows[0].column(5).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(moments.values(), &[1_577_851_200_000_000, 1_577_854_800_000_000]);
    let others = ["i", "f", "b", "d", "ts", "zip", "big", "long", "huge", "plus", "mixed"];
    let columns = Some(others.map(str::to_owned).to_vec());
    let rows = rows_of(&*connection, Scan { columns, ..Scan::table("t") }).await.expect("rows");
    assert_eq!(
        pretty_format_batches(&rows).expect("a table").to_string().lines().nth(3).expect("a row"),
        "| 1  | 1.5 | true  | 2020-02-29 | 2020-01-01T05:00:00     | 00123 | 9223372036854775808 | 0.123456789012345678 | 1     \
         | +1   | 1     |"
    );
}

#[tokio::test]
async fn a_word_for_no_value_is_reported_and_never_guessed() {
    let text = "a,b,c\n1,x,5\nNA,y,6\n3,NA,late\n";
    let place = Place::new().file("t.csv", text);
    let connection = place.connect();
    let info = connection.describe("t").await.expect("columns");
    assert_eq!(columns(&*connection, "t").await.expect("columns"), "a: utf8, b: utf8, c: utf8");
    assert_eq!(
        info.hints,
        [
            "`a` would be int64 but for `NA` (data/t.csv:3); if that means \"no value\", add `NA` to `null_values`",
            "`c` looks like int64 until `late` (data/t.csv:4); it is read as utf8",
        ]
    );
    let told = place.connect_with(json!({"null_values": ["NA"]}));
    assert_eq!(columns(&*told, "t").await.expect("columns"), "a: int64, b: utf8, c: utf8");
    let rows = rows_of(&*told, Scan::table("t")).await.expect("rows");
    assert_eq!(rows[0].columns().iter().map(|column| column.null_count()).collect::<Vec<_>>(), [1, 1, 0]);
}

#[tokio::test]
async fn empty_and_quoted_empty_differ_in_text_only() {
    let place = Place::new().file("t.csv", "s,n\n\"\",\"\"\n,\n\"x\",\"7\"\n");
    let connection = place.connect();
    assert_eq!(columns(&*connection, "t").await.expect("columns"), "s: utf8, n: int64");
    let rows = rows_of(&*connection, Scan::table("t")).await.expect("rows");
    let (s, n) = (rows[0].column(0).as_string::<i32>(), rows[0].column(1).as_primitive::<Int64Type>());
    assert_eq!(s.iter().collect::<Vec<_>>(), [Some(""), None, Some("x")]);
    assert_eq!(n.iter().collect::<Vec<_>>(), [None, None, Some(7)]);
}

#[tokio::test]
async fn line_ends_marks_and_quotes_of_all_kinds() {
    let texts = [
        ("crlf", "a,b\r\n1,x\r\n2,\"y\r\nz\"\r\n"),
        ("bom", "\u{feff}a,b\n1,x\n2,\"y\r\nz\"\n"),
        ("no_end", "a,b\n1,x\n2,\"y\r\nz\""),
        ("blank_lines", "a,b\n\n1,x\n\r\n2,\"y\r\nz\"\n\n"),
    ];
    let place = texts.iter().fold(Place::new(), |place, (name, text)| place.file(&format!("{name}.csv"), text));
    let connection = place.connect();
    for (name, _) in texts {
        let rows = rows_of(&*connection, Scan::table(name)).await.expect(name);
        let rows = concat_batches(rows[0].schema_ref(), &rows).expect(name);
        let (a, b) = (rows.column(0).as_primitive::<Int64Type>(), rows.column(1).as_string::<i32>());
        assert_eq!(a.values(), &[1, 2], "{name}");
        assert_eq!(b.iter().collect::<Vec<_>>(), [Some("x"), Some("y\r\nz")], "{name}");
    }
}

#[tokio::test]
async fn one_column_without_value_is_a_blank_line() {
    let place = Place::new().file("t.csv", "a\n1\n\n3\n");
    let rows = rows_of(&*place.connect(), Scan::table("t")).await.expect("rows");
    let a = rows[0].column(0).as_primitive::<Int64Type>();
    assert_eq!(a.iter().collect::<Vec<_>>(), [Some(1), None, Some(3)]);
}

#[tokio::test]
async fn declared_dialects_and_encodings() {
    let (utf16, _, _) = encoding_rs::WINDOWS_1252.encode("name;n\n'Zoë; ''Z''';1\n");
    let wide: Vec<u8> = "\u{feff}name,n\nZoë,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let place = Place::new()
        .file("latin.csv", &utf16)
        .file("wide.csv", wide)
        .file("tabs.tsv", "name\tn\nZoë, Z\t1\n")
        .file("bare.csv", "Zoë,1\n");
    let connection = place.connect_with(json!({"tables": {
        "latin": {"path": "latin.csv", "delimiter": ";", "quote": "'", "encoding": "latin1"},
        "wide": {"path": "wide.csv", "encoding": "utf-16le"},
        "bare": {"path": "bare.csv", "header": false},
    }}));
    for (table, expected) in [
        ("latin", "name: utf8, n: int64"),
        ("wide", "name: utf8, n: int64"),
        ("tabs", "name: utf8, n: int64"),
        ("bare", "column_1: utf8, column_2: int64"),
    ] {
        assert_eq!(columns(&*connection, table).await.expect(table), expected);
    }
    let rows = rows_of(&*connection, Scan::table("latin")).await.expect("rows");
    assert_eq!(rows[0].column(0).as_string::<i32>().value(0), "Zoë; 'Z'");
    let rows = rows_of(&*connection, Scan::table("wide")).await.expect("rows");
    assert_eq!(rows[0].column(0).as_string::<i32>().value(0), "Zoë");
}

#[tokio::test]
async fn compressed_files_folders_and_patterns() {
    let zst = zstd::encode_all(b"a\n3\n".as_slice(), 1).expect("bytes");
    let place = Place::new()
        .file("one.csv.gz", gz(b"a\n1\n"))
        .file("folder/x.csv", "a\n2\n")
        .file("folder/y.csv.zst", zst)
        .file("folder/readme.txt", "not data")
        .file("2013/01.csv", "a,b\n4,x\n")
        .file("2013/02.csv", "b,a\ny,5\n")
        .file("_hidden.csv", "a\n1\n");
    let connection = place.connect_with(json!({"tables": {"months": {"path": "2013/*.csv"}}}));
    assert_eq!(connection.tables().await.expect("tables"), ["2013", "folder", "months", "one"]);
    for (table, expected) in [("one", vec![1]), ("folder", vec![2, 3]), ("months", vec![4, 5])] {
        let rows = rows_of(&*connection, Scan::table(table)).await.expect(table);
        let found: Vec<i64> =
            rows.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
        assert_eq!(found, expected, "{table}");
    }
}

#[tokio::test]
async fn json_lines_become_typed_columns() {
    let place = Place::new().file(
        "t.jsonl",
        concat!(
            r#"{"id": 1, "tags": ["a", null], "at": "2020-01-01T00:00:00Z", "who": {"name": "A\nn\"", "age": 3}, "x": 1, "zip": "007"}"#, "\n\n",
            r#"{"id": 12345678901234567890, "who": null, "x": "one", "tags": [], "extra": 1.5}"#, "\n",
            r#"{"at": null, "who": {"age": 4}, "x": {"deep": [1.10]}}"#,
        ),
    );
    let connection = place.connect();
    assert_eq!(
        columns(&*connection, "t").await.expect("columns"),
        "id: decimal(38,0), tags: list<utf8>, at: timestamp(UTC), who: struct<name: utf8, age: int64>, x: utf8, zip: utf8, \
         extra: float64"
    );
    let rows = rows_of(&*connection, Scan::table("t")).await.expect("rows");
    let rows = [concat_batches(rows[0].schema_ref(), &rows).expect("rows")];
    let x = rows[0].column(4).as_string::<i32>();
    assert_eq!(x.iter().collect::<Vec<_>>(), [Some("1"), Some("one"), Some(r#"{"deep": [1.10]}"#)]);
    let who = rows[0].column(3).as_struct();
    assert_eq!(who.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("A\nn\""), None, None]);
    let columns = Some(vec!["zip".to_owned()]);
    let zip = rows_of(&*connection, Scan { columns, ..Scan::table("t") }).await.expect("rows");
    assert_eq!(zip[0].num_columns(), 1);
}

#[tokio::test]
async fn a_header_without_rows_is_a_table() {
    let place = Place::new().file("t.csv", "a,b\n");
    let info = place.connect().describe("t").await.expect("columns");
    assert_eq!((info.rows, info.columns().len()), (Some(0), 2));
    assert!(rows_of(&*place.connect(), Scan::table("t")).await.expect("rows").is_empty());
}

#[tokio::test]
async fn what_was_learned_is_remembered_until_the_file_changes() {
    let place = Place::new().file("t.csv", "a\n1\n");
    assert_eq!(columns(&*place.connect(), "t").await.expect("columns"), "a: int64");
    let remembered = place.dir.path().join("state/schemas");
    let file = fs::read_dir(&remembered).expect("a folder").next().expect("a file").expect("a file").path();
    let text = fs::read_to_string(&file).expect("text").replace("int64", "float64");
    fs::write(&file, text).expect("written");
    assert_eq!(columns(&*place.connect(), "t").await.expect("columns"), "a: float64", "it is not learned again");
    let place = place.file("t.csv", "a\nx1\n");
    assert_eq!(columns(&*place.connect(), "t").await.expect("columns"), "a: utf8");
}

#[tokio::test]
async fn a_large_file_is_read_in_parallel_and_whole() {
    let mut text = String::from("n,text\n");
    for n in 0..300_000 {
        text.push_str(&format!("{n},\"some text, number {n}\"\n"));
    }
    let place = Place::new().file("t.csv", &text).file("z.csv.gz", gz(text.as_bytes()));
    let connection = place.connect();
    for table in ["t", "z"] {
        for partitions in [1, 3] {
            let rows = rows_of(&*connection, Scan { partitions, ..Scan::table(table) }).await.expect("rows");
            let mut found: Vec<i64> =
                rows.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
            if partitions > 1 {
                found.sort_unstable();
            }
            assert!(found.into_iter().eq(0..300_000), "{table} with {partitions} partitions");
        }
    }
}

#[tokio::test]
async fn a_very_long_field_is_one_field() {
    let long = "x".repeat(5 << 20);
    let place = Place::new().file("t.csv", format!("a,b\n1,\"{long}\n\"\n2,y\n"));
    let rows = rows_of(&*place.connect(), Scan::table("t")).await.expect("rows");
    assert_eq!(rows[0].column(1).as_string::<i32>().value(0).len(), long.len() + 1);
}

#[tokio::test]
async fn the_example_data_is_read() {
    let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let config = json!({"kind": "files", "path": "data/nyc", "null_values": ["NA", "\\N"]});
    let config: ConnectionConfig = serde_json::from_value(config).expect("a configuration");
    let connection = connect("nyc", &config, &Folders::at(base)).expect("a connection");
    for table in connection.tables().await.expect("tables") {
        let info = connection.describe(&table).await.expect("columns");
        let rows = rows_of(&*connection, Scan::table(&table)).await.expect("rows");
        assert_eq!(Some(rows.iter().map(RecordBatch::num_rows).sum::<usize>() as u64), info.rows, "{table}");
    }
    assert_eq!(
        columns(&*connection, "flights").await.expect("columns"),
        "year: int64, month: int64, day: int64, dep_time: int64, sched_dep_time: int64, dep_delay: int64, arr_time: int64, \
         sched_arr_time: int64, arr_delay: int64, carrier: utf8, flight: int64, tailnum: utf8, origin: utf8, dest: utf8, \
         air_time: int64, distance: int64, hour: int64, minute: int64, time_hour: timestamp(UTC)"
    );
}

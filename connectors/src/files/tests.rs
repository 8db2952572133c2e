//! What a user sees of the file connector.

use std::{fs, io::Write, path::Path, sync::Arc};

use arrow::{array::RecordBatch, util::pretty::pretty_format_batches};
use futures::StreamExt;
use serde_json::json;

use crate::{Connection, ConnectionConfig, ConnectorError, Folders, Scan, connect};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join("data").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
        self
    }

    fn connect(&self) -> Arc<dyn Connection> {
        self.connect_with(json!({}))
    }

    fn connect_with(&self, settings: serde_json::Value) -> Arc<dyn Connection> {
        let mut config = json!({"kind": "files", "path": "data"});
        for (key, value) in settings.as_object().expect("settings") {
            config[key] = value.clone();
        }
        let config: ConnectionConfig = serde_json::from_value(config).expect("a configuration");
        let folders = Folders { base: self.dir.path().into(), state: Some(self.dir.path().join("state")) };
        connect("test", &config, &folders).expect("a connection")
    }
}

async fn rows_of(connection: &dyn Connection, scan: Scan) -> Result<Vec<RecordBatch>, ConnectorError> {
    let mut batches = Vec::new();
    for mut stream in connection.scan(scan).await? {
        while let Some(batch) = stream.next().await {
            batches.push(batch?);
        }
    }
    Ok(batches)
}

async fn shown(connection: &dyn Connection, table: &str) -> Result<String, ConnectorError> {
    let batches = rows_of(connection, Scan::table(table)).await?;
    Ok(pretty_format_batches(&batches).expect("a table").to_string())
}

async fn columns(connection: &dyn Connection, table: &str) -> Result<String, ConnectorError> {
    let info = connection.describe(table).await?;
    Ok(info.columns().iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join(", "))
}

async fn error_of(connection: &dyn Connection, table: &str) -> String {
    let error = match connection.describe(table).await {
        Err(error) => error,
        Ok(_) => rows_of(connection, Scan::table(table)).await.expect_err("an error"),
    };
    format!("{} {}", error.code(), error.chain())
}

#[tokio::test]
async fn a_csv_file_is_a_table_with_inferred_types() {
    let place = Place::new().file(
        "t.csv",
        "i,f,b,d,ts,tz,zip,s,none\n1,1.5,true,2020-02-29,2020-01-01 05:00:00,2020-01-01T05:00:00+01:00,00123,\"a,\"\"b\"\"\nc\",\n-2,3,FALSE,1999-12-31,2020-01-01T05:00:00.25,2020-01-01T05:00:00Z,10,,\n",
    );
    let connection = place.connect();
    assert_eq!(connection.tables().await.expect("tables"), ["t"]);
    assert_eq!(
        columns(&*connection, "t").await.expect("columns"),
        "i: int64, f: float64, b: boolean, d: date, ts: timestamp, tz: timestamp(UTC), zip: utf8, s: utf8, none: utf8"
    );
    println!("{}", shown(&*connection, "t").await.expect("rows"));
}

#[tokio::test]
async fn the_example_data_is_read() {
    let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let config = json!({"kind": "files", "path": "data/nyc", "null_values": ["NA", "\\N"]});
    let config: ConnectionConfig = serde_json::from_value(config).expect("a configuration");
    let connection = connect("nyc", &config, &Folders::at(base)).expect("a connection");
    for table in connection.tables().await.expect("tables") {
        let info = connection.describe(&table).await.expect("columns");
        println!("{table} {:?} {:?} {:#?}", info.rows, info.columns(), info.hints);
        let rows: usize =
            rows_of(&*connection, Scan::table(&table)).await.expect("rows").iter().map(RecordBatch::num_rows).sum();
        assert_eq!(Some(rows as u64), info.rows);
    }
}

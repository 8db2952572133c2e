//! What a user sees of the file connector.

mod loads;
mod reads;
mod web;
mod wrong;

use std::{fs, sync::Arc};

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
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
        self
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("data").join(name)
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
    let error = failure(connection, table).await;
    format!("{} {}", error.code(), error.chain())
}

async fn failure(connection: &dyn Connection, table: &str) -> ConnectorError {
    match connection.describe(table).await {
        Err(error) => error,
        Ok(_) => rows_of(connection, Scan::table(table)).await.expect_err("an error"),
    }
}

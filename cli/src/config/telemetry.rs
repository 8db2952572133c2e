use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_telemetry::ClickHouseConfig;

use crate::error::CliError;
use crate::secret;

/// How runs, tasks, waits and calls of models are recorded, and where metrics are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySection {
    /// A ClickHouse for records, as `{url: "http://clickhouse:8123"}`. Unset: the file `telemetry.db` in `state.dir`.
    pub clickhouse: Option<ClickHouseSection>,
    /// Where this process shows `/metrics`, `/healthz` and `/readyz` to whoever asks, as `0.0.0.0:9464`. Unset: nowhere;
    /// `dev` and `server` show `/metrics` beside their API.
    pub listen: Option<String>,
}

/// A ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseSection {
    /// `http://host:8123` or `https://…`.
    pub url: String,
    /// The database; it must be there.
    pub database: String,
    /// The user.
    pub user: String,
    /// The place of its password. Unset: none.
    pub password: Option<String>,
}

impl Default for ClickHouseSection {
    fn default() -> Self {
        Self { url: String::new(), database: "tidemill".to_owned(), user: "default".to_owned(), password: None }
    }
}

impl ClickHouseSection {
    /// As the client wants it, with the password read.
    pub fn config(&self) -> Result<ClickHouseConfig, CliError> {
        let password = match &self.password {
            Some(place) => secret::read("telemetry.clickhouse.password", place)?.expose().to_owned(),
            None => String::new(),
        };
        Ok(ClickHouseConfig {
            url: self.url.clone(),
            database: self.database.clone(),
            user: self.user.clone(),
            password,
        })
    }
}

impl TelemetrySection {
    /// Where metrics are shown.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.as_ref().and_then(|address| address.parse().ok())
    }

    /// What is wrong with the section as a whole, by key.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        if self.listen.is_some() && self.address().is_none() {
            found.push(("telemetry.listen", "it must be an address and a port, as `0.0.0.0:9464`"));
        }
        if let Some(clickhouse) = &self.clickhouse {
            if !clickhouse.url.starts_with("http://") && !clickhouse.url.starts_with("https://") {
                found.push(("telemetry.clickhouse", "`url` must start with `http://` or `https://`"));
            }
            if clickhouse.password.as_deref().is_some_and(|written| !secret::is_place(written)) {
                found.push((
                    "telemetry.clickhouse",
                    "a password does not stand in this file: write where it is, as `${env:NAME}`",
                ));
            }
        }
        found
    }
}

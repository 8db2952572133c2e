//! The real ClickHouse engine behind a small HTTP front: its SQL, its types, its MergeTree tables.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    process::Process,
    python::{script, test_python},
};

/// A server. It ends, and its folder goes, when it is dropped or when its process ends in whatever way.
#[derive(Debug)]
pub struct ClickHouseServer {
    _process: Process,
    port: u16,
}

const PATIENCE: Duration = Duration::from_secs(120);

impl ClickHouseServer {
    /// The database that is there.
    pub const DATABASE: &'static str = "tidemill";

    /// Starts one.
    ///
    /// # Panics
    /// If it does not come up: a test that needs one must not pass without.
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("tidemill-ch-").expect("a folder");
        let process = Process::new(folder, Signal::SIGKILL).expect("a process");
        let mut command = Command::new(test_python());
        command.arg(script("clickhouse.py")).arg(process.folder().join("data"));
        process.start(&mut command).expect("python starts");
        let since = Instant::now();
        loop {
            let log = process.log();
            // The engine may have something to say first, as where there are no control groups.
            if let Some(port) = log.lines().find_map(|line| line.trim().parse().ok()) {
                return Self { _process: process, port };
            }
            assert!(process.is_running() && since.elapsed() < PATIENCE, "the engine does not start:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

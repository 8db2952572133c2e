//! Durable orchestration, embedded: W1 to W5, decisions, throughput, validation, idle memory, cold start.

mod cold;
mod decisions;
mod floors;
mod workloads;

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{Options, Outcome, table::Report};

pub use cold::serve;

/// Measures what is wanted and prints it.
pub async fn run(options: &Options) -> Outcome<()> {
    let mut lines = workloads::measure(options).await?;
    lines.extend(decisions::measure(options).await?);
    lines.extend(cold::measure(options).await?);
    let report = Report { title: "Orchestration, embedded", settings: settings(options), lines };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.print());
    }
    Ok(())
}

/// A fresh folder on the disk to be measured.
fn fresh(options: &Options) -> Outcome<TempDir> {
    Ok(match &options.folder {
        Some(folder) => TempDir::new_in(folder)?,
        None => TempDir::new()?,
    })
}

fn settings(options: &Options) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let build = if cfg!(debug_assertions) { "debug: figures mean nothing" } else { "release" };
    vec![
        ("tidemill", format!("{} ({build})", env!("CARGO_PKG_VERSION"))),
        ("durability", "SQLite in WAL mode, synchronous=FULL: every answered step is flushed; group commit".to_owned()),
        ("queue", "in process; worker, scheduler and database in this one process".to_owned()),
        ("machine", format!("{cores} cores, load {load} at the end, databases on {} ({})", folder.display(), file_system(&folder))),
        ("kinds", "host: `python` in a warm host process; process: `shell`, a fresh sandboxed process; no-op: `wait: {for: 0s}`".to_owned()),
    ]
}

/// The kind of file system under a folder, as the kernel names it.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let of = |line: &str| {
        let mut words = line.split(' ').skip(1).map(str::to_owned);
        let (place, kind) = (words.next()?, words.next()?);
        folder.starts_with(&place).then_some((place.len(), kind))
    };
    mounts.lines().filter_map(of).max().map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

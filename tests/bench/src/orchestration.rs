//! Durable orchestration, embedded and over servers: W1 to W5, decisions, throughput, validation, idle memory, cold start.

mod cold;
mod crowds;
mod decisions;
mod floors;
mod front;
mod killed;
mod workloads;

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{On, Options, Outcome, ground::Ground, table::Report};

pub use cold::serve;
pub use killed::work;

/// Measures what is wanted and prints it.
pub async fn run(options: &Options) -> Outcome<()> {
    let mut reports = Vec::new();
    if options.on != Some(On::Cluster) {
        let mut lines = workloads::measure(options, &Ground::Embedded).await?;
        lines.extend(decisions::measure(options, &Ground::Embedded).await?);
        lines.extend(crowds::measure(options, &Ground::Embedded).await?);
        lines.extend(cold::measure(options).await?);
        let settings = settings(options, &Ground::Embedded).await?;
        reports.push(Report { title: "Orchestration, embedded", settings, lines });
    }
    if options.on != Some(On::Embedded) {
        let ground = Ground::cluster()?;
        let mut lines = workloads::measure(options, &ground).await?;
        lines.extend(decisions::measure(options, &ground).await?);
        lines.extend(crowds::measure(options, &ground).await?);
        lines.extend(killed::measure(options, &ground).await?);
        let settings = settings(options, &ground).await?;
        reports.push(Report { title: "Orchestration over PostgreSQL and Redis", settings, lines });
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        reports.iter().for_each(|report| println!("{}", report.print()));
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

async fn settings(options: &Options, ground: &Ground) -> Outcome<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let build = if cfg!(debug_assertions) { "debug: figures mean nothing" } else { "release" };
    let mut settings = vec![("tidemill", format!("{} ({build})", env!("CARGO_PKG_VERSION")))];
    match ground {
        Ground::Embedded => settings.extend([
            (
                "durability",
                "SQLite in WAL mode, synchronous=FULL: every answered step is flushed; group commit".to_owned(),
            ),
            ("queue", "in process; worker, scheduler and database in this one process".to_owned()),
        ]),
        Ground::Cluster(servers) => {
            let (commit, question) = (floors::commit(servers).await?, floors::question(servers).await?);
            let ping = floors::ping(servers).await?;
            settings.extend([
                ("durability", "PostgreSQL with fsync and synchronous_commit on: every answered step is flushed; group commit".to_owned()),
                ("queue", "Redis without persistence; worker and scheduler in this one process, the servers beside it".to_owned()),
                ("floors", format!("a bare commit {commit:.2} ms, a bare question to PostgreSQL {question:.3} ms, to Redis {ping:.3} ms")),
            ]);
        }
    }
    settings.extend([
        ("machine", format!("{cores} cores, load {load} at the end, databases on {} ({})", folder.display(), file_system(&folder))),
        ("kinds", "host: `python` in a warm host process; process: `shell`, a fresh sandboxed process; no-op: `wait: {for: 0s}`".to_owned()),
    ]);
    Ok(settings)
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

//! Cold start and idle memory, of a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::fresh;
use crate::{Options, Outcome, ground::Ground, site::Site, table::Line};

/// What a process does that has just been installed: makes its state, runs its first pipeline, and then idles.
pub async fn serve(folder: &Path) -> Outcome<()> {
    let site = Site::open(&Ground::Embedded, folder, None, Path::new("python3")).await?;
    let compiled = site.save("pipeline: first\ntasks:\n  only: {wait: {for: 0s}}\n").await?;
    site.run(&compiled).await?;
    println!("ran");
    // The end of the input is the order to go.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    site.close().await
}

/// Starts processes anew and looks at them once they idle.
pub async fn measure(options: &Options) -> Outcome<Vec<Line>> {
    if !options.wants("cold") && !options.wants("idle") {
        return Ok(Vec::new());
    }
    let (mut starts, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.min(5) {
        let folder = fresh(options)?;
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        starts.push(begun.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_secs(2)).await;
        sizes.push(proportional_size(child.id())?);
        drop(child.stdin.take());
        child.wait()?;
    }
    Ok(vec![
        Line::new("cold", "process start to first run finished", "s", &starts)
            .beside("0.5", "DBOS 0.84, Temporal 1.0, Restate 1.3, Dagster 5.4, Airflow 13.7"),
        Line::new("idle", "proportional size, idle after the first run", "MB", &sizes)
            .beside("60", "Celery 82, DBOS 180, Temporal 200, Restate 313, Prefect 394, Airflow 1067"),
    ])
}

fn proportional_size(process: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find(|line| line.starts_with("Pss:")).ok_or("the kernel tells no Pss")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).ok_or("the kernel tells no size")?.parse()?;
    Ok(kilobytes / 1_000.0)
}

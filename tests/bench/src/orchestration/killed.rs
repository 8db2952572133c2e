//! From the death of a worker to the next attempt of its task, between processes that share nothing but the servers.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use tidemill_dag::state::TaskState;
use tidemill_store::transport::redis::{RedisOptions, RedisTransport};

use super::fresh;
use crate::{
    Options, Outcome,
    ground::{Ground, Servers, State},
    site::Site,
    table::Line,
};

/// A worker in a process of its own, until its input ends.
pub async fn work(folder: &Path, url: &str, queue: &str, prefix: &str) -> Outcome<()> {
    let options = RedisOptions { prefix: prefix.to_owned(), ..RedisOptions::new(queue) };
    let transport = Arc::new(RedisTransport::new(&options)?);
    let state = State { url: url.to_owned(), transport, prefix: prefix.to_owned() };
    let mut site = Site::over(state).await?;
    site.add_worker(folder, Some(2), Path::new("python3")).await?;
    println!("works");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    site.close().await
}

/// Kills workers at default settings.
pub async fn measure(options: &Options, ground: &Ground) -> Outcome<Vec<Line>> {
    let Ground::Cluster(servers) = ground else { return Ok(Vec::new()) };
    if !options.wants("killed") {
        return Ok(Vec::new());
    }
    let mut samples = Vec::new();
    for _ in 0..options.rounds.min(5) {
        samples.push(once(options, ground, servers).await?);
    }
    let what = "worker killed to its task's next attempt, another host";
    Ok(vec![Line::new("killed", what, "s", &samples).beside("10", "Hatchet 30, Prefect 540")])
}

async fn once(options: &Options, ground: &Ground, servers: &Servers) -> Outcome<f64> {
    let folder = fresh(options)?;
    let state = ground.state(folder.path()).await?;
    let (url, prefix) = (state.url.clone(), state.prefix.clone());
    let mut site = Site::over(state).await?;
    site.add_scheduler();
    let start = || -> Outcome<Child> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("work")
            .arg(folder.path())
            .args([&url, &servers.redis.url(), &prefix])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(child)
    };
    let mut first = start()?;
    let compiled = site.save("pipeline: long\ntasks:\n  only: {shell: {command: 'sleep 60'}}\n").await?;
    let run = site.store.create_run(site.new_run(&compiled)).await?.run;
    let attempt = async |than: u32| -> Outcome<u32> {
        loop {
            let task = site.store.tasks(run).await?.swap_remove(0);
            if task.state == TaskState::Running && task.attempt.0 > than {
                return Ok(task.attempt.0);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let before = attempt(0).await?;
    let mut second = start()?;
    first.kill()?;
    let begun = Instant::now();
    first.wait()?;
    attempt(before).await?;
    let took = begun.elapsed().as_secs_f64();
    second.kill()?;
    second.wait()?;
    site.close().await?;
    Ok(took)
}

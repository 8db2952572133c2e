//! A soak: every part of the platform as a process of the real binary over PostgreSQL and Redis, at half of the load that it can
//! carry, for a long time; and how much memory each process has meanwhile.

mod load;
mod memory;
mod work;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;
use tidemill_stories::cluster::{Cluster, Part};

use crate::{Outcome, gateway::process::Part as Helper};
use load::{Models, Pace};
use memory::{Course, Memory, Sample, Watched};
use work::Work;

/// How long, and how the figures are shown.
#[derive(Args, Debug, Clone)]
pub struct SoakOptions {
    /// One JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// How long in all. The first minute, or a quarter if that is less, finds out what the machine carries.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
}

/// What it came to.
#[derive(Debug, Serialize)]
struct Report {
    build: &'static str,
    minutes: f64,
    /// What was carried in the first part, per second: runs, and requests to models.
    full: Rates,
    /// What was asked for in the second part.
    half: Rates,
    runs: u64,
    requests: u64,
    /// Of the requests, those that are in the records: what the place for them cannot take in time is lost.
    recorded: u64,
    /// Proportional set sizes.
    memory: Vec<Memory>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Rates {
    runs: f64,
    requests: f64,
}

const SETTINGS: &str = "
server: {requests_per_minute: 10000000}
worker: {slots: 8}
retention: {datasets: 1m, logs: 5m, events: 5m, grace: 1m, every: 1m}
";

/// Runs under way at once while it is found out what the machine carries.
const CROWD: u64 = 24;

/// Carries the load for the time that is wanted, and prints the table.
pub async fn run(options: &SoakOptions) -> Outcome<()> {
    let upstream = Helper::start(&["upstream", "127.0.0.1:0"])?;
    let cluster = Cluster::start(&format!("{SETTINGS}{}", load::settings(upstream.address)), 100).await;
    let options = options.clone();
    let work = Work::over(&cluster.url).await?;
    let handle = tokio::runtime::Handle::current();
    let soaked = tokio::task::spawn_blocking(move || soak(&options, &cluster, work, &handle)).await?;
    drop(upstream);
    soaked
}

/// The parts under load.
struct Parts {
    server: Arc<Part>,
    scheduler: Part,
    worker: Part,
    gateway: Part,
}

impl Parts {
    fn start(cluster: &Cluster) -> Outcome<Self> {
        // A line for every run would measure the log.
        let quiet = [("RUST_LOG", "warn".to_owned())];
        let mut server = cluster.part_with(&["server", "--listen", "127.0.0.1:0"], &quiet);
        let (_, made) = cluster.run(&["tokens", "create", "soak", "--role", "admin"]);
        server.token = Some(made["token"].as_str().ok_or("no token")?.to_owned());
        Ok(Self {
            server: Arc::new(server),
            scheduler: cluster.part_with(&["scheduler"], &quiet),
            worker: cluster.part_with(&["worker"], &quiet),
            gateway: cluster.part_with(&["gateway", "--listen", "127.0.0.1:0"], &quiet),
        })
    }

    fn watched(&self, cluster: &Cluster) -> Outcome<Vec<Watched>> {
        let pid = |part: &Part| u32::try_from(part.pid().as_raw());
        Ok(vec![
            Watched::one("scheduler", pid(&self.scheduler)?),
            Watched::one("worker", pid(&self.worker)?),
            Watched::one("server", pid(&self.server)?),
            Watched::one("gateway", pid(&self.gateway)?),
            Watched::one("Redis", cluster.redis.pid().ok_or("no Redis")?),
            Watched::with_children("PostgreSQL", cluster.postgres.pid().ok_or("no PostgreSQL")?),
        ])
    }

    fn stop(self) -> Outcome<()> {
        let server = Arc::into_inner(self.server).ok_or("somebody still asks the server")?;
        for part in [self.worker, self.scheduler, server, self.gateway] {
            let log = part.log.clone();
            if part.stop() != 0 {
                return Err(std::fs::read_to_string(log)?.into());
            }
        }
        Ok(())
    }
}

fn soak(options: &SoakOptions, cluster: &Cluster, mut work: Work, runtime: &tokio::runtime::Handle) -> Outcome<()> {
    let parts = Parts::start(cluster)?;
    work::apply(&parts.server)?;
    let mut memory = Sample::new(parts.watched(cluster)?)?;
    let whole = Duration::from_secs_f64(options.minutes * 60.0);
    let first = (whole / 4).min(Duration::from_secs(60));

    let end = Instant::now() + first;
    let models = Models::start(&parts.gateway, Pace::full(), end);
    let runs = work.crowd(runtime, &parts.server, CROWD, end)?;
    let full = Rates { runs, requests: models.finish()? as f64 / first.as_secs_f64() };
    runtime.block_on(work.settled())?;
    let mut requests = (full.requests * first.as_secs_f64()).round() as u64;

    let half = Rates { runs: full.runs / 2.0, requests: full.requests / 2.0 };
    eprintln!(
        "{:.1} runs and {:.0} requests to models per second are carried; half of that from now on",
        full.runs, full.requests
    );
    memory.begin();
    let end = Instant::now() + (whole - first);
    let models = Models::start(&parts.gateway, Pace::of(half.requests), end);
    work.steady(runtime, &parts.server, half.runs, end, &mut memory)?;
    requests += models.finish()?;
    let memory = memory.done()?;
    runtime.block_on(work.settled())?;
    let runs = runtime.block_on(work.succeeded())?;
    let (code, doctor) = cluster.run(&["doctor"]);
    if code != 0 {
        return Err(format!("the doctor found something: {doctor}").into());
    }
    parts.stop()?;
    let recorded = recorded(cluster)?;
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let report = Report { build, minutes: options.minutes, full, half, runs, requests, recorded, memory };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.print());
    }
    Ok(())
}

/// How many calls of models the records know.
fn recorded(cluster: &Cluster) -> Outcome<u64> {
    let (code, stats) = cluster.run(&["stats", "--models", "--since", "1d"]);
    let models = stats["models"].as_array().filter(|_| code == 0).ok_or_else(|| format!("no stats: {stats}"))?;
    Ok(models.iter().filter_map(|line| line["calls"].as_u64()).sum())
}

impl Report {
    /// As a table that goes into a page.
    fn print(&self) -> String {
        let mut out = String::from(
            "| process | idle | start | p50 | end | most | own: idle | start | p50 | end | most | per hour |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for line in &self.memory {
            out += &format!("| {} |", line.process);
            for course in [&line.all, &line.own] {
                let Course { idle, start, p50, end, most, .. } = course;
                out += &format!(" {idle:.1} | {start:.1} | {p50:.1} | {end:.1} | {most:.1} |");
            }
            out += &format!(" {:+.1} |\n", line.own.per_hour);
        }
        out += &format!(
            "\nProportional set size in MB, and of that what nobody else has, over {} minutes ({} build): {} runs and {} requests to models, {} of them\nin the records; {:.1} runs and {:.0} requests per second, half of what the first part carried.\n",
            self.minutes, self.build, self.runs, self.requests, self.recorded, self.half.runs, self.half.requests
        );
        out
    }
}

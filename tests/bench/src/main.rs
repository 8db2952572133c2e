//! Benchmarks. Every figure stands beside a floor that was taken in the same run, and none is asserted.
//!
//! `cargo run --release -p tidemill-bench -- orchestration` prints the table of durable orchestration, `-- soak` what memory every process
//! has over half an hour.

mod ambient;
mod gateway;
mod ground;
mod orchestration;
mod site;
mod soak;
mod table;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

/// What may go wrong here is only told, never handled.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The one of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tidemill's benchmarks.
#[derive(Parser)]
#[command(name = "tidemill-bench")]
struct CommandLine {
    #[command(subcommand)]
    area: Area,
}

#[derive(Subcommand)]
enum Area {
    /// Chains, fans, many runs at once, throughput, memory: embedded, and over PostgreSQL and Redis; every step on the disk.
    Orchestration(Options),
    /// The worker that the bench kills.
    #[command(hide = true)]
    Work {
        /// A folder for its files.
        folder: PathBuf,
        /// The database.
        url: String,
        /// The Redis.
        queue: String,
        /// The names of its keys.
        prefix: String,
    },
    /// The LLM gateway: added latency, requests per second, streams, processor time and memory.
    Gateway(gateway::GatewayOptions),
    /// Every part as a process over PostgreSQL and Redis, at half load for a long time: memory.
    Soak(soak::SoakOptions),
    /// The model behind the gateway.
    #[command(hide = true)]
    Upstream {
        /// Where it listens.
        listen: std::net::SocketAddr,
    },
    /// The gateway as a process.
    #[command(hide = true)]
    GatewayProcess {
        /// Where the model is.
        upstream: std::net::SocketAddr,
    },
    /// What the cold start starts.
    #[command(hide = true)]
    Serve {
        /// An empty folder.
        folder: PathBuf,
    },
}

/// What to measure, and how.
#[derive(Args, Debug, Clone)]
struct Options {
    /// One JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Only these, as in `W1,W4,throughput`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only on this ground.
    #[arg(long)]
    on: Option<On>,
    /// How often each is repeated.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where the databases go: a folder on the disk to be measured.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The Python interpreter.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

/// What the product stands on.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    /// SQLite and a channel, in one process.
    Embedded,
    /// PostgreSQL and Redis.
    Cluster,
}

impl Options {
    fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.eq_ignore_ascii_case(id))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match CommandLine::parse().area {
        Area::Orchestration(options) => orchestration::run(&options).await,
        Area::Work { folder, url, queue, prefix } => orchestration::work(&folder, &url, &queue, &prefix).await,
        Area::Gateway(options) => {
            tokio::task::spawn_blocking(move || gateway::run(&options)).await.unwrap_or_else(|error| Err(error.into()))
        }
        Area::Soak(options) => soak::run(&options).await,
        Area::Upstream { listen } => gateway::upstream(listen).await,
        Area::GatewayProcess { upstream } => gateway::serve(upstream).await,
        Area::Serve { folder } => orchestration::serve(&folder).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `cargo run -p tidemill-chaos -- --long`: the long form of what `tests/run` does shortly.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use tidemill_chaos::{Plan, play, report};

/// Breaks what can break under a running platform, and checks that every run came out right.
#[derive(Debug, Parser)]
struct Args {
    /// At least 2,000 runs instead of 200.
    #[arg(long)]
    long: bool,
    /// The seed of the first batch; a batch that failed prints its own.
    #[arg(long)]
    seed: Option<u64>,
    /// Batches of every fault.
    #[arg(long)]
    batches: Option<usize>,
    /// Runs per batch.
    #[arg(long)]
    runs: Option<usize>,
    /// Only faults whose names hold this.
    #[arg(long)]
    only: Option<String>,
    /// Write the table between the marks of this page.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let plan = if args.long { Plan::long() } else { Plan::short() };
    let plan = Plan {
        seed: args.seed.unwrap_or(plan.seed),
        batches: args.batches.unwrap_or(plan.batches),
        runs: args.runs.unwrap_or(plan.runs),
        only: args.only,
    };
    let results = play(&plan).await;
    let table = report::table(&results);
    println!("\n{table}");
    if let Some(page) = args.page {
        let text = std::fs::read_to_string(&page).expect("the page can be read");
        std::fs::write(&page, report::between_marks(&text, &table)).expect("the page can be written");
    }
    if results.iter().all(|result| result.wrong.is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

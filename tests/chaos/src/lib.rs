//! Chaos: real servers, real processes, real trouble, and the question whether every run came out right and every load is
//! there once. Every batch has a seed that chooses what is hit and when; the order of events within a batch is the machine's.

pub mod batch;
pub mod dice;
pub mod faults;
pub mod report;
pub mod site;

use std::time::Instant;

use crate::{
    batch::Result,
    faults::{FAULTS, Fault},
    site::Site,
};

/// What is played.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed of the first batch; each batch has the next.
    pub seed: u64,
    /// Batches of every fault.
    pub batches: usize,
    /// Runs per batch.
    pub runs: usize,
    /// Only faults whose names hold this.
    pub only: Option<String>,
}

impl Plan {
    /// At least 200 runs, for every change.
    pub const fn short() -> Self {
        Self { seed: 1, batches: 1, runs: 11, only: None }
    }

    /// At least 2,000 runs.
    pub const fn long() -> Self {
        Self { seed: 1_000, batches: 5, runs: 20, only: None }
    }

    fn faults(&self) -> Vec<Fault> {
        let wanted = |fault: &&Fault| self.only.as_ref().is_none_or(|word| fault.name.contains(word.as_str()));
        FAULTS.iter().filter(wanted).copied().collect()
    }
}

/// Plays a plan. What goes wrong is in the results.
pub async fn play(plan: &Plan) -> Vec<Result> {
    let mut site = Site::start(plan.seed).await;
    let mut results = Vec::new();
    let mut seed = plan.seed;
    for _ in 0..plan.batches {
        for fault in plan.faults().into_iter().filter(|fault| fault.kind.is_possible(&site)).collect::<Vec<_>>() {
            let since = Instant::now();
            let result = batch::play(&mut site, fault, seed, plan.runs).await;
            println!(
                "timed: chaos, {}: {} runs in {:.1} s, seed {seed}{}",
                fault.name,
                result.runs,
                since.elapsed().as_secs_f64(),
                if result.wrong.is_empty() { "" } else { " WRONG" },
            );
            for wrong in &result.wrong {
                println!("  seed {seed}, {}: {wrong}", fault.name);
            }
            if !result.wrong.is_empty() {
                site.keep_logs();
            }
            results.push(result);
            seed += 1;
        }
    }
    tokio::task::block_in_place(|| site.stop());
    results
}

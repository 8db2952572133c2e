//! How fast it is here, for people to read; nothing is asserted but the outcome.

use std::time::Instant;

use tidemill_dag::state::RunState;

use super::bed::Bed;
use crate::WorkerConfig;

const FIBO: &str = "def fibo(n): return n if n < 2 else fibo(n - 1) + fibo(n - 2)\\ndef run(): return fibo(10)";

/// Forty light tasks, each after the other.
fn chain() -> String {
    let task = |index: usize| {
        let needs = if index == 0 { String::new() } else { format!(", needs: [t{}]", index - 1) };
        format!("  t{index}: {{python: {{code: \"{FIBO}\"}}{needs}}}\n")
    };
    format!("pipeline: w1\ntasks:\n{}", (0..40).map(task).collect::<String>())
}

/// Two hundred tasks that do nothing, side by side, then one that waits for all.
fn wide(body: &str) -> String {
    let task = |index: usize| format!("  t{index}: {body}\n");
    let needs: Vec<String> = (0..200).map(|index| format!("t{index}")).collect();
    let join = format!("  join: {{wait: {{for: 0s}}, needs: [{}]}}\n", needs.join(", "));
    format!("pipeline: w3\ntasks:\n{}{join}", (0..200).map(task).collect::<String>())
}

async fn measure(bed: &Bed, name: &str, text: &str) {
    let compiled = bed.compile(text);
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let run = bed.create_of(&compiled).await;
        assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("timed: {name}: {best:.3} s (best of 5)");
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_and_crowds() {
    let bed = Bed::new().await;
    let worker = bed.start(WorkerConfig { slots: 16, ..bed.config("w") });
    measure(&bed, "W1, 40 chained Python tasks", &chain()).await;
    measure(&bed, "W3, 200 waits of no length and a join", &wide("{wait: {for: 0s}}")).await;
    measure(&bed, "W3, 200 empty Python tasks and a join", &wide("{python: {code: \"def run(): pass\"}}")).await;
    measure(&bed, "W3, 200 empty shell tasks and a join", &wide("{shell: {command: [\"true\"]}}")).await;
    worker.stop().await;
}

//! A batch: some runs, one fault in the midst of them, and whether all came out right.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tidemill_dag::{compile::Compiled, id::RunId, invariants, state::RunState};
use tidemill_store::{Store, StoreError};

use crate::{dice::Dice, faults::Fault, site::Site};

/// What runs look like. Every one of them succeeds, whatever happens on the way.
const SHAPES: [&str; 5] = [
    // A strict chain, which one worker may run through, that ends in a load.
    "
  a: {shell: {command: 'sleep 0.2'}, retries: 9, backoff: {initial: 10ms}}
  b: {shell: {command: 'sleep 0.3'}, needs: [a]}
  c: {shell: {command: 'sleep 0.05'}, needs: [b]}
  rows: {sql: 'SELECT 1 AS n', needs: [c], materialize: dataset, retries: 9, backoff: {initial: 100ms}}
  load: {load: {input: rows, connection: out, table: TABLE, mode: append}, retries: 9, backoff: {initial: 100ms}}
",
    // Side by side, then a join.
    "
  a: {shell: {command: 'sleep 0.02'}}
  b: {shell: {command: 'sleep 0.1'}}
  c: {shell: {command: 'sleep 0.6'}}
  d: {wait: {for: 100ms}}
  e: {wait: {for: 0s}}
  join: {wait: {for: 0s}, needs: [a, b, c, d, e]}
",
    // Fails at first.
    "
  flaky: {shell: {command: 'sleep 0.05; test $TIDEMILL_ATTEMPT -gt 1'}, retries: 5, backoff: {initial: 50ms}}
  after: {shell: {command: 'true'}, needs: [flaky]}
",
    // Two loads beside each other.
    "
  slow: {shell: {command: 'sleep 0.5'}}
  one: {sql: 'SELECT 1 AS n', needs: [slow], materialize: dataset, retries: 9, backoff: {initial: 100ms}}
  two: {sql: 'SELECT n + 1 AS n FROM one', materialize: dataset, retries: 9, backoff: {initial: 100ms}}
  first: {load: {input: one, connection: out, table: TABLE, mode: append}, retries: 9, backoff: {initial: 100ms}}
  second: {load: {input: two, connection: out, table: TABLE, mode: append}, retries: 9, backoff: {initial: 100ms}}
",
    // Long enough to be met by most faults.
    "
  long: {shell: {command: 'sleep 1'}}
  rows: {sql: 'SELECT 5 AS n', needs: [long], materialize: dataset, retries: 9, backoff: {initial: 100ms}}
  load: {load: {input: rows, connection: out, table: TABLE, mode: append}, retries: 9, backoff: {initial: 100ms}}
",
];

/// Loads per run of each shape.
const LOADS: [usize; 5] = [1, 0, 0, 2, 1];

/// All runs must have ended so long after the fault.
const DEADLINE: Duration = Duration::from_secs(90);

/// What a batch came to.
#[derive(Debug)]
pub struct Result {
    /// The fault.
    pub fault: Fault,
    /// Runs.
    pub runs: usize,
    /// Attempts whose worker was lost.
    pub lost: usize,
    /// Leases that workers themselves noticed to be lost, and results of theirs that came too late and were refused.
    pub refused: usize,
    /// The longest time from the creation of a run to its end.
    pub slowest: Duration,
    /// What was not as it must be.
    pub wrong: Vec<String>,
}

/// Plays one batch of so many runs.
pub async fn play(site: &mut Site, fault: Fault, seed: u64, runs: usize) -> Result {
    let dice = Dice::new(seed);
    let refused = site.refusals();
    let table = format!("t{seed}");
    let mut shapes: Vec<Compiled> = Vec::new();
    for (n, shape) in SHAPES.iter().enumerate() {
        let text = shape.replace("TABLE", &table);
        let head = format!("pipeline: chaos_{seed}_{n}\nconcurrency: {{max_runs: 1000, on_overlap: allow}}\ntasks:");
        shapes.push(site.save(&format!("{head}{text}")).await);
    }
    let mut created = Vec::new();
    let mut loads = 0;
    // Half of the runs are under way when it strikes, the others come into it or after it.
    let (before, during) = (runs - runs / 2, runs / 2);
    for n in 0..before {
        let shape = dice.below(shapes.len());
        loads += LOADS[shape];
        created.push(site.run(&shapes[shape], format!("{seed}-{n}")).await);
    }
    tokio::time::sleep(dice.millis(50, 600)).await;
    let known = created.clone();
    let picks: Vec<usize> = (0..during).map(|_| dice.below(shapes.len())).collect();
    loads += picks.iter().map(|shape| LOADS[*shape]).sum::<usize>();
    let chosen = picks.iter().map(|shape| &shapes[*shape]).zip(before..);
    // The store is shared: while the fault has the site, runs are created through another handle.
    let creator = site.creator();
    let later = async {
        let mut more = Vec::new();
        for (compiled, n) in chosen {
            more.push(creator.run(compiled, format!("{seed}-{n}")).await);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        more
    };
    let (own, more) = tokio::join!(fault.kind.strike(site, &dice, &known), later);
    created.extend(own.into_iter().chain(more));
    let mut result =
        Result { fault, runs: created.len(), lost: 0, refused: 0, slowest: Duration::ZERO, wrong: Vec::new() };
    settle(&site.store, &created, &mut result).await;
    check_loads(site, &table, loads, &mut result);
    result.refused = site.refusals().saturating_sub(refused);
    result
}

/// Waits until all runs have ended, and asks the seven invariants of each.
async fn settle(store: &Store, runs: &[RunId], result: &mut Result) {
    let since = Instant::now();
    for run in runs {
        let record = loop {
            let record = patiently(async || store.run(*run).await).await;
            if record.state.is_finished() || since.elapsed() > DEADLINE {
                break record;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        if record.state != RunState::Succeeded {
            let tasks = patiently(async || store.tasks(*run).await).await;
            let states: Vec<String> = tasks
                .iter()
                .map(|task| format!("{} {} #{} {:?}", task.name, task.state, task.attempt.0, task.error))
                .collect();
            result.wrong.push(format!("{run} of {} is {}: {}", record.pipeline, record.state, states.join(", ")));
        }
        if let Some(finished) = record.finished_at {
            result.slowest = result.slowest.max(finished.since(record.created_at));
        }
        let world = patiently(async || store.snapshot(Some(*run)).await).await;
        result.wrong.extend(invariants::check(&world).iter().map(ToString::to_string));
        result.lost += lost(&world);
    }
}

/// Attempts whose leases ended without a word of their workers.
fn lost(world: &invariants::World) -> usize {
    use tidemill_dag::state::{EventKind, Move};
    let gone = |step: &&Move| matches!(step, Move::Task { on: EventKind::LeaseOver | EventKind::OwnerGone, .. });
    world.audit.iter().filter(gone).count()
}

/// Every load is in the manifest once, and nothing else is.
fn check_loads(site: &Site, table: &str, expected: usize, result: &mut Result) {
    let manifest = site.cluster.manifest(table);
    let loads = manifest.as_ref().and_then(|manifest| manifest["loads"].as_array().cloned()).unwrap_or_default();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for load in &loads {
        *counts.entry(load["load"].to_string()).or_default() += 1;
    }
    let twice: Vec<&String> = counts.iter().filter(|(_, count)| **count > 1).map(|(load, _)| load).collect();
    let rows = manifest.map_or(0, |manifest| manifest["rows"].as_u64().unwrap_or_default());
    if !twice.is_empty() || counts.len() != expected || rows != expected as u64 {
        result.wrong.push(format!(
            "{table}: {} loads and {rows} rows where {expected} of each belong; twice: {twice:?}",
            counts.len()
        ));
    }
}

/// The last pool connections may have died with the fault: asks again for a while.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> std::result::Result<T, StoreError>) -> T {
    let since = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if since.elapsed() > DEADLINE => panic!("the state does not answer: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

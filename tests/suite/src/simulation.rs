//! Seeded chaos under a virtual clock.
//!
//! One seed draws some pipelines, some workers and a temper (which faults strike, and how often). For a
//! while everything goes wrong at random: workers crash between any two steps or sleep through
//! their leases and come back, tickets are lost and doubled, the queue is flushed, clocks jump and
//! disagree, transactions fail, or commit without anybody hearing of it, people cancel and resume. Then
//! the faults stop and the world must become quiet in bounded time, every run finished, with all
//! invariants kept and every task where its pipeline alone says it must be.

mod check;
mod dice;
mod door;
mod driver;
mod memory;
mod pipelines;
mod real;
mod wire;
mod workers;

use std::time::Instant;

use dice::Dice;
use driver::{Failure, Simulation, Tally};
use memory::Memory;
use real::Real;
use tidemill_testkit::Postgres;
use wire::Wire;

/// Seeds that once found something, in worlds without lists. They run for ever.
const KNOWN_SEEDS: &[u64] = &[1433, 9572];

const SEEDS: u64 = 10_000;

/// The same driver over the real store; each world is a database of its own.
const SQLITE_SEEDS: u64 = 300;
const POSTGRES_SEEDS: u64 = 30;

/// Over which rows a world plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    InMemory,
    Sqlite,
    Postgres,
}

fn play(rows: Rows, seed: u64, lists: bool, verbose: bool) -> Result<Tally, Failure> {
    let mut dice = Dice::new(seed);
    let wire = Wire::new(dice.fork());
    let mut pipelines = pipelines::draw(&mut dice, lists);
    if is_limited(seed) {
        pipelines::limit(&mut pipelines, &mut Dice::new(!seed));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
    runtime.block_on(async {
        let url = match rows {
            Rows::InMemory => {
                let door = Memory::new(pipelines.clone(), wire.clone());
                return Simulation::new(door, wire, pipelines, dice, verbose).play().await;
            }
            Rows::Sqlite => "sqlite::memory:".to_owned(),
            Rows::Postgres => Postgres::shared().fresh().await.map_err(|error| Failure(error.to_string()))?,
        };
        let door = Real::open(&url, pipelines.clone(), wire.clone()).await?;
        Simulation::new(door, wire, pipelines, dice, verbose).play().await
    })
}

/// Every other world has tasks with lists.
const fn has_lists(seed: u64) -> bool {
    seed % 2 == 1
}

/// Two of four worlds have pools, limited pipelines and tasks that ask people; one of these has lists as well.
const fn is_limited(seed: u64) -> bool {
    seed % 4 >= 2
}

/// `TIDEMILL_SEED=n` plays that seed alone and tells its story.
fn wanted_seed() -> Option<u64> {
    std::env::var("TIDEMILL_SEED").ok().map(|text| text.parse().expect("TIDEMILL_SEED is a number"))
}

fn report(seed: u64, failure: &Failure) -> String {
    format!("seed {seed}: {failure}\nTIDEMILL_SEED={seed} tells its story")
}

/// Plays so many seeds on two threads, and the known ones; every one must pass.
fn play_all(rows: Rows, seeds: u64) {
    if let Some(seed) = wanted_seed() {
        let told =
            play(rows, seed, has_lists(seed), true).unwrap_or_else(|failure| panic!("{}", report(seed, &failure)));
        println!("seed {seed} over {rows:?}: {told:?}");
        return;
    }
    let begun = Instant::now();
    let halves = std::thread::scope(|scope| {
        let half = |first: u64| {
            move || (first..seeds).step_by(2).map(|seed| (seed, play(rows, seed, has_lists(seed), false))).collect()
        };
        let threads = [scope.spawn(half(0)), scope.spawn(half(1))];
        threads.map(|thread| -> Vec<_> { thread.join().expect("a world panicked") })
    });
    let known = KNOWN_SEEDS.iter().map(|seed| (*seed, play(rows, *seed, false, false)));
    let mut sum = Tally::default();
    let mut failed = Vec::new();
    for (seed, outcome) in known.chain(halves.into_iter().flatten()) {
        match outcome {
            Ok(tally) => sum.add(&tally),
            Err(failure) => failed.push(report(seed, &failure)),
        }
    }
    println!("timed: {seeds} simulated worlds over {rows:?} in {:.1} s: {sum:?}", begun.elapsed().as_secs_f64());
    let first = failed[..failed.len().min(5)].join("\n");
    assert!(failed.is_empty(), "{} of {seeds} seeds failed; the first:\n{first}", failed.len());
    assert!(rows != Rows::InMemory || sum.is_rough(), "the worlds were too kind to prove anything: {sum:?}");
}

#[test]
fn ten_thousand_worlds_in_memory_keep_every_promise() {
    play_all(Rows::InMemory, SEEDS);
}

#[test]
fn some_hundred_worlds_over_sqlite_keep_every_promise() {
    play_all(Rows::Sqlite, SQLITE_SEEDS);
}

#[test]
fn some_worlds_over_postgres_keep_every_promise() {
    play_all(Rows::Postgres, POSTGRES_SEEDS);
}

//! Throughput of durable steps, decisions beside many blocked tasks, validation of a huge definition.

use std::{
    fmt::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tidemill_dag::{
    compile::{self, Compiled, Known, KnownConnection},
    id::{Ordinal, Ticket, WorkerId},
};
use tidemill_store::{DEFAULT_QUEUE, NewRun, NewTask, Outcome as Done, Report, Store, Transport};
use tokio::task::JoinSet;

use super::{floors, fresh};
use crate::{Options, Outcome, ground::Ground, site::Site, table::Line};

const LEASE: Duration = Duration::from_secs(60);
const NO_OPS: usize = 5_000;
const BLOCKED: usize = 100_000;
const BLOCKED_PER_RUN: usize = 10_000;
const DECISIONS: usize = 500;
const HUGE: usize = 10_000;

/// What is wanted of the three.
pub async fn measure(options: &Options, ground: &Ground) -> Outcome<Vec<Line>> {
    let mut lines = Vec::new();
    if options.wants("throughput") {
        lines.push(through_worker(options, ground).await?);
        lines.push(through_door(options, ground).await?);
    }
    if options.wants("blocked") {
        lines.extend(beside_blocked(options, ground).await?);
    }
    if options.wants("validation") && matches!(ground, Ground::Embedded) {
        lines.push(validation(options)?);
    }
    Ok(lines)
}

fn no_ops(count: usize) -> String {
    let mut text = "pipeline: no_ops\ntasks:\n".to_owned();
    (0..count).for_each(|n| text.push_str(&format!("  t{n}: {{wait: {{for: 0s}}}}\n")));
    text
}

async fn throughput(what: &str, rates: &[f64], options: &Options, ground: &Ground, folder: &Path) -> Outcome<Line> {
    let line = Line::new("throughput", what, "/s", rates);
    Ok(match ground {
        Ground::Embedded => {
            let floor = NO_OPS as f64 / floors::flushed(&options.python, folder, NO_OPS, -1)?;
            line.floor("one fdatasync each", floor).beside("10,000", "")
        }
        Ground::Cluster(servers) => {
            line.floor("one bare commit each", 1e3 / floors::commit(servers).await?).beside("3,000", "")
        }
    })
}

async fn through_worker(options: &Options, ground: &Ground) -> Outcome<Line> {
    let folder = fresh(options)?;
    let site = Site::open(ground, folder.path(), Some(64), &options.python).await?;
    let compiled = site.save(&no_ops(NO_OPS)).await?;
    let mut rates = Vec::new();
    for _ in 0..options.rounds.min(3) {
        let begun = Instant::now();
        site.run(&compiled).await?;
        rates.push(NO_OPS as f64 / begun.elapsed().as_secs_f64());
    }
    site.close().await?;
    throughput("durable no-op tasks through the worker, 64 slots", &rates, options, ground, folder.path()).await
}

/// The same without a worker: tickets, claims and reports only.
async fn through_door(options: &Options, ground: &Ground) -> Outcome<Line> {
    let folder = fresh(options)?;
    let site = Site::state_only(ground, folder.path()).await?;
    let compiled = site.save(&no_ops(NO_OPS)).await?;
    let mut rates = Vec::new();
    for _ in 0..options.rounds.min(3) {
        let begun = Instant::now();
        site.store.create_run(site.new_run(&compiled)).await?;
        let mut claimers = JoinSet::new();
        (0..64).for_each(|n| drop(claimers.spawn(claim_all(site.store.clone(), site.transport.clone(), n))));
        tokio::select! {
            done = site.until_idle() => done?,
            failed = first_failure(&mut claimers) => failed?,
        }
        rates.push(NO_OPS as f64 / begun.elapsed().as_secs_f64());
        // Some still wait for tickets that will not come.
        claimers.shutdown().await;
    }
    site.close().await?;
    throughput("durable no-op tasks through the door alone", &rates, options, ground, folder.path()).await
}

/// Until it is stopped.
async fn claim_all(store: Store, transport: Arc<dyn Transport>, n: u32) -> Outcome<()> {
    let worker = WorkerId(format!("claimer-{n}"));
    loop {
        let tickets = transport.take(&[DEFAULT_QUEUE.to_owned()], 8).await?;
        for claimed in store.claim(&tickets, &worker, LEASE).await? {
            store.complete(report(claimed.ticket, &worker)).await?;
        }
    }
}

/// Ends only if one of them fails.
async fn first_failure(claimers: &mut JoinSet<Outcome<()>>) -> Outcome<()> {
    while let Some(joined) = claimers.join_next().await {
        joined??;
    }
    std::future::pending().await
}

fn report(ticket: Ticket, worker: &WorkerId) -> Report {
    Report {
        ticket,
        owner: worker.clone(),
        outcome: Done::Succeeded { output: json!({"result": null}) },
        run_next: None,
    }
}

/// Decisions of a small run, alone and beside a hundred thousand blocked tasks.
async fn beside_blocked(options: &Options, ground: &Ground) -> Outcome<Vec<Line>> {
    let folder = fresh(options)?;
    let site = Site::state_only(ground, folder.path()).await?;
    let chain = "pipeline: small\nconcurrency: {max_runs: 1000}\ntasks:\n  a: {wait: {for: 0s}}\n  b: {wait: {for: 0s}, needs: [a]}\n";
    let compiled = site.save(chain).await?;
    let alone = decisions(&site, &compiled).await?;
    for _ in 0..BLOCKED / BLOCKED_PER_RUN {
        site.store.create_run(blocked(&site, &compiled)).await?;
    }
    let beside = decisions(&site, &compiled).await?;
    site.close().await?;
    let line = |what: String, samples: &[f64]| Line::new("blocked", what, "ms", samples).beside("p99 20", "");
    let alone = line("a decision, committed, nothing blocked".to_owned(), &alone);
    let floor = alone.p50;
    Ok(vec![alone, line(format!("the same beside {BLOCKED} blocked tasks"), &beside).floor("nothing blocked", floor)])
}

/// A run whose first task nobody serves and whose others wait for it.
fn blocked(site: &Site, compiled: &Compiled) -> NewRun {
    let task = |n: usize| NewTask {
        name: format!("t{n}"),
        needs: n.checked_sub(1).and_then(|before| u32::try_from(before).ok()).map(Ordinal).into_iter().collect(),
        queue: Some("nobody".to_owned()),
        ..NewTask::default()
    };
    NewRun { tasks: (0..BLOCKED_PER_RUN).map(task).collect(), ..site.new_run(compiled) }
}

async fn decisions(site: &Site, compiled: &Compiled) -> Outcome<Vec<f64>> {
    let worker = WorkerId("decider".to_owned());
    let queues = [DEFAULT_QUEUE.to_owned()];
    let mut samples = Vec::new();
    for _ in 0..DECISIONS / compiled.plan.tasks.len() {
        site.store.create_run(site.new_run(compiled)).await?;
        for _ in &compiled.plan.tasks {
            let tickets = site.transport.take(&queues, 1).await?;
            for claimed in site.store.claim(&tickets, &worker, LEASE).await? {
                let begun = Instant::now();
                site.store.complete(report(claimed.ticket, &worker)).await?;
                samples.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(samples)
}

/// Ten thousand SQL tasks: text to proved plan, as far as this needs no data.
fn validation(options: &Options) -> Outcome<Line> {
    let mut text = "pipeline: huge\ntasks:\n".to_owned();
    for n in 0..HUGE {
        let from = if n % 10 == 0 { "shop.orders".to_owned() } else { format!("t{}", n - 1) };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  t{n}:\n    sql: SELECT id, country, total + {n} AS total FROM {from} WHERE total > {n}\n    materialize: dataset"
        );
    }
    let shop = KnownConnection { kind: "files".to_owned(), tables: Some(vec!["orders".to_owned()]) };
    let known = Known { connections: [("shop".to_owned(), shop)].into(), ..Known::default() };
    let mut samples = Vec::new();
    for _ in 0..options.rounds.min(3) {
        let begun = Instant::now();
        let compiled = compile::read(&text, &known)
            .map_err(|findings| findings.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        samples.push(begun.elapsed().as_secs_f64());
        drop(compiled);
    }
    Ok(Line::new("validation", format!("a definition of {HUGE} SQL tasks, text to plan"), "s", &samples)
        .beside("1", ""))
}

//! Tasks by the list, and runs by the minute.

use std::time::{Duration, Instant};

use tidemill_dag::{compile::Compiled, state::RunState};
use tidemill_store::{Page, RunFilter};
use tokio::task::JoinSet;

use super::fresh;
use crate::{Options, Outcome, ground::Ground, site::Site, table::Line};

/// Lengths of lists, with our goals.
const LISTS: [(usize, &str); 2] = [(100, "0.5"), (10_000, "15")];

/// Runs a minute, and for how long.
const PER_MINUTE: u32 = 10_000;
const SECONDS: u32 = 10;

/// What is wanted of the two.
pub async fn measure(options: &Options, ground: &Ground) -> Outcome<Vec<Line>> {
    let mut lines = Vec::new();
    if options.wants("foreach") {
        for (items, goal) in LISTS {
            lines.push(list(options, ground, items).await?.beside(goal, "Kestra 1.9 for 100"));
        }
    }
    if options.wants("crowd") {
        lines.push(stream(options, ground).await?);
    }
    Ok(lines)
}

async fn list(options: &Options, ground: &Ground, items: usize) -> Outcome<Line> {
    let folder = fresh(options)?;
    let site = Site::open(ground, folder.path(), Some(64), &options.python).await?;
    let text = format!(
        "pipeline: list_{items}\ntasks:\n  list: {{python: {{code: \"def run():\\n    return list(range({items}))\\n\"}}}}\n  \
         each: {{for_each: '{{{{ tasks.list.result }}}}', wait: {{for: 0s}}}}\n"
    );
    let compiled = site.save(&text).await?;
    site.run(&compiled).await?;
    let mut samples = Vec::new();
    for _ in 0..if items > 1_000 { options.rounds.min(2) } else { options.rounds } {
        let begun = Instant::now();
        site.run(&compiled).await?;
        samples.push(begun.elapsed().as_secs_f64());
    }
    site.close().await?;
    Ok(Line::new("foreach", format!("a list of {items}, each item a no-op task, 64 slots"), "s", &samples))
}

/// Kestra's public scenario 1 without its HTTP request: runs of two trivial tasks come at a steady rate, whether those before
/// them are done or not.
async fn stream(options: &Options, ground: &Ground) -> Outcome<Line> {
    let folder = fresh(options)?;
    let site = Site::open(ground, folder.path(), Some(64), &options.python).await?;
    let text = "pipeline: two\nconcurrency: {max_runs: 1000, on_overlap: allow}\ntasks:\n  a: {wait: {for: 0s}}\n  \
                b: {wait: {for: 0s}, needs: [a]}\n";
    let compiled = site.save(text).await?;
    site.run(&compiled).await?;
    offer(&site, &compiled).await?;
    site.until_idle().await?;
    let filter = RunFilter { states: vec![RunState::Succeeded], ..RunFilter::default() };
    let (mut samples, mut before) = (Vec::new(), None);
    loop {
        let page = site.store.runs(&filter, Page { before, limit: 1_000 }).await?;
        let took = page.iter().filter_map(|run| Some(run.finished_at?.since(run.created_at).as_secs_f64() * 1e3));
        samples.extend(took);
        match page.last() {
            Some(last) => before = Some(last.id),
            None => break,
        }
    }
    site.close().await?;
    let what = format!("{PER_MINUTE} runs a minute of two no-op tasks, from created to finished");
    Ok(Line::new("crowd", what, "ms", &samples).beside("p99 300", "Kestra 276 at 3,500 a minute, then collapse"))
}

async fn offer(site: &Site, compiled: &Compiled) -> Outcome<()> {
    let mut asked = JoinSet::new();
    let every = Duration::from_secs(60) / PER_MINUTE;
    let begun = Instant::now();
    for n in 0..PER_MINUTE * SECONDS / 60 {
        let due = every * n;
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        let (store, run) = (site.store.clone(), site.new_run(compiled));
        asked.spawn(async move { store.create_run(run).await });
    }
    while let Some(created) = asked.join_next().await {
        created??;
    }
    Ok(())
}

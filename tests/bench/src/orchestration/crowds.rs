//! Tasks by the list, and runs by the minute.

use std::time::{Duration, Instant};

use super::{fresh, front::Front};
use crate::{Options, Outcome, ground::Ground, site::Site, table::Line};

/// Lengths of lists, with our goals.
const LISTS: [(usize, &str); 2] = [(100, "0.5"), (10_000, "15")];

/// Runs a minute, and for how long.
const PER_MINUTE: u32 = 10_000;
const SECONDS: u64 = 10;

/// What is wanted of the two.
pub async fn measure(options: &Options, ground: &Ground) -> Outcome<Vec<Line>> {
    let mut lines = Vec::new();
    if options.wants("foreach") {
        for (items, goal) in LISTS {
            lines.push(list(options, ground, items).await?.beside(goal, "Kestra 1.9 for 100"));
        }
    }
    if options.wants("crowd") {
        lines.extend(stream(options, ground).await?);
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

/// Kestra's public scenario 1: signed webhooks at a steady rate, whether the runs before them are done or not, each starting a
/// run of two trivial tasks.
async fn stream(options: &Options, ground: &Ground) -> Outcome<Vec<Line>> {
    let folder = fresh(options)?;
    let site = Site::open(ground, folder.path(), Some(64), &options.python).await?;
    let front = Front::open(&site, folder.path()).await?;
    front.tell("warm").await?;
    site.until_idle().await?;
    let told = front.tell_steadily(PER_MINUTE, Duration::from_secs(SECONDS)).await?;
    site.until_idle().await?;
    let (mut whole, mut answers) = (Vec::new(), Vec::new());
    for one in told {
        let run = crate::site::succeeded(site.store.run(one.run).await?)?;
        let finished = run.finished_at.ok_or("a run that ended has no end")?;
        whole.push(finished.since(one.sent).as_secs_f64() * 1e3);
        answers.push(one.answered.as_secs_f64() * 1e3);
    }
    front.close().await?;
    site.close().await?;
    let what = |part: &str| format!("{PER_MINUTE} webhooks a minute, a run of two no-op tasks each: {part}");
    let peer = "Kestra 276 at 3,500 a minute, then collapse";
    Ok(vec![
        Line::new("crowd", what("from sent to finished"), "ms", &whole).beside("p99 300", peer),
        Line::new("crowd", what("until the sender has its answer"), "ms", &answers),
    ])
}

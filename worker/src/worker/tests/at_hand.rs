//! Slots that take the next ticket along when they report.

use std::{collections::BTreeSet, fmt::Write as _};

use tidemill_dag::state::RunState;
use tidemill_store::TaskRecord;

use super::bed::Bed;
use crate::WorkerConfig;

/// Chains side by side.
fn chains(count: usize, length: usize) -> String {
    let mut text = "pipeline: chains\ntasks:\n".to_owned();
    for chain in 0..count {
        for link in 0..length {
            let needs = if link == 0 { String::new() } else { format!(", needs: [t{chain}_{}]", link - 1) };
            writeln!(text, "  t{chain}_{link}: {{wait: {{for: 0s}}{needs}}}").expect("a string takes it");
        }
    }
    text
}

/// How many of the tasks were claimed in the transaction that ended another one.
fn together(tasks: &[TaskRecord]) -> usize {
    let ends: BTreeSet<_> = tasks.iter().filter_map(|task| task.finished_at).collect();
    tasks.iter().filter(|task| task.started_at.is_some_and(|at| ends.contains(&at))).count()
}

async fn worked_off(config: impl Fn(WorkerConfig) -> WorkerConfig, text: &str) -> Vec<TaskRecord> {
    let bed = Bed::new().await;
    let run = bed.create(text).await;
    let worker = bed.start(config(bed.config("w")));
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    worker.stop().await;
    assert!(bed.transport.is_empty(), "nothing is left over");
    bed.store.tasks(run).await.expect("tasks")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_takes_the_next_task_along_with_its_report() {
    let two = |config| WorkerConfig { slots: 2, ..config };
    let tasks = worked_off(two, &chains(60, 1)).await;
    assert!(together(&tasks) >= 50, "{} of {}", together(&tasks), tasks.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_ahead_is_used_first_and_chains_go_before_it() {
    let few = |config| WorkerConfig { slots: 3, prefetch: 4, ..config };
    let tasks = worked_off(few, &chains(12, 5)).await;
    assert!(together(&tasks) >= 48, "every link follows its chain at once: {} of {}", together(&tasks), tasks.len());
    // A chain that has begun is not interrupted by what waits: it holds its slot to its end.
    let ended = |chain: usize, link: usize| {
        tasks
            .iter()
            .find(|task| task.name == format!("t{chain}_{link}"))
            .and_then(|task| task.finished_at)
            .expect("an end")
    };
    let open_at_once = (0..12).map(|chain| {
        (0..12).filter(|other| ended(*other, 0) <= ended(chain, 0) && ended(*other, 4) > ended(chain, 0)).count()
    });
    assert!(open_at_once.max().is_some_and(|most| most <= 3), "more chains are open than there are slots");
}

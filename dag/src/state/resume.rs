//! Which tasks of a failed or cancelled run go again.

use std::collections::BTreeMap;

use crate::{
    id::Ordinal,
    state::{TaskState, TaskView, Upstream},
};

/// A task that takes [`super::Event::Resume`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Which one.
    pub ordinal: Ordinal,
    /// The tasks before it, counted anew.
    pub upstream: Upstream,
}

/// Everything that did not succeed goes again, and so does what was skipped behind it. What succeeded
/// stays, and so does what was skipped for a reason that stands. `states` and `needs` are by ordinal.
pub fn resets(states: &[TaskState], needs: &[Vec<Ordinal>]) -> Vec<Reset> {
    let again = again(states, needs);
    let count = |before: &[Ordinal]| {
        let mut upstream = Upstream::default();
        for index in before.iter().map(|o| o.0 as usize) {
            match states[index] {
                _ if again[index] => upstream.pending += 1,
                TaskState::Succeeded => upstream.succeeded += 1,
                TaskState::Skipped => upstream.skipped += 1,
                TaskState::Failed | TaskState::UpstreamFailed => upstream.failed += 1,
                TaskState::Blocked | TaskState::Ready | TaskState::Running => upstream.pending += 1,
                TaskState::Waiting | TaskState::Cancelled => upstream.pending += 1,
            }
        }
        upstream
    };
    (0_u32..)
        .zip(needs)
        .filter(|(ordinal, _)| again[*ordinal as usize])
        .map(|(ordinal, before)| Reset { ordinal: Ordinal(ordinal), upstream: count(before) })
        .collect()
}

/// Of the items that go again, those that find no place at once wait for one. `rows` are all tasks, by ordinal.
pub fn hold_back(resets: &mut [Reset], rows: &[TaskView]) {
    let mut going: BTreeMap<Ordinal, u32> = BTreeMap::new();
    for reset in resets {
        let row = &rows[reset.ordinal.0 as usize];
        let Some((parent, at_once)) = row.parent.zip(row.policy.max_parallel) else { continue };
        let before = going.entry(parent).or_default();
        reset.upstream.pending += u32::from(*before >= at_once.max(1));
        *before += 1;
    }
}

/// Marks what goes again: first what ended badly, then, from reader to reader, the skipped ones behind it.
fn again(states: &[TaskState], needs: &[Vec<Ordinal>]) -> Vec<bool> {
    let mut readers = vec![Vec::new(); states.len()];
    for (reader, before) in needs.iter().enumerate() {
        before.iter().for_each(|o| readers[o.0 as usize].push(reader));
    }
    let ended_badly =
        |state: &TaskState| matches!(state, TaskState::Failed | TaskState::Cancelled | TaskState::UpstreamFailed);
    let mut again: Vec<bool> = states.iter().map(ended_badly).collect();
    let mut todo: Vec<usize> = (0..states.len()).filter(|index| again[*index]).collect();
    while let Some(index) = todo.pop() {
        for &reader in &readers[index] {
            if states[reader] == TaskState::Skipped && !again[reader] {
                again[reader] = true;
                todo.push(reader);
            }
        }
    }
    again
}

//! Numbers, times and states as people read them.

use std::time::Duration;

use serde::Serialize;
use tidemill_dag::state::{RunState, TaskState};
use tidemill_store::{ItemCounts, TaskRecord};

use crate::out::Paint;

/// A size as people say it.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut size = n as f64 / 1024.0;
    if n < 1024 {
        return format!("{n} bytes");
    }
    for unit in UNITS {
        if size < 1024.0 {
            return format!("{size:.1} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.1} EiB")
}

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`.
pub fn rows(n: u64) -> String {
    if n == 1 { "1 row".to_owned() } else { format!("{} rows", count(n)) }
}

/// `12 ms`, `3.4 s`, `2m 5s`.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..60 => format!("{:.1} s", length.as_secs_f64()),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// The word of a state.
pub fn state<T: Serialize>(state: T) -> String {
    serde_json::to_value(state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The sign of a task's state.
pub fn mark(state: TaskState, paint: Paint) -> String {
    match state {
        TaskState::Blocked => paint.dim("·"),
        TaskState::Ready => paint.cyan("○"),
        TaskState::Running => paint.cyan("●"),
        TaskState::Waiting => paint.yellow("◷"),
        TaskState::Succeeded => paint.green("✓"),
        TaskState::Failed => paint.red("✗"),
        TaskState::Cancelled => paint.yellow("■"),
        TaskState::Skipped => paint.dim("–"),
        TaskState::UpstreamFailed => paint.dim("✗"),
    }
}

/// A run's state in its colour.
pub fn run_state(run: RunState, paint: Paint) -> String {
    let word = state(run);
    match run {
        RunState::Queued => paint.dim(&word),
        RunState::Running => paint.cyan(&word),
        RunState::Succeeded => paint.green(&word),
        RunState::Failed => paint.red(&word),
        RunState::Cancelled => paint.yellow(&word),
    }
}

/// Whether a run has ended.
pub const fn ended(state: RunState) -> bool {
    match state {
        RunState::Queued | RunState::Running => false,
        RunState::Succeeded | RunState::Failed | RunState::Cancelled => true,
    }
}

/// What one task did, in a few words: rows, time, trouble.
pub fn task_facts(task: &TaskRecord) -> String {
    let mut facts = Vec::new();
    if let Some(n) = tidemill_api::view::rows(task) {
        facts.push(rows(n));
    }
    if let Some(counts) = &task.items {
        facts.push(items(counts));
    }
    if let (Some(start), Some(end)) = (task.started_at, task.finished_at) {
        facts.push(duration(end.since(start)));
    }
    if task.attempt.0 > 1 {
        facts.push(format!("attempt {}", task.attempt.0));
    }
    match task.state {
        TaskState::Failed | TaskState::Waiting => {
            facts.extend(task.error.as_ref().map(|e| format!("{} {}", e.code, e.message)))
        }
        TaskState::Skipped => facts.extend(task.reason.clone()),
        TaskState::Blocked
        | TaskState::Ready
        | TaskState::Running
        | TaskState::Succeeded
        | TaskState::Cancelled
        | TaskState::UpstreamFailed => {}
    }
    facts.join(", ")
}

/// How far a list is, as in `3 of 10 items, 1 failed`.
pub fn items(counts: &ItemCounts) -> String {
    let failed = counts.of(TaskState::Failed);
    let failed = if failed > 0 { format!(", {} failed", count(failed.into())) } else { String::new() };
    let (finished, total) = (count(counts.finished().into()), count(counts.total.into()));
    if finished == total { format!("{total} items{failed}") } else { format!("{finished} of {total} items{failed}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(rows(1), "1 row");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_millis(3_400)), "3.4 s");
        assert_eq!(duration(Duration::from_secs(125)), "2m 5s");
        assert_eq!(state(RunState::Succeeded), "succeeded");
    }
}

//! What is shown while a run goes on: a list that redraws itself on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::Write as _;

use tidemill_dag::id::Ordinal;
use tidemill_dag::state::TaskState;
use tidemill_store::{EventRecord, RunRecord, TaskRecord};

use crate::out::Out;
use crate::table::shorten;
use crate::words;

/// Longer lists are shortened to what moves.
const MAX_LINES: usize = 24;

/// Shows progress on standard error.
pub struct Progress {
    out: Out,
    cursor: i64,
    drawn: usize,
    looks: u32,
}

impl Progress {
    /// Nothing is shown yet; what happened up to an event is not told.
    pub fn new(out: Out, cursor: i64) -> Self {
        Self { out, cursor, drawn: 0, looks: 0 }
    }

    /// After which event to go on.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Whether it is time to show something: often when looks are rare, rarely when they are frequent.
    pub fn wants_tasks(&mut self, slow: bool) -> bool {
        self.looks += 1;
        !self.out.json && (slow || self.looks.is_multiple_of(4))
    }

    /// Shows how things stand.
    pub fn show(&mut self, run: &RunRecord, tasks: &[TaskRecord], events: &[EventRecord]) {
        self.cursor = events.last().map_or(self.cursor, |event| event.id);
        if self.out.json {
        } else if self.out.live {
            self.redraw(run, tasks);
        } else {
            self.lines(tasks, events);
        }
    }

    /// The last picture stays.
    pub fn finish(&mut self) {
        self.drawn = 0;
    }

    fn redraw(&mut self, run: &RunRecord, tasks: &[TaskRecord]) {
        let mut picture = String::new();
        if self.drawn > 0 {
            picture.push_str(&format!("\x1b[{}A\x1b[J", self.drawn));
        }
        let lines = self.picture(run, tasks);
        for line in &lines {
            picture.push_str(line);
            picture.push('\n');
        }
        self.drawn = lines.len();
        let _ = std::io::stderr().lock().write_all(picture.as_bytes());
    }

    fn picture(&self, run: &RunRecord, tasks: &[TaskRecord]) -> Vec<String> {
        let paint = self.out.paint_err;
        let mut shown: Vec<&TaskRecord> = tasks.iter().collect();
        let hidden = shown.len().saturating_sub(MAX_LINES);
        if hidden > 0 {
            shown.sort_by_key(|task| (interest(task.state), task.ordinal));
            shown.truncate(MAX_LINES);
            shown.sort_by_key(|task| task.ordinal);
        }
        let mut lines: Vec<String> = shown.iter().map(|task| self.line(task)).collect();
        if hidden > 0 {
            let done = run.tasks_total - run.tasks_left;
            lines.push(paint.dim(&format!("  … and {hidden} more; {done} of {} tasks have finished", run.tasks_total)));
        }
        lines
    }

    fn line(&self, task: &TaskRecord) -> String {
        let paint = self.out.paint_err;
        let facts = words::task_facts(task);
        let text = shorten(&format!("{:<24} {facts}", task.name), self.out.width.saturating_sub(4));
        format!("  {} {text}", words::mark(task.state, paint))
    }

    /// One line for each thing that happened to a task and that people want to know.
    fn lines(&self, tasks: &[TaskRecord], events: &[EventRecord]) {
        let by_ordinal: HashMap<Ordinal, &TaskRecord> = tasks.iter().map(|t| (t.ordinal, t)).collect();
        for event in events {
            let Some(task) = event.ordinal.and_then(|ordinal| by_ordinal.get(&ordinal)) else { continue };
            if matches!(event.to.as_str(), "blocked" | "ready") {
                continue;
            }
            let settled = words::state(task.state) == event.to;
            let facts = if settled && event.to != "running" { words::task_facts(task) } else { String::new() };
            let detail = if facts.is_empty() { String::new() } else { format!(" ({facts})") };
            self.out.note(format!("{}: {}{detail}", task.name, event.to));
        }
    }
}

/// What people want to see first.
const fn interest(state: TaskState) -> u8 {
    match state {
        TaskState::Failed => 0,
        TaskState::Running => 1,
        TaskState::Waiting => 2,
        TaskState::Ready => 3,
        TaskState::Cancelled | TaskState::Skipped | TaskState::UpstreamFailed => 4,
        TaskState::Blocked => 5,
        TaskState::Succeeded => 6,
    }
}

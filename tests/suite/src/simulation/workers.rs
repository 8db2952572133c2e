//! Simulated workers: what they hold, and nothing that survives their process.

use std::time::Duration;

use tidemill_dag::{
    id::{Ticket, WorkerId},
    time::Timestamp,
};

use super::{dice::Dice, door::Said, pipelines::Script};

/// What an attempt does.
#[derive(Debug, Clone, Copy)]
pub struct Doing {
    pub script: Script,
    /// Reports a list of this length instead of success.
    pub list: Option<u32>,
    /// At most this long, in milliseconds.
    pub longest: u64,
}

/// An attempt in hand.
#[derive(Debug, Clone)]
pub struct Job {
    pub ticket: Ticket,
    /// What it does.
    pub doing: Doing,
    /// True time, whatever the worker's clock says.
    pub done_at: Timestamp,
    /// Set once done: the report, told until somebody answers.
    pub said: Option<Said>,
}

#[derive(Debug)]
pub struct Worker {
    pub id: WorkerId,
    seat: usize,
    life: u32,
    pub slots: usize,
    /// The error of its clock, in microseconds.
    pub skew: i64,
    /// It does nothing before this moment, and does not notice.
    pub frozen_until: Timestamp,
    pub next_beat: Timestamp,
    pub jobs: Vec<Job>,
}

impl Worker {
    pub fn new(seat: usize, slots: usize, skew: i64) -> Self {
        let (frozen_until, next_beat) = (Timestamp(0), Timestamp(0));
        Self { id: name(seat, 0), seat, life: 0, slots, skew, frozen_until, next_beat, jobs: Vec::new() }
    }

    /// The process ends and another takes its seat. Returns who it was.
    pub fn restart(&mut self) -> WorkerId {
        self.life += 1;
        self.jobs.clear();
        self.frozen_until = Timestamp(0);
        std::mem::replace(&mut self.id, name(self.seat, self.life))
    }

    pub fn begin(&mut self, ticket: Ticket, doing: Doing, now: Timestamp, dice: &mut Dice) {
        let done_at = now.after(Duration::from_millis(dice.between(0, doing.longest)));
        self.jobs.push(Job { ticket, doing, done_at, said: None });
    }
}

fn name(seat: usize, life: u32) -> WorkerId {
    WorkerId(format!("w{seat}.{life}"))
}

/// What the script makes of an attempt.
pub fn outcome(Doing { script, list, .. }: Doing, ticket: Ticket, now: Timestamp) -> Said {
    let done = list.map_or(Said::Succeeded, |items| Said::Expanded { items });
    match script {
        Script::WorksAfter(_) if script.falls_short(ticket.attempt) => Said::Failed { retryable: true },
        Script::WaitsUntil(_) if script.falls_short(ticket.attempt) => {
            Said::Parked { until: now.after(Duration::from_secs(2)) }
        }
        Script::Succeeds | Script::WorksAfter(_) | Script::WaitsUntil(_) => done,
        Script::Breaks => Said::Failed { retryable: false },
        Script::NeverWorks => Said::Failed { retryable: true },
        Script::DoesNotApply => Said::Skipped,
        Script::Asks(fate) => Said::Asked { until: now.after(Duration::from_secs(20)), fate },
    }
}

//! When a pipeline fires next, before and after.

use serde::Serialize;

use crate::{
    schedule::Schedule,
    spec::{Pipeline, Trigger},
    time::Timestamp,
};

/// How many moments are shown.
pub const FIRES: usize = 5;

/// When it fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleChange {
    /// Whether the next moments differ.
    pub changed: bool,
    /// The next moments before.
    pub before: Vec<String>,
    /// The next moments after.
    pub after: Vec<String>,
}

pub(super) fn compare(before: Option<&Pipeline>, after: &Pipeline, now: Timestamp) -> ScheduleChange {
    let (before, after) = (before.map(|p| next(p, now)).unwrap_or_default(), next(after, now));
    ScheduleChange { changed: before != after, before, after }
}

/// The next moments of all cron triggers together.
fn next(pipeline: &Pipeline, now: Timestamp) -> Vec<String> {
    let mut moments: Vec<Timestamp> = Vec::new();
    for trigger in &pipeline.triggers {
        if let Trigger::Cron(cron) = trigger
            && let Ok(schedule) = Schedule::of(cron)
        {
            moments.extend(schedule.upcoming(now).take(FIRES));
        }
    }
    moments.sort_unstable();
    moments.into_iter().take(FIRES).map(|moment| moment.to_string()).collect()
}

//! A backfill: one run for every stretch of time in a range.

use chrono::{DateTime, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::{
    schedule::Schedule,
    state::{RunState, named},
    time::{Span, Timestamp},
};

/// More partitions than this are taken for a mistake in the range.
pub const MOST: usize = 100_000;

/// Where a backfill is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// Its partitions start, so many at once.
    Running,
    /// No further partition starts; those that run go on.
    Paused,
    /// Every partition has ended.
    Done,
    /// No further partition starts, ever; those that ran were cancelled.
    Cancelled,
}

named!(BackfillState { Running = "running", Paused = "paused", Done = "done", Cancelled = "cancelled" });

/// What people do to a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillEvent {
    /// No further partition shall start.
    Pause,
    /// Further partitions may start.
    Resume,
    /// It shall end.
    Cancel,
    /// Every partition has ended.
    Finish,
}

named!(BackfillEvent { Pause = "pause", Resume = "resume", Cancel = "cancel", Finish = "finish" });

/// Where the event leads; none where it is refused.
pub const fn moved(from: BackfillState, on: BackfillEvent) -> Option<BackfillState> {
    use BackfillState::{Cancelled, Done, Paused, Running};
    match (from, on) {
        (Running | Paused, BackfillEvent::Pause) => Some(Paused),
        (Running | Paused, BackfillEvent::Resume) => Some(Running),
        (Running | Paused | Cancelled, BackfillEvent::Cancel) => Some(Cancelled),
        (Running | Paused, BackfillEvent::Finish) => Some(Done),
        (Done, _) | (Cancelled, BackfillEvent::Pause | BackfillEvent::Resume | BackfillEvent::Finish) => None,
    }
}

/// Which partitions of a range that was run before are run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reprocess {
    /// Only those that were never run.
    #[default]
    None,
    /// Those, and those whose newest run failed or was cancelled.
    Failed,
    /// All.
    All,
}

named!(Reprocess { None = "none", Failed = "failed", All = "all" });

impl Reprocess {
    /// Whether a partition is run, given how its newest run stands.
    pub const fn wants(self, newest: Option<RunState>) -> bool {
        match (self, newest) {
            (Self::All, _) | (_, None) => true,
            (Self::Failed, Some(RunState::Failed | RunState::Cancelled)) => true,
            (Self::Failed, Some(RunState::Queued | RunState::Running | RunState::Succeeded)) => false,
            (Self::None, Some(_)) => false,
        }
    }
}

/// Where one partition stands, told by its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    /// Its turn has not come.
    Pending,
    /// It was run before, and `reprocess` does not ask for it.
    Skipped,
    /// Its run waits for its place.
    Queued,
    /// Its run is at work.
    Running,
    /// Its run succeeded.
    Succeeded,
    /// Its run failed.
    Failed,
    /// Its run was cancelled.
    Cancelled,
}

named!(PartitionState {
    Pending = "pending",
    Skipped = "skipped",
    Queued = "queued",
    Running = "running",
    Succeeded = "succeeded",
    Failed = "failed",
    Cancelled = "cancelled",
});

impl PartitionState {
    /// As its run says.
    pub const fn of(skipped: bool, run: Option<RunState>) -> Self {
        match (skipped, run) {
            (true, _) => Self::Skipped,
            (false, None) => Self::Pending,
            (false, Some(RunState::Queued)) => Self::Queued,
            (false, Some(RunState::Running)) => Self::Running,
            (false, Some(RunState::Succeeded)) => Self::Succeeded,
            (false, Some(RunState::Failed)) => Self::Failed,
            (false, Some(RunState::Cancelled)) => Self::Cancelled,
        }
    }
}

/// How many partitions may start now, when so many are under way.
pub const fn may_start(state: BackfillState, parallel: u32, under_way: u32) -> u32 {
    match state {
        BackfillState::Running => {
            let parallel = if parallel == 0 { 1 } else { parallel };
            parallel.saturating_sub(under_way)
        }
        BackfillState::Paused | BackfillState::Done | BackfillState::Cancelled => 0,
    }
}

/// Why a range gives no partitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The text is no moment.
    #[error("`{0}` is neither a date nor a moment")]
    Moment(String),
    /// It ends before it begins.
    #[error("the range ends at {to}, not after its begin, {from}")]
    Order {
        /// The begin.
        from: Timestamp,
        /// The end.
        to: Timestamp,
    },
    /// No whole interval lies in it.
    #[error("no whole interval lies between {from} and {to}")]
    Empty {
        /// The begin.
        from: Timestamp,
        /// The end.
        to: Timestamp,
    },
    /// Too many intervals lie in it.
    #[error("more than {MOST} intervals lie in the range")]
    TooMany,
    /// An interval must have a length.
    #[error("an interval of no length never ends")]
    NoLength,
}

/// How a range is cut.
#[derive(Debug, Clone)]
pub enum Cut {
    /// At the moments of a schedule.
    Schedule(Box<Schedule>),
    /// Into pieces of one length, from the begin on.
    Every(Span),
}

impl Cut {
    /// A date is the begin of that day where the schedule's clock hangs; a moment is itself.
    ///
    /// # Errors
    /// [`RangeError::Moment`].
    pub fn moment(&self, text: &str) -> Result<Timestamp, RangeError> {
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            let midnight = date.and_time(chrono::NaiveTime::MIN);
            return Ok(match self {
                Self::Schedule(schedule) => schedule.at_wall_clock(midnight),
                Self::Every(_) => Timestamp::from(midnight.and_utc()),
            });
        }
        let moment = DateTime::parse_from_rfc3339(text).map_err(|_| RangeError::Moment(text.to_owned()))?;
        Ok(Timestamp::from(moment.to_utc()))
    }

    /// The whole intervals in `[from, to]`, oldest first; each ends where the next begins.
    ///
    /// # Errors
    /// The range has none, or too many.
    pub fn intervals(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, RangeError> {
        if to <= from {
            return Err(RangeError::Order { from, to });
        }
        let moments: Vec<Timestamp> = match self {
            Self::Schedule(schedule) => {
                schedule.between(Timestamp(from.0.saturating_sub(1)), to).take(MOST + 2).collect()
            }
            Self::Every(span) => {
                if span.0.is_zero() {
                    return Err(RangeError::NoLength);
                }
                let next = |at: &Timestamp| Some(at.after(span.0)).filter(|next| *next <= to && next > at);
                std::iter::successors(Some(from), next).take(MOST + 2).collect()
            }
        };
        if moments.len() > MOST + 1 {
            return Err(RangeError::TooMany);
        }
        let intervals: Vec<_> = moments.windows(2).map(|pair| (pair[0], pair[1])).collect();
        if intervals.is_empty() { Err(RangeError::Empty { from, to }) } else { Ok(intervals) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daily(zone: &str) -> Cut {
        Cut::Schedule(Box::new(Schedule::new("0 0 * * *", Some(zone)).expect("a schedule")))
    }

    fn cut(cut: &Cut, from: &str, to: &str) -> Result<Vec<(Timestamp, Timestamp)>, RangeError> {
        cut.intervals(cut.moment(from)?, cut.moment(to)?)
    }

    #[test]
    fn a_range_of_dates_is_cut_at_the_schedules_moments() {
        let days = cut(&daily("Europe/Berlin"), "2026-03-28", "2026-03-31").expect("days");
        let hours: Vec<u64> = days.iter().map(|(start, end)| end.since(*start).as_secs() / 3_600).collect();
        assert_eq!(hours, [24, 23, 24], "the day on which clocks change is shorter");
        assert_eq!(days[0].0.to_string(), "2026-03-27T23:00:00.000Z");
        assert!(days.windows(2).all(|pair| pair[0].1 == pair[1].0), "no gaps");
    }

    #[test]
    fn pieces_of_one_length_end_with_the_range() {
        let hours = cut(&Cut::Every(Span::seconds(3_600)), "2026-01-01", "2026-01-01T02:30:00Z").expect("hours");
        assert_eq!(hours.len(), 2, "what does not fit whole is left out");
    }

    #[test]
    fn ranges_without_sense_are_refused() {
        let every = Cut::Every(Span::seconds(1));
        assert!(matches!(cut(&every, "2026-01-02", "2026-01-01"), Err(RangeError::Order { .. })));
        assert!(matches!(cut(&every, "2020-01-01", "2026-01-01"), Err(RangeError::TooMany)));
        assert!(matches!(cut(&every, "yesterday", "2026-01-01"), Err(RangeError::Moment(_))));
        let none = cut(&daily("UTC"), "2026-01-01T01:00:00Z", "2026-01-01T05:00:00Z");
        assert!(matches!(none, Err(RangeError::Empty { .. })));
        assert!(matches!(cut(&Cut::Every(Span::default()), "2026-01-01", "2026-01-02"), Err(RangeError::NoLength)));
    }

    #[test]
    fn what_was_run_is_run_again_as_asked() {
        use RunState::{Cancelled, Failed, Queued, Running, Succeeded};
        let wanted = |how: Reprocess| {
            [None, Some(Queued), Some(Running), Some(Succeeded), Some(Failed), Some(Cancelled)].map(|it| how.wants(it))
        };
        assert_eq!(wanted(Reprocess::None), [true, false, false, false, false, false]);
        assert_eq!(wanted(Reprocess::Failed), [true, false, false, false, true, true]);
        assert_eq!(wanted(Reprocess::All), [true; 6]);
    }

    #[test]
    fn a_backfill_that_ended_stays_ended() {
        for on in BackfillEvent::ALL {
            assert_eq!(moved(BackfillState::Done, *on), None);
            assert!(moved(BackfillState::Cancelled, *on).is_none_or(|to| to == BackfillState::Cancelled));
            assert!(moved(BackfillState::Running, *on).is_some() && moved(BackfillState::Paused, *on).is_some());
        }
        assert_eq!(may_start(BackfillState::Running, 0, 0), 1);
        assert_eq!(may_start(BackfillState::Running, 3, 2), 1);
        assert_eq!(may_start(BackfillState::Paused, 3, 0), 0);
    }
}

//! When a cron trigger fires. Pure: the moment to look from is an argument.

use crate::{spec::CronTrigger, time::Timestamp};

/// A cron expression in a time zone, ready to be asked.
#[derive(Debug, Clone)]
pub struct Schedule {
    zone: chrono_tz::Tz,
}

/// Why a cron trigger is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression.
    #[error("`{expression}` is not a cron expression: {reason}")]
    Expression {
        /// As written.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The zone.
    #[error("`{zone}` is not an IANA time zone")]
    Zone {
        /// As written.
        zone: String,
        /// A known one that looks like it.
        nearest: Option<&'static str>,
    },
}

impl Schedule {
    /// Reads an expression of five fields (minute hour day month weekday), or six with seconds first.
    /// The zone is UTC if unset.
    ///
    /// # Errors
    /// An expression or a zone that is not understood.
    pub fn new(expression: &str, timezone: Option<&str>) -> Result<Self, ScheduleError> {
        let _ = (expression, timezone);
        unimplemented!()
    }

    /// The schedule of a trigger.
    ///
    /// # Errors
    /// An expression or a zone that is not understood.
    pub fn of(trigger: &CronTrigger) -> Result<Self, ScheduleError> {
        Self::new(&trigger.cron, trigger.timezone.as_deref())
    }

    /// The first fire time after `after`, not counting `after` itself; `None` when there is none left.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let _ = (after, self.zone);
        unimplemented!()
    }

    /// All fire times after `after`, in order.
    pub fn upcoming(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next(after), |last| self.next(*last))
    }

    /// The fire times in `(after, until]`, in order.
    pub fn between(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.upcoming(after).take_while(move |moment| *moment <= until)
    }
}

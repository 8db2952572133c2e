//! When a cron trigger fires. Pure: the moment to look from is an argument.

pub mod calendar;
mod cron;

use std::time::Duration;

use chrono::{
    DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::{
    spec::CronTrigger,
    suggest,
    time::{Span, Timestamp},
};
use calendar::Calendar;
use cron::Cron;

/// A cron expression in a time zone, ready to be asked.
///
/// Where clocks change: a wall-clock time that is skipped fires once, at the first moment after the gap; one
/// that comes twice fires the first time. Expressions that fire in every hour follow time itself: they
/// fire whenever the clock shows a fitting time.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
    calendar: Calendar,
    /// The most that a moment is late, and what the lateness is drawn from.
    jitter: Option<(Span, String)>,
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
        let zone = match timezone {
            None => Tz::UTC,
            Some(name) => {
                name.parse().map_err(|_| ScheduleError::Zone { zone: name.to_owned(), nearest: nearest(name) })?
            }
        };
        let cron = Cron::parse(expression)
            .map_err(|reason| ScheduleError::Expression { expression: expression.to_owned(), reason })?;
        Ok(Self { cron, zone, calendar: Calendar::default(), jitter: None })
    }

    /// The schedule of a trigger.
    ///
    /// # Errors
    /// An expression or a zone that is not understood.
    pub fn of(trigger: &CronTrigger) -> Result<Self, ScheduleError> {
        let calendar = Calendar::of(trigger);
        Ok(Self { calendar, ..Self::new(&trigger.cron, trigger.timezone.as_deref())? })
    }

    /// The same, with each moment as late as `jitter` and `seed` say: the same for the same seed and moment.
    #[must_use]
    pub fn with_jitter(self, jitter: Option<Span>, seed: &str) -> Self {
        Self { jitter: jitter.map(|most| (most, seed.to_owned())), ..self }
    }

    /// When a moment of the schedule fires: then, or a little later.
    pub fn fires_at(&self, moment: Timestamp) -> Timestamp {
        let Some((most, seed)) = &self.jitter else { return moment };
        let most = u64::try_from(most.0.as_micros()).unwrap_or(u64::MAX);
        let drawn = blake3::hash(format!("{seed}/{}", moment.0).as_bytes());
        let drawn = drawn.as_bytes().iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        moment.after(Duration::from_micros(drawn % most.max(1)))
    }

    /// The most that a moment fires late.
    pub fn latest(&self) -> Duration {
        self.jitter.as_ref().map_or(Duration::ZERO, |(most, _)| most.0)
    }

    /// The first moment after `after`, not counting `after` itself; `None` when there is none left.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if self.calendar.is_plain() {
            return self.written(after);
        }
        if self.calendar.moves() { self.next_moved(after) } else { self.next_open(after) }
    }

    /// The first moment on a day that is open.
    fn next_open(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = after;
        loop {
            let moment = self.written(from)?;
            let day = self.wall(moment.to_utc()).date();
            if self.calendar.lands(day) == Some(day) {
                return Some(moment);
            }
            // To the end of the days that are closed, however many moments they have.
            let next = self.calendar.opens(day.succ_opt()?)?;
            from = Timestamp(self.begins(next).0.saturating_sub(1)).max(moment);
        }
    }

    /// The first moment after those of excepted days were moved; two that meet are one.
    fn next_moved(&self, after: Timestamp) -> Option<Timestamp> {
        let today = self.wall(after.to_utc()).date();
        let mut from = Timestamp(self.begins(self.calendar.reaches_back(today)).0.saturating_sub(1));
        let mut best: Option<Timestamp> = None;
        loop {
            let Some(moment) = self.written(from) else { return best };
            if best.is_some_and(|best| best <= moment) {
                return best;
            }
            let wall = self.wall(moment.to_utc());
            if self.calendar.is_over(wall.date()) {
                return best;
            }
            let landed = self
                .calendar
                .lands(wall.date())
                .map(|day| if day == wall.date() { moment } else { self.moment_of(day.and_time(wall.time())).into() });
            best = best.into_iter().chain(landed.filter(|landed| *landed > after)).min();
            from = moment;
        }
    }

    /// The first moment of a day.
    fn begins(&self, day: NaiveDate) -> Timestamp {
        self.moment_of(day.and_time(NaiveTime::MIN)).into()
    }

    /// When the clock on the wall shows a time; where it is skipped, the first moment after the gap.
    fn moment_of(&self, wall: NaiveDateTime) -> DateTime<Utc> {
        match self.zone.from_local_datetime(&wall) {
            MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => moment.to_utc(),
            MappedLocalTime::None => self.gap_end(wall),
        }
    }

    /// The first moment that the expression itself has after `after`.
    fn written(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_utc();
        if !(1900..10_000).contains(&after.year()) {
            return None;
        }
        let found = if self.cron.every_hour() { self.next_by_time(after) } else { self.next_by_clock(after) };
        found.map(Timestamp::from)
    }

    /// Follows the clock on the wall: every fitting wall-clock time of a day fires once.
    fn next_by_clock(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut wall = self.wall(after);
        loop {
            wall = self.cron.next(wall)?;
            let moment = self.moment_of(wall);
            if moment > after {
                return Some(moment);
            }
            wall += TimeDelta::seconds(1);
        }
    }

    /// Follows time: goes from one change of the clock to the next, in between wall clock and time run alike.
    fn next_by_time(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut from = after + TimeDelta::microseconds(1);
        loop {
            let offset = self.offset(from);
            let wall = self.cron.next(from.naive_utc() + offset)?;
            let moment = (wall - offset).and_utc();
            if self.offset(moment) == offset {
                return Some(moment);
            }
            from = self.search(from, moment, |at| self.offset(at) != offset);
        }
    }

    fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        let seconds = self.zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
        TimeDelta::seconds(i64::from(seconds))
    }

    fn wall(&self, at: DateTime<Utc>) -> NaiveDateTime {
        at.naive_utc() + self.offset(at)
    }

    /// The first moment whose wall-clock time is behind one that is skipped.
    fn gap_end(&self, skipped: NaiveDateTime) -> DateTime<Utc> {
        let around = TimeDelta::hours(26);
        let middle = skipped.and_utc();
        self.search(middle - around, middle + around, |at| self.wall(at) >= skipped)
    }

    /// The first whole second in `(from, to]` for which `holds` is true, given that it stays true.
    fn search(&self, from: DateTime<Utc>, to: DateTime<Utc>, holds: impl Fn(DateTime<Utc>) -> bool) -> DateTime<Utc> {
        let (mut low, mut high) = (from.timestamp(), to.timestamp());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let at = DateTime::from_timestamp(middle, 0).unwrap_or(to);
            if holds(at) { high = middle } else { low = middle }
        }
        DateTime::from_timestamp(high, 0).unwrap_or(to)
    }

    /// The moment at which the schedule's clock shows this; the first, where it does so twice, and the end of the gap, where it
    /// never does.
    pub fn at_wall_clock(&self, wall: NaiveDateTime) -> Timestamp {
        let moment = match self.zone.from_local_datetime(&wall) {
            MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => moment.to_utc(),
            MappedLocalTime::None => self.gap_end(wall),
        };
        Timestamp::from(moment)
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

/// The zone somebody may have meant: by its city, or by its spelling.
fn nearest(name: &str) -> Option<&'static str> {
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = name.trim().replace(' ', "_");
    names()
        .find(|zone| zone.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city)))
        .or_else(|| suggest::nearest(name, names()))
}

#[cfg(test)]
mod tests;

/// What the tables say.
#[cfg(test)]
mod days;

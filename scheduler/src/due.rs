//! Which moments of a schedule ask for a run. Pure: the schedule, what was dealt with, and now.

use std::time::Duration;

use tidemill_dag::schedule::Schedule;
use tidemill_dag::spec::CatchUp;
use tidemill_dag::time::Timestamp;
use tidemill_store::Interval;

/// A moment that is not older than this counts as being on time: it fires whatever `catch_up` says.
pub const GRACE: Duration = Duration::from_secs(30);

/// At most this many runs of one trigger are created at once; the next look creates the rest.
pub const AT_ONCE: usize = 100;

/// A run to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The moment of the schedule.
    pub moment: Timestamp,
    /// The stretch of time the run stands for: from the moment before up to this one.
    pub interval: Interval,
}

/// What a schedule asks for now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Runs to be created, oldest first.
    pub fire: Vec<Due>,
    /// Moments up to this one get no run and need not be looked at again.
    pub pass: Option<Timestamp>,
    /// When to look again.
    pub next: Option<Timestamp>,
}

/// What `schedule` asks for at `now`, when moments up to `through` are dealt with.
///
/// A clock that jumped back behind `through` finds nothing: moments fire once.
pub fn asked(schedule: &Schedule, catch_up: CatchUp, through: Timestamp, now: Timestamp) -> Asked {
    let Some(first) = schedule.next(through) else { return Asked::default() };
    let later = |moment: Option<Timestamp>| moment.map(|moment| schedule.fires_at(moment));
    if schedule.fires_at(first) > now {
        return Asked { next: later(Some(first)), ..Asked::default() };
    }
    let mut newest = previous(schedule, Timestamp(now.0.saturating_add(1))).filter(|m| *m >= first).unwrap_or(first);
    while newest > first && schedule.fires_at(newest) > now {
        newest = previous(schedule, newest).filter(|m| *m >= first).unwrap_or(first);
    }
    // What is late because it should be is on time.
    let grace = GRACE + schedule.latest();
    let mut fire = match catch_up {
        CatchUp::All => each(schedule, through, newest),
        CatchUp::Latest => {
            // One run stands for everything that was missed, so that no stretch of time is left out.
            let start = start_of(schedule, first);
            vec![Due { moment: newest, interval: Interval { start, end: newest } }]
        }
        CatchUp::None => each(schedule, through.max(before(now, grace)), newest),
        CatchUp::Window(span) => each(schedule, through.max(before(now, span.0.max(grace))), newest),
    };
    fire.truncate(AT_ONCE);
    let pass = fire.is_empty().then_some(newest);
    let through = fire.last().map_or(newest, |due| due.moment);
    Asked { fire, pass, next: later(schedule.next(through)) }
}

fn each(schedule: &Schedule, after: Timestamp, until: Timestamp) -> Vec<Due> {
    let mut start = None;
    let mut found = Vec::new();
    for moment in schedule.between(after, until).take(AT_ONCE) {
        let from = start.unwrap_or_else(|| start_of(schedule, moment));
        found.push(Due { moment, interval: Interval { start: from, end: moment } });
        start = Some(moment);
    }
    found
}

/// Just before the moment that lies `length` back, so that this moment itself still counts.
fn before(now: Timestamp, length: Duration) -> Timestamp {
    let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(micros).saturating_sub(1))
}

fn start_of(schedule: &Schedule, moment: Timestamp) -> Timestamp {
    previous(schedule, moment).unwrap_or(moment)
}

/// The last moment of the schedule before `moment`. Looks back in growing steps, so that a schedule of every
/// second and one of every leap year cost about the same.
pub fn previous(schedule: &Schedule, moment: Timestamp) -> Option<Timestamp> {
    const STEPS: [u64; 6] = [90, 5_400, 2 * 86_400, 35 * 86_400, 400 * 86_400, 9 * 366 * 86_400];
    STEPS.into_iter().find_map(|seconds| {
        let from = before(moment, Duration::from_secs(seconds));
        schedule.upcoming(from).take_while(|m| *m < moment).last()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_dag::time::Span;

    fn at(text: &str) -> Timestamp {
        let micros = |s: &str| s.parse::<i64>().expect("a number");
        // Day and time of January 2026, as `DD HH:MM:SS`.
        let (day, time) = text.split_once(' ').expect("a day and a time");
        let mut parts = time.split(':').map(micros);
        let mut next = || parts.next().unwrap_or(0);
        let seconds = 1_767_225_600 + (micros(day) - 1) * 86_400 + next() * 3_600 + next() * 60 + next();
        Timestamp(seconds * 1_000_000)
    }

    fn daily() -> Schedule {
        Schedule::new("0 6 * * *", None).expect("a schedule")
    }

    fn moments(asked: &Asked) -> Vec<Timestamp> {
        asked.fire.iter().map(|due| due.moment).collect()
    }

    #[test]
    fn nothing_is_asked_before_the_first_moment() {
        let asked = asked(&daily(), CatchUp::All, at("01 06:00"), at("02 05:59:59"));
        assert_eq!(asked, Asked { fire: vec![], pass: None, next: Some(at("02 06:00")) });
    }

    #[test]
    fn a_moment_on_time_fires_under_every_rule() {
        let window = CatchUp::Window(Span::seconds(60));
        for rule in [CatchUp::All, CatchUp::Latest, CatchUp::None, window] {
            let asked = asked(&daily(), rule, at("01 06:00"), at("02 06:00:01"));
            let interval = Interval { start: at("01 06:00"), end: at("02 06:00") };
            assert_eq!(asked.fire, vec![Due { moment: at("02 06:00"), interval }], "{rule:?}");
            assert_eq!((asked.pass, asked.next), (None, Some(at("03 06:00"))), "{rule:?}");
        }
    }

    #[test]
    fn missed_moments_follow_catch_up() {
        let (through, now) = (at("01 06:00"), at("05 12:00"));
        let of = |rule| asked(&daily(), rule, through, now);
        assert_eq!(moments(&of(CatchUp::All)), [at("02 06:00"), at("03 06:00"), at("04 06:00"), at("05 06:00")]);
        let latest = of(CatchUp::Latest);
        let all_of_it = Interval { start: at("01 06:00"), end: at("05 06:00") };
        assert_eq!(latest.fire, vec![Due { moment: at("05 06:00"), interval: all_of_it }]);
        let none = of(CatchUp::None);
        assert_eq!((none.fire.len(), none.pass, none.next), (0, Some(at("05 06:00")), Some(at("06 06:00"))));
        assert_eq!(moments(&of(CatchUp::Window("2d".parse().expect("a span")))), [at("04 06:00"), at("05 06:00")]);
    }

    #[test]
    fn intervals_of_all_touch_each_other() {
        let asked = asked(&daily(), CatchUp::All, at("01 06:00"), at("09 06:00"));
        assert_eq!(asked.fire.len(), 8);
        for pair in asked.fire.windows(2) {
            assert_eq!(pair[0].interval.end, pair[1].interval.start);
        }
    }

    #[test]
    fn a_clock_that_jumps_back_fires_nothing() {
        assert!(asked(&daily(), CatchUp::All, at("05 06:00"), at("03 12:00")).fire.is_empty());
    }

    #[test]
    fn a_long_backlog_comes_in_portions() {
        let every = Schedule::new("* * * * * *", None).expect("a schedule");
        let first = asked(&every, CatchUp::All, at("01 00:00"), at("01 01:00"));
        assert_eq!(first.fire.len(), AT_ONCE);
        let through = first.fire[AT_ONCE - 1].moment;
        let second = asked(&every, CatchUp::All, through, at("01 01:00"));
        assert_eq!(second.fire[0].interval.start, through);
    }

    #[test]
    fn the_moment_before_is_found_for_rare_and_frequent_schedules() {
        let of = |text: &str, moment| previous(&Schedule::new(text, None).expect("a schedule"), moment);
        assert_eq!(of("* * * * * *", at("02 00:00")), Some(at("01 23:59:59")));
        assert_eq!(of("0 0 1 * *", at("01 00:00")), Some(Timestamp(at("01 00:00").0 - 31 * 86_400_000_000)));
        assert!(of("0 0 29 2 *", at("01 00:00")).is_some());
    }
}

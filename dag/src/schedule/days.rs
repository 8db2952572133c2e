//! The hard cases of wall clocks and calendars, as tables.

use super::{tests::at, *};
use crate::spec::{CatchUp, Dates, OnExcept};

/// The next wall-clock times of a schedule.
fn next(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let wall = |moment: Timestamp| moment.to_utc().with_timezone(&schedule.zone).to_rfc3339();
    schedule.upcoming(at(after)).take(count).map(wall).collect()
}

/// Expression, zone, after, and what comes then.
const CLOCKS: &[(&str, &str, &str, &[&str])] = &[
    // Gaps. Berlin, 31 March 2024: 02:00 becomes 03:00.
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2024-03-30T12:00:00Z",
        &["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"],
    ),
    (
        "0 30 2 * * *",
        "Europe/Berlin",
        "2024-03-30T12:00:00Z",
        &["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"],
    ),
    (
        "15 30 2 * * *",
        "Europe/Berlin",
        "2024-03-30T12:00:00Z",
        &["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:15+02:00"],
    ),
    (
        "30 * * * *",
        "Europe/Berlin",
        "2024-03-31T00:00:00Z",
        &["2024-03-31T01:30:00+01:00", "2024-03-31T03:30:00+02:00"],
    ),
    (
        "59 1 * * *",
        "Europe/Berlin",
        "2024-03-30T12:00:00Z",
        &["2024-03-31T01:59:00+01:00", "2024-04-01T01:59:00+02:00"],
    ),
    ("0 3 * * *", "Europe/Berlin", "2024-03-30T12:00:00Z", &["2024-03-31T03:00:00+02:00", "2024-04-01T03:00:00+02:00"]),
    // A gap on a day that the expression leaves out does not fire.
    ("30 2 * * MON", "Europe/Berlin", "2024-03-30T12:00:00Z", &["2024-04-01T02:30:00+02:00"]),
    // Overlaps. Berlin, 27 October 2024: 02:00 to 03:00 comes twice.
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2024-10-26T12:00:00Z",
        &["2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"],
    ),
    (
        "0 0 2 * * *",
        "Europe/Berlin",
        "2024-10-26T12:00:00Z",
        &["2024-10-27T02:00:00+02:00", "2024-10-28T02:00:00+01:00"],
    ),
    (
        "30 * * * *",
        "Europe/Berlin",
        "2024-10-26T23:45:00Z",
        &["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00"],
    ),
    ("0 3 * * *", "Europe/Berlin", "2024-10-27T00:30:00Z", &["2024-10-27T03:00:00+01:00"]),
    // The other hemisphere: Santiago leaves summer at midnight, 7 April 2024, and enters it on 8 September.
    (
        "30 23 * * *",
        "America/Santiago",
        "2024-04-06T20:00:00Z",
        &["2024-04-06T23:30:00-03:00", "2024-04-07T23:30:00-04:00"],
    ),
    (
        "0 0 * * *",
        "America/Santiago",
        "2024-09-07T12:00:00Z",
        &["2024-09-08T01:00:00-03:00", "2024-09-09T00:00:00-03:00"],
    ),
    // Midnight itself is skipped: Cairo on 26 April 2024, Havana on 10 March 2024, Beirut on 31 March 2024.
    ("0 0 * * *", "Africa/Cairo", "2024-04-25T12:00:00Z", &["2024-04-26T01:00:00+03:00", "2024-04-27T00:00:00+03:00"]),
    (
        "30 0 * * *",
        "America/Havana",
        "2024-03-09T12:00:00Z",
        &["2024-03-10T01:00:00-04:00", "2024-03-11T00:30:00-04:00"],
    ),
    ("0 0 * * *", "Asia/Beirut", "2024-03-30T12:00:00Z", &["2024-03-31T01:00:00+03:00", "2024-04-01T00:00:00+03:00"]),
    // Midnight comes twice: Havana, 3 November 2024.
    (
        "15 0 * * *",
        "America/Havana",
        "2024-11-02T12:00:00Z",
        &["2024-11-03T00:15:00-04:00", "2024-11-04T00:15:00-05:00"],
    ),
    // The last day of a month with a skipped midnight, and a weekday and a day together.
    ("0 0 31 * *", "Asia/Beirut", "2024-03-30T12:00:00Z", &["2024-03-31T01:00:00+03:00", "2024-05-31T00:00:00+03:00"]),
    // Half an hour: Lord Howe skips 02:00 to 02:30 on 6 October 2024 and repeats 01:30 to 02:00 on 7 April.
    (
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2024-10-05T12:00:00Z",
        &["2024-10-06T02:30:00+11:00", "2024-10-07T02:15:00+11:00"],
    ),
    ("45 2 * * *", "Australia/Lord_Howe", "2024-10-05T12:00:00Z", &["2024-10-06T02:45:00+11:00"]),
    (
        "45 1 * * *",
        "Australia/Lord_Howe",
        "2024-04-06T10:00:00Z",
        &["2024-04-07T01:45:00+11:00", "2024-04-08T01:45:00+10:30"],
    ),
    (
        "*/20 * * * *",
        "Australia/Lord_Howe",
        "2024-04-06T14:30:00Z",
        &["2024-04-07T01:40:00+11:00", "2024-04-07T01:40:00+10:30"],
    ),
    // Zones of half and quarter hours, which never change.
    ("0 6 * * *", "Asia/Kolkata", "2024-06-01T00:00:00Z", &["2024-06-01T06:00:00+05:30"]),
    ("0 6 * * *", "Asia/Kathmandu", "2024-06-01T00:00:00Z", &["2024-06-01T06:00:00+05:45"]),
    (
        "0 * * * *",
        "Asia/Kathmandu",
        "2024-06-01T00:00:00Z",
        &["2024-06-01T06:00:00+05:45", "2024-06-01T07:00:00+05:45"],
    ),
    // A zone that moved by half an hour for good: Caracas, 1 May 2016, 02:30 became 03:00.
    (
        "45 2 * * *",
        "America/Caracas",
        "2016-04-30T12:00:00Z",
        &["2016-05-01T03:00:00-04:00", "2016-05-02T02:45:00-04:00"],
    ),
    // A day that never was: Apia went from 29 to 31 December 2011.
    ("0 6 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z", &["2011-12-31T00:00:00+14:00", "2011-12-31T06:00:00+14:00"]),
    (
        "0 6 30 12 *",
        "Pacific/Apia",
        "2011-12-01T00:00:00Z",
        &["2011-12-31T00:00:00+14:00", "2012-12-30T06:00:00+14:00"],
    ),
    // Ramadan stops summer time in between: Casablanca, 10 March to 14 April 2024.
    (
        "30 2 * * *",
        "Africa/Casablanca",
        "2024-04-13T12:00:00Z",
        &["2024-04-14T03:00:00+01:00", "2024-04-15T02:30:00+01:00"],
    ),
    // Leap days, and the turn of a year.
    ("0 0 29 2 *", "Europe/Berlin", "2024-02-29T00:00:00Z", &["2028-02-29T00:00:00+01:00"]),
    ("59 59 23 31 12 *", "Pacific/Kiritimati", "2024-01-01T00:00:00Z", &["2024-12-31T23:59:59+14:00"]),
    // Every second follows time itself through a gap.
    (
        "59,0 * * * * *",
        "Europe/Berlin",
        "2024-03-31T00:59:30Z",
        &["2024-03-31T01:59:59+01:00", "2024-03-31T03:00:00+02:00"],
    ),
];

#[test]
fn clocks_that_change() {
    for (expression, zone, after, expected) in CLOCKS {
        let schedule = Schedule::new(expression, Some(zone)).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(next(&schedule, after, expected.len()), *expected, "{expression} in {zone} after {after}");
    }
    println!("counted: cases of the table of wall clocks: {}", CLOCKS.len());
}

/// A schedule with days: `except`, `only`, and whether excepted moments move.
fn with_days(cron: &str, zone: &str, except: &[&str], only: Option<&[&str]>, moves: bool) -> Schedule {
    let dates = |list: &[&str]| Dates::List(list.iter().map(|day| (*day).to_owned()).collect());
    let trigger = CronTrigger {
        name: None,
        cron: cron.to_owned(),
        timezone: Some(zone.to_owned()),
        catch_up: CatchUp::default(),
        jitter: None,
        except: (!except.is_empty()).then(|| dates(except)),
        on_except: if moves { OnExcept::NextBusinessDay } else { OnExcept::Skip },
        only: only.map(dates),
    };
    Schedule::of(&trigger).expect("a schedule")
}

/// Days of December 2026: the 25th is a Friday, the 26th a Saturday.
const CHRISTMAS: &[&str] = &["2026-12-24", "2026-12-25", "2026-12-26", "2026-12-31", "2027-01-01"];

#[test]
fn excepted_days_are_skipped() {
    let days = |cron, only, after, count| {
        let schedule = with_days(cron, "Europe/Berlin", CHRISTMAS, only, false);
        next(&schedule, after, count).into_iter().map(|moment| moment[..16].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        days("0 6 * * *", None, "2026-12-23T00:00:00Z", 5),
        ["2026-12-23T06:00", "2026-12-27T06:00", "2026-12-28T06:00", "2026-12-29T06:00", "2026-12-30T06:00"]
    );
    assert_eq!(days("* * * * * *", None, "2026-12-23T22:59:59Z", 1), ["2026-12-27T00:00"], "however often it fires");
    assert_eq!(days("0 6 25 12 *", None, "2026-01-01T00:00:00Z", 1), ["2027-12-25T06:00"]);
    let only: &[&str] = &["2026-12-25", "2026-12-29", "2027-02-01"];
    assert_eq!(
        days("0 6,18 * * *", Some(only), "2026-12-01T00:00:00Z", 9),
        ["2026-12-29T06:00", "2026-12-29T18:00", "2027-02-01T06:00", "2027-02-01T18:00"],
        "only those, and then no more"
    );
    assert!(days("0 6 * * *", Some(&[]), "2026-12-01T00:00:00Z", 1).is_empty());
}

#[test]
fn excepted_moments_move_to_the_next_business_day() {
    let days = |cron, zone, after, count| {
        let schedule = with_days(cron, zone, CHRISTMAS, None, true);
        next(&schedule, after, count).into_iter().map(|moment| moment[..16].to_owned()).collect::<Vec<_>>()
    };
    // Three excepted days and a Sunday meet Monday's own moment: one run.
    assert_eq!(
        days("0 6 * * *", "Europe/Berlin", "2026-12-23T12:00:00Z", 4),
        ["2026-12-27T06:00", "2026-12-28T06:00", "2026-12-29T06:00", "2026-12-30T06:00"]
    );
    // What fires on excepted days alone comes on Monday.
    assert_eq!(days("0 6 25 12 *", "Europe/Berlin", "2026-12-01T00:00:00Z", 1), ["2026-12-28T06:00"]);
    assert_eq!(
        days("0 6 * * FRI", "Europe/Berlin", "2026-12-20T00:00:00Z", 3),
        ["2026-12-28T06:00", "2027-01-04T06:00", "2027-01-08T06:00"]
    );
    // Moved ones and others keep the order of the clock, and asking from any moment gives the same.
    let schedule = with_days("0 4,20 * * THU,MON", "America/New_York", CHRISTMAS, None, true);
    let all: Vec<_> = schedule.upcoming(at("2026-12-20T00:00:00Z")).take(12).collect();
    assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    for pair in all.windows(2) {
        for from in
            [pair[0], Timestamp(pair[0].0 + 1), Timestamp((pair[0].0 + pair[1].0) / 2), Timestamp(pair[1].0 - 1)]
        {
            assert_eq!(schedule.next(from), Some(pair[1]), "after {from}");
        }
    }
}

#[test]
fn jitter_is_the_same_every_time_and_not_the_same_everywhere() {
    let schedule = || Schedule::new("0 * * * *", None).expect("a schedule");
    let most = Some(Span::seconds(600));
    let (one, two) = (schedule().with_jitter(most, "a/0"), schedule().with_jitter(most, "b/0"));
    let moments: Vec<Timestamp> = one.upcoming(at("2026-01-01T00:00:00Z")).take(1_000).collect();
    let late = |schedule: &Schedule| -> Vec<u64> {
        moments.iter().map(|moment| schedule.fires_at(*moment).since(*moment).as_secs()).collect()
    };
    assert_eq!(late(&one), late(&schedule().with_jitter(most, "a/0")));
    assert_ne!(late(&one), late(&two));
    assert!(late(&one).iter().all(|seconds| *seconds < 600));
    let mean = late(&one).iter().sum::<u64>() / 1_000;
    assert!((250..350).contains(&mean), "evenly spread: {mean}");
    assert_eq!(late(&schedule()), vec![0; 1_000]);
}

#[test]
fn calendars_are_read_with_everything_that_is_wrong() {
    let days = calendar::read("description: ours\ndates: [2026-12-25, '2027-01-01']\n").expect("sound");
    assert_eq!(days, ["2026-12-25", "2027-01-01"]);
    let found = calendar::read("days: []\ndates: [2026-13-01, 5, 2026-12-25]\n").expect_err("wrong");
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(calendar::read("[]").is_err() && calendar::read("dates: {").is_err());
}

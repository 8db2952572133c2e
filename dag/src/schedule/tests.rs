use chrono::DateTime;

use super::*;

pub(super) fn at(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).expect(text).to_utc().into()
}

fn next(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::new(expression, Some(zone)).unwrap_or_else(|error| panic!("{expression}: {error}"));
    schedule
        .upcoming(at(after))
        .take(count)
        .map(|moment| moment.to_utc().with_timezone(&schedule.zone).to_rfc3339())
        .collect()
}

#[test]
fn plain_expressions() {
    for (expression, after, expected) in [
        ("* * * * *", "2024-01-01T00:00:00Z", "2024-01-01T00:01:00+00:00"),
        ("* * * * *", "2024-01-01T00:00:30Z", "2024-01-01T00:01:00+00:00"),
        ("0 6 * * *", "2024-01-01T06:00:00Z", "2024-01-02T06:00:00+00:00"),
        ("0 6 * * *", "2024-01-01T05:59:59.999999Z", "2024-01-01T06:00:00+00:00"),
        ("*/15 9-17 * * MON-FRI", "2024-01-05T17:45:00Z", "2024-01-08T09:00:00+00:00"),
        ("0 0 * * 0", "2024-01-01T00:00:00Z", "2024-01-07T00:00:00+00:00"),
        ("0 0 * * 7", "2024-01-01T00:00:00Z", "2024-01-07T00:00:00+00:00"),
        ("0 0 * * sun", "2024-01-01T00:00:00Z", "2024-01-07T00:00:00+00:00"),
        ("0 0 * * 5-7", "2024-01-06T00:00:00Z", "2024-01-07T00:00:00+00:00"),
        ("0 0 * * FRI-SUN", "2024-01-06T00:00:00Z", "2024-01-07T00:00:00+00:00"),
        ("0 0 13 * FRI", "2024-01-01T00:00:00Z", "2024-01-05T00:00:00+00:00"),
        ("0 0 13 * *", "2024-01-01T00:00:00Z", "2024-01-13T00:00:00+00:00"),
        ("0 0 29 2 *", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00+00:00"),
        ("0 0 31 * *", "2024-04-01T00:00:00Z", "2024-05-31T00:00:00+00:00"),
        ("0 0 1 JAN,jul ?", "2024-01-01T00:00:00Z", "2024-07-01T00:00:00+00:00"),
        ("30 0 12 * * *", "2024-01-01T12:00:30Z", "2024-01-02T12:00:30+00:00"),
        ("*/20 * * * * *", "2024-01-01T00:00:40Z", "2024-01-01T00:01:00+00:00"),
        ("5/20 * * * *", "2024-01-01T00:25:00Z", "2024-01-01T00:45:00+00:00"),
        ("@hourly", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+00:00"),
        ("@Weekly", "2024-01-01T00:00:00Z", "2024-01-07T00:00:00+00:00"),
    ] {
        assert_eq!(next(expression, "UTC", after, 1), [expected], "{expression} after {after}");
    }
}

#[test]
fn a_skipped_time_fires_once_right_after_the_gap() {
    for (expression, zone, after, expected) in [
        // Berlin skips 02:00 to 03:00 on 31 March 2024.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2024-03-30T12:00:00Z",
            ["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"],
        ),
        (
            "*/10 2 * * *",
            "Europe/Berlin",
            "2024-03-30T12:00:00Z",
            ["2024-03-31T03:00:00+02:00", "2024-04-01T02:00:00+02:00"],
        ),
        (
            "0 2,3 * * *",
            "Europe/Berlin",
            "2024-03-30T12:00:00Z",
            ["2024-03-31T03:00:00+02:00", "2024-04-01T02:00:00+02:00"],
        ),
        // New York skips 02:00 to 03:00 on 10 March 2024.
        (
            "15 2 * * *",
            "America/New_York",
            "2024-03-09T12:00:00Z",
            ["2024-03-10T03:00:00-04:00", "2024-03-11T02:15:00-04:00"],
        ),
        // Lord Howe skips only half an hour, 02:00 to 02:30 on 6 October 2024.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2024-10-05T12:00:00Z",
            ["2024-10-06T02:30:00+11:00", "2024-10-07T02:15:00+11:00"],
        ),
        (
            "45 2 * * *",
            "Australia/Lord_Howe",
            "2024-10-05T12:00:00Z",
            ["2024-10-06T02:45:00+11:00", "2024-10-07T02:45:00+11:00"],
        ),
        // Apia had no 30 December 2011.
        (
            "0 6 * * *",
            "Pacific/Apia",
            "2011-12-29T20:00:00Z",
            ["2011-12-31T00:00:00+14:00", "2011-12-31T06:00:00+14:00"],
        ),
    ] {
        assert_eq!(next(expression, zone, after, 2), expected, "{expression} in {zone}");
    }
}

#[test]
fn a_repeated_time_fires_the_first_time() {
    for (expression, zone, after, expected) in [
        // Berlin has 02:00 to 03:00 twice on 27 October 2024.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2024-10-26T12:00:00Z",
            ["2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"],
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2024-10-27T01:10:00Z",
            ["2024-10-28T02:30:00+01:00", "2024-10-29T02:30:00+01:00"],
        ),
        (
            "0 3 * * *",
            "Europe/Berlin",
            "2024-10-27T00:30:00Z",
            ["2024-10-27T03:00:00+01:00", "2024-10-28T03:00:00+01:00"],
        ),
        // New York has 01:00 to 02:00 twice on 3 November 2024.
        (
            "30 1 * * *",
            "America/New_York",
            "2024-11-02T12:00:00Z",
            ["2024-11-03T01:30:00-04:00", "2024-11-04T01:30:00-05:00"],
        ),
        // Lord Howe has 01:30 to 02:00 twice on 7 April 2024.
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2024-04-06T10:00:00Z",
            ["2024-04-07T01:45:00+11:00", "2024-04-08T01:45:00+10:30"],
        ),
    ] {
        assert_eq!(next(expression, zone, after, 2), expected, "{expression} in {zone}");
    }
}

#[test]
fn schedules_of_every_hour_follow_time_itself() {
    for (expression, zone, after, expected) in [
        (
            "30 * * * *",
            "Europe/Berlin",
            "2024-10-26T23:45:00Z",
            ["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00", "2024-10-27T03:30:00+01:00"],
        ),
        (
            "30 * * * *",
            "Europe/Berlin",
            "2024-03-31T00:00:00Z",
            ["2024-03-31T01:30:00+01:00", "2024-03-31T03:30:00+02:00", "2024-03-31T04:30:00+02:00"],
        ),
        (
            "*/20 * * * *",
            "Australia/Lord_Howe",
            "2024-04-06T14:30:00Z",
            ["2024-04-07T01:40:00+11:00", "2024-04-07T01:40:00+10:30", "2024-04-07T02:00:00+10:30"],
        ),
        (
            "0 * * * *",
            "Australia/Lord_Howe",
            "2024-10-05T15:00:00Z",
            ["2024-10-06T03:00:00+11:00", "2024-10-06T04:00:00+11:00", "2024-10-06T05:00:00+11:00"],
        ),
        (
            "0 * * * *",
            "Pacific/Apia",
            "2011-12-30T08:00:00Z",
            ["2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T01:00:00+14:00"],
        ),
    ] {
        assert_eq!(next(expression, zone, after, 3), expected, "{expression} in {zone}");
    }
}

#[test]
fn a_minute_schedule_fires_every_minute_of_a_year() {
    let schedule = Schedule::new("*/30 * * * *", Some("Europe/Berlin")).expect("sound");
    let moments: Vec<_> = schedule.between(at("2024-01-01T00:00:00Z"), at("2025-01-01T00:00:00Z")).collect();
    assert_eq!(moments.len(), 366 * 48);
    assert!(moments.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1_800_000_000));
}

#[test]
fn wrong_expressions_say_which_field() {
    for (expression, reason) in [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * * *", "7 fields"),
        ("60 * * * *", "the minute `60`"),
        ("* 24 * * *", "the hour `24`"),
        ("* * 0 * *", "the day `0`"),
        ("* * * 13 *", "the month `13`"),
        ("* * * * 8", "the weekday `8`"),
        ("* * * * MOO", "or SUN to SAT"),
        ("*/0 * * * *", "the minute step `0`"),
        ("5-1 * * * *", "runs backwards"),
        ("0 0 31 2 *", "no such date"),
        ("0 0 L * *", "the day `L`"),
        ("a b c d e", "the weekday `e`"),
    ] {
        match Schedule::new(expression, None) {
            Err(ScheduleError::Expression { reason: found, .. }) => {
                assert!(found.contains(reason), "{expression}: {found}")
            }
            other => panic!("{expression}: {other:?}"),
        }
    }
}

#[test]
fn wrong_zones_are_named_with_the_nearest() {
    for (zone, expected) in [
        ("Europe/Berlim", Some("Europe/Berlin")),
        ("berlin", Some("Europe/Berlin")),
        ("New York", Some("America/New_York")),
        ("+02:00", None),
    ] {
        match Schedule::new("* * * * *", Some(zone)) {
            Err(ScheduleError::Zone { nearest, .. }) => assert_eq!(nearest, expected, "{zone}"),
            other => panic!("{zone}: {other:?}"),
        }
    }
}

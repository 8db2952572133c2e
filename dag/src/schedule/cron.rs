//! Cron expressions as people know them, told to the crate `cron`, which finds the next wall-clock time that fits.
//!
//! The crate counts weekdays from Sunday = 1 and wants day and weekday both to fit. The classic habits are promised here:
//! Sunday is 0 or 7, and where day and weekday are both given, either is enough; that takes two schedules.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike};

/// An expression that was understood.
#[derive(Debug, Clone)]
pub(super) struct Cron {
    /// A time fits when it fits one of them.
    any_of: Vec<cron::Schedule>,
    every_hour: bool,
}

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const SECOND: Field = Field { name: "second", min: 0, max: 59, words: &[] };
const MINUTE: Field = Field { name: "minute", min: 0, max: 59, words: &[] };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, words: &[] };
const DAY: Field = Field { name: "day", min: 1, max: 31, words: &[] };
const MONTH: Field = Field { name: "month", min: 1, max: 12, words: &MONTHS };
const WEEKDAY: Field = Field { name: "weekday", min: 0, max: 7, words: &WEEKDAYS };

impl Cron {
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let written = expression.trim();
        let expanded = match written.to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            _ => written,
        };
        let fields: Vec<&str> = expanded.split_whitespace().collect();
        let (second, rest) = match fields.as_slice() {
            [_, _, _, _, _] => ("0", fields.as_slice()),
            [second, rest @ ..] if rest.len() == 5 => (*second, rest),
            other => return Err(format!("it has {} fields, and 5 are needed, or 6 with seconds", other.len())),
        };
        let [minute, hour, day, month, weekday] = rest else { return Err("it has too few fields".to_owned()) };
        let weekdays = WEEKDAY.parse(weekday)?;
        // Sunday has two numbers here and is the crate's first day.
        let weekdays = ((weekdays | (weekdays >> 7)) & 0x7f) << 1;
        let clock = format!("{} {} {}", SECOND.list(second)?, MINUTE.list(minute)?, HOUR.list(hour)?);
        let every_hour = HOUR.parse(hour)? == (1 << 24) - 1;
        let (days, months, weekdays) = (DAY.list(day)?, MONTH.list(month)?, listed(weekdays));
        let told = if open(day) || open(weekday) {
            vec![format!("{clock} {days} {months} {weekdays}")]
        } else {
            vec![format!("{clock} {days} {months} *"), format!("{clock} * {months} {weekdays}")]
        };
        let any_of = told.iter().map(|text| cron::Schedule::from_str(text).map_err(|error| error.to_string()));
        let cron = Self { any_of: any_of.collect::<Result<_, _>>()?, every_hour };
        cron.next(DateTime::UNIX_EPOCH.naive_utc()).map(|_| cron).ok_or_else(|| "there is no such date".to_owned())
    }

    /// Fires in every hour: such schedules follow time itself and not the clock on the wall.
    pub(super) fn every_hour(&self) -> bool {
        self.every_hour
    }

    /// The first fitting wall-clock time that is not before `from`.
    pub(super) fn next(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let second = from.with_nanosecond(0)?;
        // The crate looks strictly after a moment.
        let before = if second == from { second.checked_sub_signed(TimeDelta::seconds(1))? } else { second };
        let next = |schedule: &cron::Schedule| schedule.after(&before.and_utc()).next();
        self.any_of.iter().filter_map(next).min().map(|found| found.naive_utc())
    }
}

fn open(field: &str) -> bool {
    field.starts_with(['*', '?'])
}

/// The members of a set, as a list that the crate reads.
fn listed(set: u64) -> String {
    let members: Vec<String> = (0..64).filter(|bit| set >> bit & 1 == 1).map(|bit: u32| bit.to_string()).collect();
    members.join(",")
}

impl Field {
    fn list(&self, text: &str) -> Result<String, String> {
        self.parse(text).map(listed)
    }

    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    fn part(&self, part: &str) -> Result<u64, String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.min, self.max),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            // `5/10` counts from 5 to the end.
            None => (self.value(range)?, if step.is_some() { self.max } else { self.value(range)? }),
        };
        // `FRI-SUN` ends on the other Sunday.
        let last = if self.max == 7 && last == 0 && first > 0 { 7 } else { last };
        if first > last {
            return Err(format!("the {} range `{range}` runs backwards", self.name));
        }
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
        Ok((first..=last).step_by(step).fold(0, |set, value| set | 1 << value))
    }

    fn step(&self, text: &str) -> Result<u32, String> {
        let step = text.parse::<u32>().ok().filter(|step| (1..=self.max).contains(step));
        step.ok_or_else(|| format!("the {} step `{text}` is not a number from 1 to {}", self.name, self.max))
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        if let Some(index) = word {
            return Ok(u32::try_from(index).unwrap_or(0) + self.min.min(1));
        }
        let number = text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        number.filter(|number| (self.min..=self.max).contains(number)).ok_or_else(|| {
            let words = match self.words {
                [first, .., last] => format!(", or {first} to {last}"),
                _ => String::new(),
            };
            format!("the {} `{text}` is not a number from {} to {}{words}", self.name, self.min, self.max)
        })
    }
}

//! Cron expressions as sets, and the next wall-clock time that fits.
//!
//! Written here and not taken from a crate because the habits of the classic cron are promised: Sunday is
//! 0 or 7, and where day and weekday are both given, either is enough.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// Years to look ahead: 29 February on a given weekday comes back within 40.
const YEARS: u32 = 41;

/// What an expression allows, each as a set of bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Day and weekday are both restricted: either is enough.
    either_day: bool,
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
        let cron = Self {
            seconds: SECOND.parse(second)?,
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            // Sunday has two numbers and one bit.
            weekdays: (weekdays | (weekdays >> 7)) & 0x7f,
            either_day: !open(day) && !open(weekday),
        };
        let epoch = NaiveDate::default().and_time(NaiveTime::MIN);
        cron.next(epoch).map(|_| cron).ok_or_else(|| "there is no such date".to_owned())
    }

    /// Fires in every hour: such schedules follow time itself and not the clock on the wall.
    pub(super) fn every_hour(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// The first fitting wall-clock time that is not before `from`.
    pub(super) fn next(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let from = from
            .with_nanosecond(0)
            .filter(|whole| *whole == from)
            .or_else(|| from.with_nanosecond(0)?.checked_add_signed(chrono::TimeDelta::seconds(1)))?;
        let last = from.date().checked_add_days(Days::new(u64::from(YEARS) * 366))?;
        let mut date = from.date();
        let mut time = from.time();
        while date <= last {
            if !has(self.months, date.month()) {
                date = first_of_next_month(date)?;
                time = NaiveTime::MIN;
                continue;
            }
            if self.day_fits(date)
                && let Some(found) = self.time_from(time)
            {
                return Some(date.and_time(found));
            }
            date = date.succ_opt()?;
            time = NaiveTime::MIN;
        }
        None
    }

    fn day_fits(&self, date: NaiveDate) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().num_days_from_sunday());
        if self.either_day { day || weekday } else { day && weekday }
    }

    fn time_from(&self, time: NaiveTime) -> Option<NaiveTime> {
        let mut hour = bit_from(self.hours, time.hour())?;
        let (mut minute, mut second) = if hour == time.hour() { (time.minute(), time.second()) } else { (0, 0) };
        loop {
            if let Some(found) = bit_from(self.minutes, minute) {
                let start = if found == minute { second } else { 0 };
                if let Some(second) = bit_from(self.seconds, start) {
                    return NaiveTime::from_hms_opt(hour, found, second);
                }
                (minute, second) = (found + 1, 0);
                continue;
            }
            hour = bit_from(self.hours, hour + 1)?;
            (minute, second) = (0, 0);
        }
    }
}

fn first_of_next_month(date: NaiveDate) -> Option<NaiveDate> {
    let (year, month) = if date.month() == 12 { (date.year() + 1, 1) } else { (date.year(), date.month() + 1) };
    NaiveDate::from_ymd_opt(year, month, 1)
}

fn has(set: u64, bit: u32) -> bool {
    set >> bit & 1 == 1
}

/// The first member that is not below `from`.
fn bit_from(set: u64, from: u32) -> Option<u32> {
    let above = set.checked_shr(from)?;
    (above != 0).then(|| from + above.trailing_zeros())
}

fn open(field: &str) -> bool {
    field.starts_with(['*', '?'])
}

impl Field {
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

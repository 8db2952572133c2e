//! When a pipeline runs by itself, and how it behaves when something fails.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::{Read, Reader};
use crate::{
    lexicon::{ordinal_word, weekday},
    request::Clause,
    tokens::Shape,
};

const RUN: [&str; 24] = [
    "run",
    "run it",
    "run this",
    "refresh",
    "refresh it",
    "refresh this",
    "schedule",
    "schedule it",
    "schedule it for",
    "schedule this",
    "schedule this for",
    "do this",
    "do it",
    "repeat it",
    "repeat this",
    "execute it",
    "update it",
    "rebuild it",
    "run the pipeline",
    "to run",
    "running",
    "scheduled",
    "running it",
    "refreshed",
];

/// Hour and minute.
type Hour = (u32, u32);

/// How often, without the time of day.
#[derive(Debug, Clone, PartialEq)]
enum Often {
    /// Fields day, month, weekday; whether "each" (which may group) was said instead of "every".
    Days {
        fields: String,
        each: bool,
    },
    Exact {
        cron: String,
        each: bool,
    },
}

impl Reader<'_> {
    /// "every weekday at 6 in Berlin", "hourly", "on the first of each month at noon UTC".
    pub(super) fn schedule(&self, at: usize) -> Read<Clause> {
        let start = self.skip(at, &["and", "then", ", and", "and then"]);
        let run = self.any(start, &RUN);
        let p = run.unwrap_or(start);
        let (end, often, time) = self.timed_often(p)?;
        let alone = at == 0 || matches!(self.lower(at - 1), "," | "." | ";" | ":" | "—" | "–" | "(");
        let (end, zone) = self.zone(end);
        let last = end >= self.tokens.len() || (end + 1 == self.tokens.len() && self.any(end, &[".", "!"]).is_some());
        let after = self.any(end, &[",", ":"]).is_some() || last;
        // "load customers every day": nothing there could be grouped by day.
        let plain_copy = last && self.save_verb_before(at) && !(0..at).any(|p| self.aggregate_at(p));
        let clear =
            run.is_some() || time.is_some() || zone.is_some() || ((alone && after || plain_copy) && !often.each());
        clear.then(|| (end, often.clause(time, zone)))
    }

    fn timed_often(&self, at: usize) -> Option<(usize, Often, Option<Hour>)> {
        if let Some((p, time)) = self.at_time(at)
            && let Some((end, often)) = self.often(self.skip(p, &[","]))
        {
            return Some((end, often, Some(time)));
        }
        let (end, often) = self.often(at)?;
        match self.at_time(self.skip(end, &[","])) {
            Some((behind, time)) => Some((behind, often, Some(time))),
            None => Some((end, often, self.part_of_day(end))),
        }
    }

    fn part_of_day(&self, end: usize) -> Option<(u32, u32)> {
        (self.lower(end.checked_sub(1)?) == "midnight").then_some((0, 0))
    }

    fn often(&self, at: usize) -> Read<Often> {
        self.by_word(at).or_else(|| self.every_n(at)).or_else(|| self.monthly(at)).or_else(|| self.on_days(at))
    }

    fn by_word(&self, at: usize) -> Read<Often> {
        let days = |fields: &str| Often::Days { fields: fields.to_owned(), each: false };
        let exact = |cron: &str, each: bool| Often::Exact { cron: cron.to_owned(), each };
        let each = self.lower(at) == "each";
        let found = match self.lower(at) {
            "daily" | "nightly" => (at + 1, days("* * *")),
            "hourly" => (at + 1, exact("0 * * * *", false)),
            "every" | "each" => match self.lower(at + 1) {
                "hour" => (at + 2, exact("0 * * * *", each)),
                "minute" => (at + 2, exact("* * * * *", each)),
                "day" | "morning" | "night" | "evening" | "afternoon" => {
                    (at + 2, Often::Days { fields: "* * *".to_owned(), each })
                }
                "weekday" | "workday" => (at + 2, Often::Days { fields: "* * 1-5".to_owned(), each }),
                _ if self.any(at + 1, &["business day", "working day", "week day"]).is_some() => {
                    (at + 3, Often::Days { fields: "* * 1-5".to_owned(), each })
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(found)
    }

    /// "every 15 minutes".
    fn every_n(&self, at: usize) -> Read<Often> {
        let p = self.any(at, &["every", "each"])?;
        let (end, n) = self.count(p)?;
        let exact = |cron: String| Some((end + 1, Often::Exact { cron, each: false }));
        match self.lower(end) {
            // Cron starts again with each hour and day: only parts that fit are even.
            "minutes" | "minute" | "mins" if 60 % n == 0 => {
                exact(if n == 60 { "0 * * * *".to_owned() } else { format!("*/{n} * * * *") })
            }
            "hours" | "hour" if 24 % n == 0 => {
                exact(if n == 24 { "0 0 * * *".to_owned() } else { format!("0 */{n} * * *") })
            }
            _ => None,
        }
    }

    /// "on the first of each month", "on the 15th of every month", "monthly on the 1st".
    fn monthly(&self, at: usize) -> Read<Often> {
        let p =
            self.any(at, &["on the", "the", "every month on the", "monthly on the", "each month on the", "on day"])?;
        let monthly = self.any(at, &["every month on the", "monthly on the", "each month on the"]).is_some();
        let token = self.token(p)?;
        let day = match token.shape {
            Shape::Ordinal(day) => day,
            Shape::Number(value) if (1.0..=31.0).contains(&value) && value.fract() == 0.0 => value as u32,
            Shape::Word => ordinal_word(&token.lower)?,
            Shape::Number(_)
            | Shape::Date(_)
            | Shape::YearMonth(..)
            | Shape::Time(..)
            | Shape::Quoted
            | Shape::Sign => return None,
        };
        let end = self
            .any(
                p + 1,
                &[
                    "of each month",
                    "of every month",
                    "day of each month",
                    "day of every month",
                    "of the month",
                    "day of the month",
                    "each month",
                    "every month",
                ],
            )
            .or(monthly.then_some(p + 1))?;
        (1..=31).contains(&day).then(|| (end, Often::Days { fields: format!("{day} * *"), each: false }))
    }

    /// "every Monday and Thursday", "on Mondays", "on weekdays", "weekly on Friday".
    fn on_days(&self, at: usize) -> Read<Often> {
        if let Some(end) = self.any(at, &["on weekdays", "weekdays", "on working days", "on business days"]) {
            return Some((end, Often::Days { fields: "* * 1-5".to_owned(), each: false }));
        }
        let p = self.any(at, &["every", "each", "on", "weekly on", "every week on", "each week on"])?;
        let (end, mut days) = self.list(p, |p| {
            weekday(self.lower(self.skip(p, &["every", "on"]))).map(|day| (self.skip(p, &["every", "on"]) + 1, day))
        })?;
        // "on Mondays" alone speaks of rows.
        days.sort_unstable();
        days.dedup();
        let list: Vec<String> = days.iter().map(u32::to_string).collect();
        Some((end, Often::Days { fields: format!("* * {}", list.join(",")), each: self.lower(at) == "on" }))
    }

    fn at_time(&self, at: usize) -> Read<(u32, u32)> {
        let lead = self.any(at, &["at", "at about", "@"]);
        let p = lead.unwrap_or(at);
        if let Some(end) = self.any(p, &["noon", "midday"]) {
            return lead.map(|_| (end, (12, 0)));
        }
        if let Some(end) = self.any(p, &["midnight"]) {
            return lead.map(|_| (end, (0, 0)));
        }
        let (end, time) = match self.token(p)?.shape {
            Shape::Time(hour, minute) => (p + 1, (hour, minute)),
            Shape::Number(_) | Shape::Word => {
                lead?;
                let (end, hour) = self.number(p)?;
                let end = self.skip(end, &["o'clock", "o clock", "h"]);
                let hour = (hour.fract() == 0.0 && (0.0..24.0).contains(&hour)).then_some(hour as u32)?;
                match self.lower(end) {
                    "am" if (1..=12).contains(&hour) => (end + 1, (hour % 12, 0)),
                    "pm" if (1..=12).contains(&hour) => (end + 1, (hour % 12 + 12, 0)),
                    _ => (end, (hour, 0)),
                }
            }
            Shape::Ordinal(_) | Shape::Date(_) | Shape::YearMonth(..) | Shape::Quoted | Shape::Sign => return None,
        };
        let evening = self.any(end, &["in the evening", "in the afternoon"]).filter(|_| (1..12).contains(&time.0));
        let morning = self.any(end, &["in the morning", "o'clock", "sharp"]);
        let night =
            p >= 2 && matches!(self.lower(p.saturating_sub(2)), "evening" | "afternoon") && (1..12).contains(&time.0);
        let time = if evening.is_some() || night { (time.0 + 12, time.1) } else { time };
        Some((evening.or(morning).unwrap_or(end), time))
    }

    /// "in Berlin", "Berlin time", "UTC", "(Europe/Berlin)".
    fn zone(&self, at: usize) -> (usize, Option<String>) {
        let p = self.skip(at, &["in", "(", ",", "in the", "at"]);
        let behind = |end: usize| self.skip(end, &["time )", "time", ")", "timezone", "time zone", "local time"]);
        let long = (1..=3).rev().find_map(|n| {
            let words: Vec<&str> = (p..p + n).map(|i| self.tokens.get(i).map_or("", |t| t.text.as_str())).collect();
            (!words.contains(&"")).then(|| zone_named(&words))?.map(|zone| (behind(p + n), zone))
        });
        match long {
            Some((end, zone)) => (end, Some(zone)),
            None => (at, None),
        }
    }

    /// "retry 3 times", "with 3 retries, 5 minutes apart".
    pub(super) fn retries(&self, at: usize) -> Read<Clause> {
        let at = self.skip(at, &["and", "with", "then", ",", "and with"]);
        if let Some(found) = self.timeout(at) {
            return Some(found);
        }
        let p = self.any(
            at,
            &[
                "retry up to",
                "retry it up to",
                "retry at most",
                "retry",
                "retry it",
                "retrying",
                "try again",
                "retry each task",
                "retry failed tasks",
                "if it fails retry",
                "if it fails , retry",
                "on failure retry",
                "retry on failure",
                "try it again",
                "retry failures",
            ],
        );
        let (end, n) = match p {
            Some(p) => {
                let (end, n) = self.count(p)?;
                (
                    self.any(end, &["times", "time", "more times"])
                        .or((self.lower(end - 1) == "twice" || self.lower(end - 1) == "once").then_some(end))?,
                    n,
                )
            }
            None => {
                let (end, n) = self.count(self.skip(at, &["up to", "at most"]))?;
                (self.any(end, &["retries", "retry"])?, n)
            }
        };
        let end =
            self.skip(end, &["on failure", "if it fails", "when it fails", "before giving up", "if something fails"]);
        let wait = self
            .any(end, &["with", ",", "waiting", "every", "with a wait of", "after", ", waiting"])
            .and_then(|p| self.seconds(p))
            .map(|(e, s)| {
                (
                    self.skip(
                        e,
                        &[
                            "apart",
                            "between",
                            "between tries",
                            "in between",
                            "between attempts",
                            "between them",
                            "each time",
                            "wait",
                        ],
                    ),
                    s,
                )
            });
        let (end, wait) = wait.map_or((end, None), |(e, s)| (e, Some(s)));
        (n <= 100).then(|| (end, Clause::Retries { times: u32::try_from(n).unwrap_or(100), wait }))
    }

    fn timeout(&self, at: usize) -> Read<Clause> {
        let p = self.any(
            at,
            &[
                "time out after",
                "timeout after",
                "timeout of",
                "a timeout of",
                "with a timeout of",
                "give up after",
                "timeout",
                "stop after",
                "timing out after",
            ],
        )?;
        self.seconds(p).map(|(end, seconds)| (end, Clause::Timeout(seconds)))
    }

    fn seconds(&self, at: usize) -> Read<u64> {
        let (end, n) = self.count(at).or_else(|| self.any(at, &["a", "an"]).map(|p| (p, 1)))?;
        let factor = match self.lower(end) {
            "second" | "seconds" | "s" => 1,
            "minute" | "minutes" | "min" => 60,
            "hour" | "hours" => 3_600,
            _ => return None,
        };
        Some((end + 1, n * factor))
    }
}

impl Often {
    fn each(&self) -> bool {
        match self {
            Self::Days { each, .. } | Self::Exact { each, .. } => *each,
        }
    }

    fn clause(self, time: Option<(u32, u32)>, zone: Option<String>) -> Clause {
        let mut said = Vec::new();
        let cron = match self {
            Self::Exact { cron, .. } => cron,
            Self::Days { fields, .. } => {
                let (hour, minute) = time.unwrap_or_else(|| {
                    said.push("no time of day was named: it runs at midnight".to_owned());
                    (0, 0)
                });
                format!("{minute} {hour} {fields}")
            }
        };
        if zone.is_none() {
            said.push("no time zone was named: the schedule is in UTC".to_owned());
        }
        Clause::Schedule { cron, zone, said }
    }
}

/// An IANA zone by its name or by its city.
fn zone_named(words: &[&str]) -> Option<String> {
    let joined = words.concat();
    let city = words.join("_");
    if let ["UTC" | "utc" | "GMT" | "gmt"] = words {
        return Some("UTC".to_owned());
    }
    let named = |tz: &&Tz| {
        tz.name().contains('/')
            && (tz.name().eq_ignore_ascii_case(&joined)
                || tz.name().rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city)))
    };
    let mut found: Vec<&str> = TZ_VARIANTS
        .iter()
        .filter(named)
        .map(|tz| tz.name())
        .filter(|n| !n.starts_with("US/") && !n.starts_with("Etc/"))
        .collect();
    found.dedup();
    (found.len() == 1).then(|| found[0].to_owned())
}

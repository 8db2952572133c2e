//! Days on which a schedule does not fire, or fires only, and where a moment goes that falls on one.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, Weekday};
use serde_json::Value;

use crate::{
    codes::tm12,
    diagnostic::Diagnostic,
    read,
    spec::{CronTrigger, Dates, OnExcept},
};

/// Nothing is moved further than this many days.
const FURTHEST: u64 = 366;

/// Which days a schedule fires on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Calendar {
    except: BTreeSet<NaiveDate>,
    only: Option<BTreeSet<NaiveDate>>,
    moves: bool,
}

impl Calendar {
    pub(super) fn of(trigger: &CronTrigger) -> Self {
        let days = |dates: &Dates| dates.list().iter().filter_map(|text| day(text)).collect();
        Self {
            except: trigger.except.as_ref().map(days).unwrap_or_default(),
            only: trigger.only.as_ref().map(days),
            moves: trigger.on_except == OnExcept::NextBusinessDay,
        }
    }

    /// Every day is like every other.
    pub(super) fn is_plain(&self) -> bool {
        self.except.is_empty() && self.only.is_none()
    }

    /// Moments may be moved to later days.
    pub(super) fn moves(&self) -> bool {
        self.moves && !self.except.is_empty()
    }

    /// The day on which a moment of `day` fires, if it does.
    pub(super) fn lands(&self, day: NaiveDate) -> Option<NaiveDate> {
        if self.only.as_ref().is_some_and(|only| !only.contains(&day)) {
            return None;
        }
        if !self.except.contains(&day) {
            return Some(day);
        }
        let later = (1..=FURTHEST).filter_map(|days| day.checked_add_days(Days::new(days)));
        if self.moves { later.into_iter().find(|day| !self.closed(*day)) } else { None }
    }

    /// No business is done on it.
    fn closed(&self, day: NaiveDate) -> bool {
        matches!(day.weekday(), Weekday::Sat | Weekday::Sun) || self.except.contains(&day)
    }

    /// The first day whose moments may have been moved to `day`.
    pub(super) fn reaches_back(&self, day: NaiveDate) -> NaiveDate {
        let mut first = day;
        for _ in 0..FURTHEST {
            match first.pred_opt() {
                Some(before) if self.closed(before) => first = before,
                Some(_) | None => break,
            }
        }
        first
    }

    /// From this day on there are no more.
    pub(super) fn is_over(&self, day: NaiveDate) -> bool {
        self.only.as_ref().is_some_and(|only| only.range(day..).next().is_none())
    }

    /// The first day from `day` on that may have moments of its own; none where `only` has no more.
    pub(super) fn opens(&self, day: NaiveDate) -> Option<NaiveDate> {
        match &self.only {
            Some(only) => only.range(day..).find(|day| !self.except.contains(*day)).copied(),
            None => day.iter_days().find(|day| !self.except.contains(day)),
        }
    }
}

/// A day as it is written: `2026-12-25`.
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)
}

/// Reads a calendar's file: a map with a list `dates`, and a `description` for people.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(text: &str) -> Result<Vec<String>, Vec<Diagnostic>> {
    let (value, places) = read::document(text)?;
    let mut found = Vec::new();
    let mut wrong = |path: &str, message: String| {
        let finding = Diagnostic::error(tm12::BAD_DATES, places.of(path), path, message);
        found.push(finding.help("a calendar is a list of days: `dates: [2026-12-25, 2026-12-26]`"));
    };
    for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
        if !matches!(key.as_str(), "dates" | "description") {
            wrong(key, format!("`{key}` is not known in a calendar"));
        }
    }
    let mut days = Vec::new();
    match value.get("dates").and_then(Value::as_array) {
        None => wrong("dates", "the list `dates` is missing".to_owned()),
        Some(list) => {
            for (index, item) in list.iter().enumerate() {
                match item.as_str().filter(|text| day(text).is_some()) {
                    Some(text) => days.push(text.to_owned()),
                    None => wrong(&format!("dates[{index}]"), format!("{item} is not a day")),
                }
            }
        }
    }
    if found.is_empty() { Ok(days) } else { Err(found) }
}

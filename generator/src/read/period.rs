//! Stretches of calendar time: "in January 2013", "since 2013-03-01", "in the last 7 days".

use chrono::{Days, Months, NaiveDate};

use super::{Read, Reader};
use crate::{
    lexicon::{month, ordinal_word, weekday},
    request::{Clause, ColumnM, Cond, Period, Unit},
    tokens::Shape,
};

/// Verbs that say nothing but that rows have a date.
const HAPPENED: [&str; 18] = [
    "placed",
    "made",
    "created",
    "recorded",
    "taken",
    "dated",
    "built",
    "manufactured",
    "produced",
    "that happened",
    "happening",
    "received",
    "that were placed",
    "that were made",
    "that were built",
    "were placed",
    "were made",
    "were built",
];

impl Reader<'_> {
    /// "in January 2013", "ordered since 2024-03-01", "placed before June".
    pub(super) fn dated(&self, at: usize) -> Read<Clause> {
        let start = self.skip(at, &["that were", "that was", "which were", "who", "that", "were", "was", "only"]);
        let start = self.skip(start, &HAPPENED);
        let (p, column) =
            self.column(start).filter(|(_, c)| self.is_time(c)).map_or((start, None), |(p, c)| (p, Some(c)));
        let (end, period) =
            self.prefixed(p).or_else(|| (start == at && column.is_none()).then(|| self.before_rows(at)).flatten())?;
        Some((end, Clause::Where(Cond::When { column, period, at: at..end })))
    }

    fn is_time(&self, column: &ColumnM) -> bool {
        column.columns.iter().any(|c| self.lexis.catalog.column(*c).kind.is_time())
    }

    /// What is said of a column that holds dates.
    pub(super) fn timed(&self, at: usize, column: &ColumnM) -> Read<Cond> {
        if !self.is_time(column) {
            return None;
        }
        let (end, period) = self.prefixed(at).or_else(|| {
            let (p, op) = self
                .any(at, &[">=", "from"])
                .map(|p| (p, 0))
                .or_else(|| self.any(at, &[">", "later than"]).map(|p| (p, 1)))
                .or_else(|| self.any(at, &["<", "earlier than"]).map(|p| (p, 2)))
                .or_else(|| self.any(at, &["<="]).map(|p| (p, 3)))?;
            let (end, (from, to)) = self.stretch(p)?;
            let period = match op {
                0 => Period::Days(Some(from), None),
                1 => Period::Days(Some(to), None),
                2 => Period::Days(None, Some(from)),
                _ => Period::Days(None, Some(to)),
            };
            Some((end, period))
        })?;
        Some((end, Cond::When { column: Some(column.clone()), period, at: at..end }))
    }

    /// "January 2013 flights".
    fn before_rows(&self, at: usize) -> Read<Period> {
        let (end, period) = self.period(at)?;
        month(self.lower(at)).and_then(|_| self.rows(end)).map(|_| (end, period))
    }

    /// A preposition and a period.
    fn prefixed(&self, at: usize) -> Read<Period> {
        if let Some(found) = self.last_few(at).or_else(|| self.on_weekdays(at)).or_else(|| self.span(at)) {
            return Some(found);
        }
        if let Some(p) = self.any(
            at,
            &[
                "since",
                "starting",
                "starting from",
                "starting on",
                "starting in",
                "from",
                "on or after",
                "as of",
                "beginning",
                "beginning in",
            ],
        ) {
            let open = self.stretch(p).map(|(end, (from, _))| (end, Period::Days(Some(from), None)));
            // "from January" alone is the month; "from January on" is open.
            return match self.any(at, &["from"]) {
                Some(_) => {
                    open.and_then(|(end, period)| self.any(end, &["on", "onwards", "onward"]).map(|e| (e, period)))
                }
                None => open.map(|(end, period)| (self.skip(end, &["onwards", "onward"]), period)),
            };
        }
        if let Some(p) = self.any(at, &["after", "later than"]) {
            return self.stretch(p).map(|(end, (_, to))| (end, Period::Days(Some(to), None)));
        }
        if let Some(p) = self.any(at, &["before", "earlier than", "prior to"]) {
            return self.stretch(p).map(|(end, (from, _))| (end, Period::Days(None, Some(from))));
        }
        if let Some(p) = self.any(at, &["until", "till", "through", "up to", "up to and including", "on or before"]) {
            return self.stretch(p).map(|(end, (_, to))| (end, Period::Days(None, Some(to))));
        }
        let p = self.any(
            at,
            &[
                "in",
                "during",
                "for",
                "of",
                "on",
                "within",
                "throughout",
                "over",
                "is",
                "is in",
                "is on",
                "was in",
                "was on",
                "=",
            ],
        )?;
        self.period(p)
    }

    fn span(&self, at: usize) -> Read<Period> {
        let (p, joints): (usize, &[&str]) = match self.any(at, &["between"]) {
            Some(p) => (p, &["and"]),
            None => (self.any(at, &["from"])?, &["to", "until", "till", "through", "up to"]),
        };
        if let (Some((mid, (from, _))), true) = (self.stretch(p), true)
            && let Some((end, (_, to))) = self.any(mid, joints).and_then(|p| self.stretch(p))
        {
            return Some((end, Period::Days(Some(from), Some(to))));
        }
        // "between March and May 2013", "from March to May".
        let first = month(self.lower(self.the(p)))?;
        let next = self.any(self.the(p) + 1, joints)?;
        if let Some((end, (start, to))) = self.stretch(next) {
            let from = NaiveDate::from_ymd_opt(chrono::Datelike::year(&start), first, 1)?;
            return (from < to).then_some((end, Period::Days(Some(from), Some(to))));
        }
        let last = month(self.lower(next)).filter(|last| *last >= first)?;
        Some((next + 1, Period::Months(first, last)))
    }

    /// "in the last 7 days".
    fn last_few(&self, at: usize) -> Read<Period> {
        let p = self.any(
            at,
            &[
                "in the last",
                "in the past",
                "within the last",
                "over the last",
                "during the last",
                "from the last",
                "of the last",
                "for the last",
                "of the past",
                "from the past",
                "last",
                "past",
                "the last",
                "the past",
                "over the past",
                "within the past",
            ],
        )?;
        let (end, n) = self.count(p)?;
        let unit = self
            .unit_word(end)
            .filter(|u| matches!(u, Unit::Hour | Unit::Day | Unit::Week | Unit::Month | Unit::Year))?;
        Some((end + 1, Period::Last(u32::try_from(n).ok()?, unit)))
    }

    /// The unit that a word is.
    pub(super) fn unit_word(&self, at: usize) -> Option<Unit> {
        Some(match self.token(at)?.stem.as_str() {
            "minute" => Unit::Minute,
            "hour" => Unit::Hour,
            "day" | "date" => Unit::Day,
            "week" => Unit::Week,
            "month" => Unit::Month,
            "quarter" => Unit::Quarter,
            "year" => Unit::Year,
            "weekday" => Unit::Weekday,
            _ => return None,
        })
    }

    /// "on Mondays", "on Saturdays and Sundays".
    fn on_weekdays(&self, at: usize) -> Read<Period> {
        let p = self.any(at, &["on"])?;
        let (end, days) = self
            .list(p, |p| weekday(self.lower(p)).filter(|_| self.lower(p).ends_with("days")).map(|day| (p + 1, day)))?;
        (self.lower(end) != "at").then_some((end, Period::Weekdays(days)))
    }

    /// A period named by itself: a year, a quarter, a month, a day, with or without its year.
    fn period(&self, at: usize) -> Read<Period> {
        if let Some((end, (from, to))) = self.stretch(at) {
            return Some((end, Period::Days(Some(from), Some(to))));
        }
        let at = self.skip(at, &["the", "the month of", "month of", "the month", "month"]);
        if let Some((end, m, d)) = self.day_of_month(at) {
            return Some((end, Period::MonthDay(m, d)));
        }
        if let Some((end, q)) = self.quarter(at) {
            return Some((end, Period::Months(q * 3 - 2, q * 3)));
        }
        month(self.lower(at)).map(|m| (at + 1, Period::Months(m, m)))
    }

    /// A period whose first and last day are known; the last day is the one behind it.
    fn stretch(&self, at: usize) -> Read<(NaiveDate, NaiveDate)> {
        let at = self.skip(
            at,
            &["the", "the year", "year", "the month of", "the month", "month of", "the start of", "the beginning of"],
        );
        match self.token(at)?.shape {
            Shape::Date(day) => return Some((at + 1, (day, day + Days::new(1)))),
            Shape::YearMonth(year, m) => return months(year, m, 1).map(|s| (at + 1, s)),
            Shape::Number(_) | Shape::Word | Shape::Ordinal(_) | Shape::Time(..) | Shape::Quoted | Shape::Sign => {}
        }
        if let Some((end, m, d)) = self.day_of_month(at) {
            let (end, year) = self.year(self.skip(end, &[",", "of", "in"]))?;
            let day = NaiveDate::from_ymd_opt(year, m, d)?;
            return Some((end, (day, day + Days::new(1))));
        }
        if let Some((end, q)) = self.quarter(at) {
            let (end, year) = self.year(self.skip(end, &["of", "in", ","]))?;
            return months(year, q * 3 - 2, 3).map(|s| (end, s));
        }
        if let Some((end, half)) = self
            .any(at, &["first half of"])
            .map(|e| (e, 1))
            .or_else(|| self.any(at, &["second half of"]).map(|e| (e, 7)))
        {
            let (end, year) = self.year(end)?;
            return months(year, half, 6).map(|s| (end, s));
        }
        if let Some(m) = month(self.lower(at)) {
            let (end, year) = self.year(self.skip(at + 1, &[",", "of"]))?;
            return months(year, m, 1).map(|s| (end, s));
        }
        let (end, year) = self.year(at)?;
        months(year, 1, 12).map(|s| (end, s))
    }

    /// A year by its four digits, not the beginning of a count ("2000 miles").
    fn year(&self, at: usize) -> Read<i32> {
        let at = self.skip(at, &["the year", "year"]);
        let Shape::Number(value) = self.token(at)?.shape else { return None };
        let four = self.token(at)?.text.len() == 4 && value.fract() == 0.0 && (1900.0..2100.0).contains(&value);
        let counts = self.amount(at).is_some_and(|(end, _)| end > at + 1);
        (four && !counts).then_some((at + 1, value as i32))
    }

    /// "January 15", "15 January", "the 15th of January".
    fn day_of_month(&self, at: usize) -> Option<(usize, u32, u32)> {
        let at = self.skip(at, &["the"]);
        if let Some(m) = month(self.lower(at)) {
            let (end, day) = self.day_number(self.skip(at + 1, &["the"]))?;
            return Some((end, m, day));
        }
        let (end, day) = self.day_number(at)?;
        let end = self.skip(end, &["of", "day of"]);
        month(self.lower(end)).map(|m| (end + 1, m, day))
    }

    fn day_number(&self, at: usize) -> Read<u32> {
        let day = match self.token(at)?.shape {
            Shape::Ordinal(day) => day,
            Shape::Number(value)
                if value.fract() == 0.0 && self.token(at)?.text.len() <= 2 && (1.0..=31.0).contains(&value) =>
            {
                value as u32
            }
            Shape::Word => ordinal_word(self.lower(at))?,
            Shape::Number(_)
            | Shape::Date(_)
            | Shape::YearMonth(..)
            | Shape::Time(..)
            | Shape::Quoted
            | Shape::Sign => return None,
        };
        (1..=31).contains(&day).then_some((at + 1, day))
    }

    fn quarter(&self, at: usize) -> Read<u32> {
        let at = self.skip(at, &["the"]);
        if let Some(q) = self.lower(at).strip_prefix('q').and_then(|q| q.parse().ok()) {
            return (1..=4).contains(&q).then_some((at + 1, q));
        }
        let end = self.any(at + 1, &["quarter"])?;
        ordinal_word(self.lower(at)).filter(|q| *q <= 4).map(|q| (end, q))
    }
}

fn months(year: i32, month: u32, count: u32) -> Option<(NaiveDate, NaiveDate)> {
    let from = NaiveDate::from_ymd_opt(year, month, 1)?;
    Some((from, from + Months::new(count)))
}

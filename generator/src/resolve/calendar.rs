//! Which columns say when a row happened, and what periods and units of time become on them.

use chrono::{Datelike, Days, NaiveDate};

use super::{Resolved, Resolver, columns::Col};
use crate::{
    answer::{Problem, codes},
    catalog::{ColumnId, Kind},
    lexicon::{month_name, weekday_name},
    query::Output,
    request::{At, ColumnM, Period, Unit},
    words::{parts, stem},
};

/// What says when a row happened.
#[derive(Debug, Clone)]
enum When {
    /// Year, month and day as numbers of their own.
    Parts {
        year: Col,
        month: Col,
        day: Option<Col>,
    },
    Column(Col),
    Year(Col),
}

/// A group by time: its columns, and what to order by when the name alone would not do.
pub(crate) struct Grouped {
    pub(crate) outputs: Vec<Output>,
    pub(crate) order: Option<String>,
}

impl Resolver<'_> {
    fn when(&mut self, column: Option<&ColumnM>, at: &At) -> Resolved<When> {
        if let Some(mention) = column {
            let mut mention = mention.clone();
            let catalog = self.catalog();
            mention.columns.retain(|c| catalog.column(*c).kind.is_time());
            return self.column(&mention).map(When::Column);
        }
        let base = self.base();
        let whole = |name: &str| {
            self.catalog()
                .find(base, name)
                .filter(|c| self.catalog().column(*c).kind == Kind::Integer)
                .map(|id| Col { path: Vec::new(), id })
        };
        if let (Some(year), Some(month)) = (whole("year"), whole("month")) {
            let day = whole("day");
            return Ok(When::Parts { year, month, day });
        }
        let own_year = whole("year");
        let dates = self.dates();
        match (dates.len(), own_year) {
            (0, Some(year)) => Ok(When::Year(year)),
            (0, None) => {
                let base = &self.catalog().table(base).name;
                Err(Problem::new(
                    codes::NO_JOIN,
                    self.words(at),
                    format!("no column of `{base}` says when a row happened"),
                ))
            }
            (1, _) => {
                let col = dates[0].clone();
                self.assume(format!("the time of a row is {}", self.label(&col)));
                Ok(When::Column(col))
            }
            _ => {
                let choices: Vec<String> = dates.iter().map(|c| self.label(c)).collect();
                Err(Problem::new(codes::AMBIGUOUS, self.words(at), "more than one column says when; name one")
                    .choices(choices))
            }
        }
    }

    /// The date columns nearest to the base table; the one named like the table, if there is one.
    fn dates(&self) -> Vec<Col> {
        let mut found: Vec<Col> = Vec::new();
        for table in self.catalog().table_ids() {
            for path in self.ways(table) {
                let times = self.catalog().columns(table).filter(|c| self.catalog().column(*c).kind.is_time());
                found.extend(times.map(|id| Col { path: path.clone(), id }));
            }
        }
        let nearest = found.iter().map(|c| c.path.len()).min().unwrap_or(0);
        found.retain(|c| c.path.len() == nearest);
        let like: Vec<Col> = found.iter().filter(|c| self.named_like_table(c.id)).cloned().collect();
        if like.len() == 1 { like } else { found }
    }

    /// `orders.ordered_at`, `order_date`.
    fn named_like_table(&self, id: ColumnId) -> bool {
        let table = parts(&self.catalog().table(id.table).name).last().map(|p| stem(p)).unwrap_or_default();
        parts(&self.catalog().column(id).name).first().is_some_and(|first| first.starts_with(&table))
    }

    /// A period as a condition.
    pub(crate) fn period(&mut self, column: Option<&ColumnM>, period: &Period, at: &At) -> Resolved<String> {
        let when = self.when(column, at)?;
        let sql = match (&when, period) {
            (_, Period::Days(from, to)) => self.days(&when, *from, *to, at)?,
            (When::Parts { month, .. }, Period::Months(a, b)) => {
                let month = self.sql(month);
                between(&month, *a, *b)
            }
            (When::Column(col), Period::Months(a, b)) => {
                let col = self.sql(col);
                between(&format!("date_part('month', {col})"), *a, *b)
            }
            (When::Parts { month, day: Some(day), .. }, Period::MonthDay(m, d)) => {
                let (month, day) = (self.sql(month), self.sql(day));
                format!("{month} = {m} AND {day} = {d}")
            }
            (When::Column(col), Period::MonthDay(m, d)) => {
                let col = self.sql(col);
                format!("date_part('month', {col}) = {m} AND date_part('day', {col}) = {d}")
            }
            (_, Period::Last(n, unit)) => self.last(&when, *n, *unit, at)?,
            (_, Period::Weekdays(days)) => {
                let date = self.date(&when, at)?;
                let list: Vec<String> = days.iter().map(u32::to_string).collect();
                format!("date_part('dow', {date}) IN ({})", list.join(", "))
            }
            (When::Year(_) | When::Parts { .. }, Period::Months(..) | Period::MonthDay(..)) => {
                return Err(self.too_fine(at));
            }
        };
        if let Period::Months(..) | Period::MonthDay(..) = period {
            self.assume(format!("`{}` means that time of any year", self.words(at)));
        }
        let text = format!("{} ({})", spoken(period), self.when_label(&when));
        self.mean(at, text);
        Ok(sql)
    }

    fn when_label(&self, when: &When) -> String {
        match when {
            When::Parts { year, .. } => format!("year, month and day of {}", self.catalog().table(year.id.table).name),
            When::Column(col) | When::Year(col) => self.label(col),
        }
    }

    fn too_fine(&self, at: &At) -> Problem {
        Problem::new(codes::CONTRADICTION, self.words(at), "only the year of these rows is known, nothing finer")
    }

    fn days(&mut self, when: &When, from: Option<NaiveDate>, to: Option<NaiveDate>, at: &At) -> Resolved<String> {
        match when {
            When::Parts { year, month, day } => {
                if let (Some(from), Some(to)) = (from, to)
                    && let Some(sql) = self.aligned((year, month, day.as_ref()), from, to)
                {
                    return Ok(sql);
                }
                let date = self.date(when, at)?;
                Ok(range(&date, "DATE", from, to))
            }
            When::Column(col) => {
                let kind = self.catalog().column(col.id).kind;
                let sql = self.sql(col);
                Ok(range(&sql, if kind == Kind::Date { "DATE" } else { "TIMESTAMP" }, from, to))
            }
            When::Year(col) => {
                let first = |d: Option<NaiveDate>| d.is_none_or(|d| d.ordinal() == 1);
                if !first(from) || !first(to) {
                    return Err(self.too_fine(at));
                }
                let sql = self.sql(col);
                Ok(match (from, to) {
                    (Some(a), Some(b)) if a.year() + 1 == b.year() => format!("{sql} = {}", a.year()),
                    (Some(a), Some(b)) => format!("{sql} BETWEEN {} AND {}", a.year(), b.year() - 1),
                    (Some(a), None) => format!("{sql} >= {}", a.year()),
                    (None, Some(b)) => format!("{sql} < {}", b.year()),
                    (None, None) => "true".to_owned(),
                })
            }
        }
    }

    /// Whole years, months of one year and single days need no date arithmetic.
    fn aligned(
        &mut self,
        (year, month, day): (&Col, &Col, Option<&Col>),
        from: NaiveDate,
        to: NaiveDate,
    ) -> Option<String> {
        let y = self.sql(year);
        if from.ordinal() == 1 && to.ordinal() == 1 {
            let last = to.year() - 1;
            return Some(if last == from.year() {
                format!("{y} = {last}")
            } else {
                format!("{y} BETWEEN {} AND {last}", from.year())
            });
        }
        let last = to - Days::new(1);
        if from.day() == 1 && to.day() == 1 && last.year() == from.year() {
            let m = self.sql(month);
            return Some(format!("{y} = {} AND {}", from.year(), between(&m, from.month(), last.month())));
        }
        if last == from {
            let (m, d) = (self.sql(month), self.sql(day?));
            return Some(format!("{y} = {} AND {m} = {} AND {d} = {}", from.year(), from.month(), from.day()));
        }
        None
    }

    /// The calendar day of a row.
    fn date(&mut self, when: &When, at: &At) -> Resolved<String> {
        match when {
            When::Parts { year, month, day: Some(day) } => {
                let (y, m, d) = (self.sql(year), self.sql(month), self.sql(day));
                Ok(format!("make_date({y}, {m}, {d})"))
            }
            When::Column(col) => {
                let sql = self.sql(col);
                Ok(if self.catalog().column(col.id).kind == Kind::Date { sql } else { format!("CAST({sql} AS DATE)") })
            }
            When::Parts { .. } | When::Year(_) => Err(self.too_fine(at)),
        }
    }

    fn last(&mut self, when: &When, n: u32, unit: Unit, at: &At) -> Resolved<String> {
        let name = match unit {
            Unit::Hour => "hours",
            Unit::Week => "weeks",
            Unit::Month => "months",
            Unit::Year => "years",
            Unit::Day | Unit::Minute | Unit::Quarter | Unit::Weekday => "days",
        };
        let now = self.now.clone().map_or_else(|| "now()".to_owned(), |now| format!("TIMESTAMP '{now}'"));
        self.assume(format!("`{}` counts back from the moment the run starts", self.words(at)));
        let start = format!("{now} - INTERVAL '{n} {name}'");
        match when {
            When::Column(col) if self.catalog().column(col.id).kind == Kind::Moment => {
                let sql = self.sql(col);
                Ok(format!("{sql} >= {start}"))
            }
            When::Column(_) | When::Parts { .. } | When::Year(_) => {
                if unit == Unit::Hour {
                    return Err(self.too_fine(at));
                }
                let date = self.date(when, at)?;
                Ok(format!("{date} >= CAST({start} AS DATE)"))
            }
        }
    }

    /// A unit of time as something to group by.
    pub(crate) fn unit(&mut self, unit: Unit, column: Option<&ColumnM>, at: &At) -> Resolved<Grouped> {
        let base = self.base();
        if let (None, Unit::Hour | Unit::Minute, Some(id)) = (column, unit, self.catalog().find(base, unit_name(unit)))
        {
            let col = Col { path: Vec::new(), id };
            self.assume(format!(
                "`{}` is the column {} (of the day, not of the calendar)",
                self.words(at),
                self.catalog().label(id)
            ));
            return Ok(self.plain(vec![col], at));
        }
        let when = self.when(column, at)?;
        match when {
            When::Parts { year, month, day } => self.unit_of_parts(unit, (year, month, day), at),
            When::Year(year) if unit == Unit::Year => Ok(self.plain(vec![year], at)),
            When::Year(_) => Err(self.too_fine(at)),
            When::Column(col) => {
                let kind = self.catalog().column(col.id).kind;
                if kind == Kind::Date && matches!(unit, Unit::Hour | Unit::Minute) {
                    return Err(self.too_fine(at));
                }
                let label = self.label(&col);
                self.mean(at, format!("{} of {label}", unit_name(unit)));
                let sql = self.sql(&col);
                Ok(unit_of(&sql, unit, kind))
            }
        }
    }

    fn unit_of_parts(&mut self, unit: Unit, (year, month, day): (Col, Col, Option<Col>), at: &At) -> Resolved<Grouped> {
        let constant = self.catalog().column(year.id).range.is_some_and(|(low, high)| low == high);
        match (unit, &day) {
            (Unit::Year, _) => Ok(self.plain(vec![year], at)),
            (Unit::Month, _) if constant => {
                self.assume("all rows are of one year, so the month alone tells months apart");
                Ok(self.plain(vec![month], at))
            }
            (Unit::Month, _) => Ok(self.plain(vec![year, month], at)),
            (Unit::Day, Some(day)) => Ok(self.plain(vec![year, month, day.clone()], at)),
            (Unit::Quarter, _) => {
                let (y, m) = (self.sql(&year), self.sql(&month));
                self.mean(at, "quarter of the year");
                let quarter = Output { sql: format!("({m} + 2) / 3"), name: "quarter".to_owned() };
                let year = Output { sql: y, name: "year".to_owned() };
                Ok(Grouped { outputs: if constant { vec![quarter] } else { vec![year, quarter] }, order: None })
            }
            (Unit::Week | Unit::Weekday, Some(_)) => {
                let date = self.date(&When::Parts { year, month, day }, at)?;
                self.mean(at, format!("{} of the date", unit_name(unit)));
                Ok(unit_of(&date, unit, Kind::Date))
            }
            (Unit::Day | Unit::Week | Unit::Weekday | Unit::Hour | Unit::Minute, _) => Err(self.too_fine(at)),
        }
    }

    fn plain(&mut self, cols: Vec<Col>, at: &At) -> Grouped {
        let labels: Vec<String> = cols.iter().map(|c| self.label(c)).collect();
        self.mean(at, format!("group by {}", labels.join(", ")));
        let outputs = cols
            .iter()
            .map(|col| Output { sql: self.sql(col), name: self.catalog().column(col.id).name.clone() })
            .collect();
        self.keys.extend(cols);
        Grouped { outputs, order: None }
    }

    /// What the rows are ordered by when it is said to be time.
    pub(crate) fn time_order(&mut self, at: &At) -> Resolved<Vec<String>> {
        let when = self.when(None, at)?;
        Ok(match when {
            When::Parts { year, month, day } => {
                let mut cols = vec![self.sql(&year), self.sql(&month)];
                cols.extend(day.map(|d| self.sql(&d)));
                cols
            }
            When::Column(col) | When::Year(col) => vec![self.sql(&col)],
        })
    }
}

fn unit_of(sql: &str, unit: Unit, kind: Kind) -> Grouped {
    let one = |sql: String| Grouped { outputs: vec![Output { sql, name: unit_name(unit).to_owned() }], order: None };
    match unit {
        Unit::Year => one(format!("CAST(date_part('year', {sql}) AS BIGINT)")),
        Unit::Month | Unit::Quarter | Unit::Week => {
            one(format!("CAST(date_trunc('{}', {sql}) AS DATE)", unit_name(unit)))
        }
        Unit::Day if kind == Kind::Date => one(sql.to_owned()),
        Unit::Day => one(format!("CAST({sql} AS DATE)")),
        Unit::Hour | Unit::Minute => one(format!("date_trunc('{}', {sql})", unit_name(unit))),
        Unit::Weekday => Grouped {
            outputs: vec![Output { sql: format!("to_char({sql}, '%A')"), name: "weekday".to_owned() }],
            order: Some(format!("date_part('dow', {sql})")),
        },
    }
}

pub(crate) fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Minute => "minute",
        Unit::Hour => "hour",
        Unit::Day => "day",
        Unit::Week => "week",
        Unit::Month => "month",
        Unit::Quarter => "quarter",
        Unit::Year => "year",
        Unit::Weekday => "weekday",
    }
}

fn between(sql: &str, a: u32, b: u32) -> String {
    if a == b { format!("{sql} = {a}") } else { format!("{sql} BETWEEN {a} AND {b}") }
}

fn range(sql: &str, kind: &str, from: Option<NaiveDate>, to: Option<NaiveDate>) -> String {
    let text =
        |day: NaiveDate| if kind == "DATE" { format!("DATE '{day}'") } else { format!("TIMESTAMP '{day} 00:00:00'") };
    let low = from.map(|day| format!("{sql} >= {}", text(day)));
    let high = to.map(|day| format!("{sql} < {}", text(day)));
    [low, high].into_iter().flatten().collect::<Vec<_>>().join(" AND ")
}

/// A period for people.
fn spoken(period: &Period) -> String {
    match period {
        Period::Days(Some(from), Some(to)) => format!("from {from} up to, without, {to}"),
        Period::Days(Some(from), None) => format!("from {from} on"),
        Period::Days(None, Some(to)) => format!("before {to}"),
        Period::Days(None, None) => "any time".to_owned(),
        Period::Months(a, b) if a == b => format!("in {}", month_name(*a)),
        Period::Months(a, b) => format!("from {} to {}", month_name(*a), month_name(*b)),
        Period::MonthDay(m, d) => format!("on {} {d}", month_name(*m)),
        Period::Last(n, unit) => format!("in the last {n} {}s", unit_name(*unit)),
        Period::Weekdays(days) => {
            format!("on {}", days.iter().map(|d| weekday_name(*d)).collect::<Vec<_>>().join(", "))
        }
    }
}

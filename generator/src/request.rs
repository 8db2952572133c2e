//! A request after reading and before the tables are chosen: what was said, with the words that said it.

use std::ops::Range;

use chrono::NaiveDate;

use crate::{
    catalog::{ColumnId, TableId},
    link::Seen,
};

/// Tokens of the request.
pub(crate) type At = Range<usize>;

/// Words that name a column, with every column they could mean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnM {
    pub(crate) at: At,
    pub(crate) columns: Vec<ColumnId>,
    /// The key column to follow: "name of the *destination*".
    pub(crate) via: Vec<ColumnId>,
    /// Only the last part of the name was said.
    pub(crate) tail: bool,
    pub(crate) plural: bool,
    /// "names of customers": the table whose rows are meant.
    pub(crate) owner: Option<TableId>,
}

/// Words that name rows: a table's, or those of the entity behind a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noun {
    pub(crate) at: At,
    pub(crate) tables: Vec<TableId>,
    pub(crate) column: Option<ColumnM>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Weekday,
}

/// A value as said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ValueM {
    Number { at: At, value: f64, unit: Option<Measurement> },
    Words { at: At, text: String, seen: Vec<Seen>, whole: bool, quoted: bool },
    Flag { at: At, value: bool },
}

/// What a number counts, when it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measurement {
    Minutes,
    Hours,
    /// A unit that is only right or wrong, never converted.
    Named(&'static str),
}

/// The part that a place or a maker plays: "from JFK" is not "to JFK".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    From,
    To,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    Contains,
    Starts,
    Ends,
}

/// A stretch of calendar time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Period {
    /// From the first day on, up to but without the second.
    Days(Option<NaiveDate>, Option<NaiveDate>),
    /// Months of any year, both included.
    Months(u32, u32),
    /// A day of any year.
    MonthDay(u32, u32),
    /// Before now.
    Last(u32, Unit),
    /// Sunday 0.
    Weekdays(Vec<u32>),
}

/// What must hold for a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cond {
    Compare {
        column: Expr,
        op: Op,
        value: ValueM,
    },
    Between {
        column: Expr,
        low: ValueM,
        high: ValueM,
    },
    Columns {
        left: Expr,
        op: Op,
        right: Expr,
    },
    In {
        column: Option<ColumnM>,
        role: Role,
        values: Vec<ValueM>,
        negated: bool,
    },
    Null {
        column: ColumnM,
        negated: bool,
    },
    Like {
        column: ColumnM,
        pattern: Pattern,
        text: String,
    },
    When {
        column: Option<ColumnM>,
        period: Period,
        at: At,
    },
    Related {
        table: Noun,
        negated: bool,
    },
    All(Vec<Cond>),
    Any(Vec<Cond>),
    Not(Box<Cond>),
    /// Words whose grouping has two readings.
    Unclear {
        at: At,
        why: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arith {
    Add,
    Sub,
    Mul,
    Div,
}

/// A number made of columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Column(ColumnM),
    Number(f64),
    Binary { op: Arith, left: Box<Expr>, right: Box<Expr> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Agg {
    Sum,
    Avg,
    Min,
    Max,
    Median,
    Deviation,
}

/// One number per group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MeasureM {
    pub(crate) at: At,
    pub(crate) what: What,
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// Rows; of this noun if one was said.
    Rows(Option<Noun>),
    /// Different values; whether "different" was said.
    Distinct(Noun, bool),
    Of {
        agg: Agg,
        expr: Expr,
    },
    /// The group's part of all rows; `true`: in percent.
    Share {
        noun: Option<Noun>,
        percent: bool,
    },
    /// The part of the rows for which something holds.
    ShareWhere {
        noun: Option<Noun>,
        percent: bool,
        cond: Box<Cond>,
    },
}

/// What rows are grouped by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Dim {
    Column(ColumnM),
    Noun(Noun, Role),
    /// A way from one place to another: two columns.
    Route(At),
    Unit {
        at: At,
        unit: Unit,
        column: Option<ColumnM>,
    },
}

/// What rows are ordered by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    Measure(Box<MeasureM>),
    Column(Expr),
    /// The one number there is, or the one date there is.
    Obvious,
    Time,
}

/// A check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckM {
    pub(crate) at: At,
    pub(crate) action: Action,
    pub(crate) rule: Rule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Fail,
    Warn,
    Quarantine,
}

/// What must hold for the rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    NotNull(Vec<ColumnM>),
    Unique(Vec<ColumnM>),
    /// Rows for which this holds are wrong.
    Never(Cond),
    /// Every row must fulfil this.
    Always(Cond),
    Rows(Option<u64>, Option<u64>),
    /// Every value is found in this table.
    Known(ColumnM, TableId),
}

/// One clause of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Clause {
    Noun(Noun),
    /// Rows of this kind, named without asking for them: "of flights".
    About(Noun),
    Columns(Vec<ColumnM>),
    Derived {
        expr: Expr,
        name: String,
    },
    Measures(Vec<MeasureM>),
    Dims(Vec<Dim>),
    Where(Cond),
    Having {
        measure: MeasureM,
        op: Op,
        value: f64,
    },
    Top {
        n: u64,
        descending: bool,
        of: Dim,
        by: Key,
    },
    /// "… top 10", behind what is ranked.
    Cut {
        n: u64,
        descending: bool,
    },
    Order {
        key: Key,
        descending: bool,
    },
    Limit(u64),
    Distinct,
    Latest {
        noun: Option<Noun>,
        per: Vec<Dim>,
        latest: bool,
        by: Option<ColumnM>,
    },
    Attach {
        columns: Vec<ColumnM>,
        instead: bool,
    },
    /// What the result, or one column of it, is called.
    Called(String),
    Rename {
        column: ColumnM,
        name: String,
    },
    /// The one measure, or this one.
    RenameMeasure {
        measure: Option<MeasureM>,
        name: String,
    },
    Target {
        table: Option<String>,
        connection: Option<String>,
        append: Option<bool>,
    },
    Schedule {
        cron: String,
        zone: Option<String>,
        said: Vec<String>,
    },
    Checks(Vec<CheckM>),
    Retries {
        times: u32,
        wait: Option<u64>,
    },
    Timeout(u64),
}

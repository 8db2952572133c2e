//! All clauses of a request, sorted by what they do.

use crate::{
    answer::{Problem, codes},
    catalog::{ColumnId, TableId},
    read::Reader,
    request::{At, CheckM, Clause, ColumnM, Cond, Dim, Expr, Key, MeasureM, Noun, Op, What},
};

/// What a "top n" asks for.
#[derive(Debug, Clone)]
pub(crate) struct Best {
    pub(crate) at: At,
    pub(crate) n: u64,
    pub(crate) descending: bool,
    pub(crate) of: Dim,
    pub(crate) by: Key,
}

#[derive(Debug, Clone)]
pub(crate) struct KeepOne {
    pub(crate) at: At,
    pub(crate) noun: Option<Noun>,
    pub(crate) per: Vec<Dim>,
    pub(crate) latest: bool,
    pub(crate) by: Option<ColumnM>,
}

/// The clauses of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) nouns: Vec<Noun>,
    pub(crate) about: Vec<Noun>,
    pub(crate) columns: Vec<ColumnM>,
    pub(crate) derived: Vec<(At, Expr, String)>,
    pub(crate) measures: Vec<MeasureM>,
    pub(crate) dims: Vec<(At, Dim)>,
    pub(crate) conds: Vec<(At, Cond)>,
    pub(crate) having: Vec<(At, MeasureM, Op, f64)>,
    pub(crate) best: Option<Best>,
    pub(crate) order: Vec<(At, Key, bool)>,
    pub(crate) limit: Option<u64>,
    pub(crate) distinct: bool,
    pub(crate) keep: Option<KeepOne>,
    pub(crate) attach: Vec<(At, ColumnM, bool)>,
    pub(crate) called: Option<String>,
    pub(crate) renames: Vec<(ColumnM, String)>,
    pub(crate) measure_names: Vec<(At, Option<MeasureM>, String)>,
    pub(crate) target_table: Option<String>,
    pub(crate) target_connection: Option<String>,
    pub(crate) append: Option<bool>,
    pub(crate) schedules: Vec<(String, Option<String>, Vec<String>)>,
    pub(crate) checks: Vec<CheckM>,
    pub(crate) retries: Option<(u32, Option<u64>)>,
    pub(crate) timeout: Option<u64>,
    /// What pure plumbing words became, for the explanation.
    pub(crate) plain: Vec<(At, String)>,
    pub(crate) problems: Vec<Problem>,
}

impl Draft {
    pub(crate) fn new(reader: &Reader<'_>, clauses: Vec<(At, Clause)>) -> Self {
        let mut draft = Self::default();
        for (at, clause) in clauses {
            draft.add(reader, at, clause);
        }
        draft
    }

    fn add(&mut self, reader: &Reader<'_>, at: At, clause: Clause) {
        match clause {
            Clause::Noun(noun) => self.nouns.push(noun),
            Clause::About(noun) => self.about.push(noun),
            Clause::Columns(columns) => self.columns.extend(columns),
            Clause::Derived { expr, name } => self.derived.push((at, expr, name)),
            Clause::Measures(measures) => self.measures.extend(measures),
            Clause::Dims(dims) => self.dims.extend(dims.into_iter().map(|d| (at.clone(), d))),
            Clause::Where(cond) => self.conds.push((at, cond)),
            Clause::Having { measure, op, value } => self.having.push((at, measure, op, value)),
            Clause::Top { n, descending, of, by } => {
                let best = Best { at: at.clone(), n, descending, of, by };
                once(&mut self.best, best, reader, &at, &mut self.problems);
            }
            Clause::Cut { n, descending } => {
                once(&mut self.limit, n, reader, &at, &mut self.problems);
                self.order.push((at, Key::Obvious, descending));
            }
            Clause::Order { key, descending } => self.order.push((at, key, descending)),
            Clause::Limit(n) => once(&mut self.limit, n, reader, &at, &mut self.problems),
            Clause::Distinct => {
                self.distinct = true;
                self.plain.push((at, "identical rows of the result once".to_owned()));
            }
            Clause::Latest { noun, per, latest, by } => {
                let keep = KeepOne { at: at.clone(), noun, per, latest, by };
                once(&mut self.keep, keep, reader, &at, &mut self.problems);
            }
            Clause::Attach { columns, instead } => {
                self.attach.extend(columns.into_iter().map(|c| (at.clone(), c, instead)))
            }
            other => self.add_plumbing(reader, at, other),
        }
    }

    fn add_plumbing(&mut self, reader: &Reader<'_>, at: At, clause: Clause) {
        match clause {
            Clause::Called(name) => {
                self.plain.push((at.clone(), format!("the result is called {name}")));
                once(&mut self.called, name, reader, &at, &mut self.problems);
            }
            Clause::Rename { column, name } => self.renames.push((column, name)),
            Clause::RenameMeasure { measure, name } => self.measure_names.push((at, measure, name)),
            Clause::Target { table, connection, append } => self.add_target(reader, &at, (table, connection, append)),
            Clause::Schedule { cron, zone, said } => {
                self.plain.push((at, format!("schedule {cron} in {}", zone.as_deref().unwrap_or("UTC"))));
                self.schedules.push((cron, zone, said));
            }
            Clause::Checks(checks) => self.checks.extend(checks),
            Clause::Retries { times, wait } => {
                self.plain.push((at.clone(), format!("a failed task is tried {times} more times")));
                once(&mut self.retries, (times, wait), reader, &at, &mut self.problems);
            }
            Clause::Timeout(seconds) => {
                self.plain.push((at.clone(), format!("a task is stopped after {seconds} seconds")));
                once(&mut self.timeout, seconds, reader, &at, &mut self.problems);
            }
            Clause::Noun(_)
            | Clause::About(_)
            | Clause::Columns(_)
            | Clause::Derived { .. }
            | Clause::Measures(_)
            | Clause::Dims(_)
            | Clause::Where(_)
            | Clause::Having { .. }
            | Clause::Top { .. }
            | Clause::Cut { .. }
            | Clause::Order { .. }
            | Clause::Limit(_)
            | Clause::Distinct
            | Clause::Latest { .. }
            | Clause::Attach { .. } => {}
        }
    }

    fn add_target(
        &mut self,
        reader: &Reader<'_>,
        at: &At,
        (table, connection, append): (Option<String>, Option<String>, Option<bool>),
    ) {
        let place = [connection.as_deref(), table.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(".");
        let mode = if append == Some(true) { "append to" } else { "replace" };
        self.plain
            .push((at.clone(), format!("{mode} {}", if place.is_empty() { "the result's table" } else { &place })));
        for (slot, value) in [(&mut self.target_table, table), (&mut self.target_connection, connection)] {
            if let Some(value) = value {
                once(slot, value, reader, at, &mut self.problems);
            }
        }
        if let Some(append) = append {
            once(&mut self.append, append, reader, at, &mut self.problems);
        }
    }

    /// Every measure, also those only ranked by or compared.
    pub(crate) fn all_measures(&self) -> Vec<&MeasureM> {
        let key = |key: &'_ Key| -> bool { matches!(key, Key::Measure(_)) };
        let mut all: Vec<&MeasureM> = self.measures.iter().chain(self.having.iter().map(|(_, m, ..)| m)).collect();
        let keys = self.best.iter().map(|b| &b.by).chain(self.order.iter().map(|(_, k, _)| k));
        for found in keys.filter(|k| key(k)) {
            if let Key::Measure(measure) = found {
                all.push(measure);
            }
        }
        all
    }

    /// Tables whose rows are counted.
    pub(crate) fn counted(&self) -> Vec<TableId> {
        let noun = |m: &MeasureM| match &m.what {
            What::Rows(Some(noun)) | What::Distinct(noun, _) => noun.tables.clone(),
            What::Share { noun: Some(noun), .. } | What::ShareWhere { noun: Some(noun), .. } => noun.tables.clone(),
            What::Rows(None)
            | What::Of { .. }
            | What::Share { noun: None, .. }
            | What::ShareWhere { noun: None, .. } => Vec::new(),
        };
        sorted(self.all_measures().into_iter().flat_map(noun).collect())
    }

    /// Tables that own a column that is measured.
    pub(crate) fn measured(&self) -> Vec<TableId> {
        let mut columns = Vec::new();
        for measure in self.all_measures() {
            match &measure.what {
                What::Of { expr, .. } => expr_columns(expr, &mut columns),
                What::Distinct(noun, _) => columns.extend(noun.column.iter().flat_map(|c| c.columns.clone())),
                What::Rows(_) | What::Share { .. } | What::ShareWhere { .. } => {}
            }
        }
        sorted(columns.into_iter().map(|c| c.table).collect())
    }
}

/// Every column that an expression can mean.
pub(crate) fn expr_columns(expr: &Expr, columns: &mut Vec<ColumnId>) {
    match expr {
        Expr::Column(mention) => columns.extend(&mention.columns),
        Expr::Number(_) => {}
        Expr::Binary { left, right, .. } => {
            expr_columns(left, columns);
            expr_columns(right, columns);
        }
    }
}

/// Every column that a condition names.
pub(crate) fn cond_columns(cond: &Cond, columns: &mut Vec<ColumnId>) {
    match cond {
        Cond::Compare { column, .. } | Cond::Between { column, .. } => expr_columns(column, columns),
        Cond::Columns { left, right, .. } => {
            expr_columns(left, columns);
            expr_columns(right, columns);
        }
        Cond::In { column: Some(column), .. }
        | Cond::Null { column, .. }
        | Cond::Like { column, .. }
        | Cond::When { column: Some(column), .. } => columns.extend(&column.columns),
        Cond::All(all) | Cond::Any(all) => all.iter().for_each(|c| cond_columns(c, columns)),
        Cond::Not(inner) => cond_columns(inner, columns),
        Cond::In { column: None, .. }
        | Cond::When { column: None, .. }
        | Cond::Related { .. }
        | Cond::Unclear { .. } => {}
    }
}

pub(crate) fn sorted(mut tables: Vec<TableId>) -> Vec<TableId> {
    tables.sort_unstable();
    tables.dedup();
    tables
}

/// Something that can be said once only.
fn once<T: PartialEqSaid>(slot: &mut Option<T>, value: T, reader: &Reader<'_>, at: &At, problems: &mut Vec<Problem>) {
    match slot {
        Some(before) if !before.same(&value) => {
            problems.push(Problem::new(
                codes::CONTRADICTION,
                reader.words(at),
                "this was said before, and differently",
            ));
        }
        _ => *slot = Some(value),
    }
}

/// Whether saying something twice is the same.
trait PartialEqSaid {
    fn same(&self, other: &Self) -> bool;
}

macro_rules! said {
    ($($kind:ty),*) => { $(impl PartialEqSaid for $kind { fn same(&self, other: &Self) -> bool { self == other } })* };
}
said!(u64, bool, String, (u32, Option<u64>));

impl PartialEqSaid for Best {
    fn same(&self, _: &Self) -> bool {
        false
    }
}

impl PartialEqSaid for KeepOne {
    fn same(&self, _: &Self) -> bool {
        false
    }
}

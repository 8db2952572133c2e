//! What must hold for a row: comparisons, lists, missing values, texts.

use super::{Read, Reader};
use crate::request::{Clause, ColumnM, Cond, Expr, Noun, Op, ValueM};

const LEADS: [&str; 34] = [
    "where",
    "with",
    "whose",
    "that",
    "which",
    "who",
    "when",
    "having",
    "for which",
    "in which",
    "such that",
    "only",
    "only where",
    "only those with",
    "only those where",
    "that have",
    "which have",
    "who have",
    "that had",
    "which had",
    "have",
    "has",
    "had",
    "with an",
    "with a",
    "that has",
    "but only",
    "that were",
    "that are",
    "which are",
    "which were",
    "who are",
    "were",
    "are",
];

impl Reader<'_> {
    /// "where origin is JFK", "with no arrival time", "without an email".
    pub(super) fn filter(&self, at: usize) -> Read<Clause> {
        let lead = self.any(at, &LEADS);
        let found = lead.and_then(|start| self.conditions(start)).or_else(|| {
            let (end, cond) = self.conditions(at)?;
            // Without a word that leads in, only forms that cannot be anything else.
            Some((end, cond))
        })?;
        Some((found.0, Clause::Where(found.1)))
    }

    /// Conditions joined by "and" or by "or", not by both.
    pub(super) fn conditions(&self, at: usize) -> Read<Cond> {
        let at0 = self.skip(at, &["either", "both"]);
        let (mut end, first) = self.condition(at0)?;
        let (mut all, mut ands, mut ors) = (vec![first], 0, 0);
        while let Some((next, or)) = self.junction(end) {
            let next = self.skip(next, &LEADS);
            let Some((behind, cond)) = self.condition(next) else { break };
            if self.aggregate_at(next) {
                break;
            }
            (ands, ors) = if or { (ands, ors + 1) } else { (ands + 1, ors) };
            all.push(cond);
            end = behind;
        }
        let cond = match (all.len(), ands, ors) {
            (1, ..) => all.remove(0),
            (_, _, 0) => Cond::All(all),
            (_, 0, _) => Cond::Any(all),
            _ => Cond::Unclear {
                at: at..end,
                why: "`and` and `or` together have more than one reading; ask for one of them at a time",
            },
        };
        Some((end, cond))
    }

    fn junction(&self, at: usize) -> Option<(usize, bool)> {
        if let Some(end) = self.any(at, &["or", ", or", "or else"]) {
            return Some((end, true));
        }
        self.any(at, &["and", ", and", "but", ",", "and also"]).map(|end| (end, false))
    }

    pub(super) fn condition(&self, at: usize) -> Read<Cond> {
        [
            self.absent(at),
            self.present(at),
            self.compared(at),
            self.quantity(at),
            self.signed(at),
            self.punctual(at),
            self.delayed(at),
            self.related(at),
            self.never_did(at),
        ]
        .into_iter()
        .flatten()
        .max_by_key(|(end, _)| *end)
    }

    /// "no arrival time", "missing tail numbers", "without orders".
    fn absent(&self, at: usize) -> Read<Cond> {
        let start = self.any(
            at,
            &[
                "no",
                "a missing",
                "an empty",
                "missing",
                "without a",
                "without an",
                "without any",
                "without",
                "lacking",
                "lack",
                "an unknown",
                "unknown",
                "no known",
                "have no",
                "had no",
                "has no",
                "never had",
                "a null",
                "null",
                "empty",
                "do not have a",
                "do not have an",
                "do not have any",
                "does not have a",
                "did not have a",
                "not have a",
                "not have an",
            ],
        )?;
        let start = self.the(start);
        if let Some((end, table)) = self.rows(start) {
            return Some((end, Cond::Related { table, negated: true }));
        }
        let (end, columns) = self.list(start, |p| self.column(p))?;
        self.nulls(end, columns, false)
    }

    /// "never ordered", "have not placed an order".
    fn never_did(&self, at: usize) -> Read<Cond> {
        let start = self.any(
            at,
            &[
                "have never been",
                "has never been",
                "never been",
                "never",
                "did not",
                "do not",
                "have never",
                "has never",
                "have not",
                "never placed an",
                "never placed any",
                "have not placed an",
                "have not placed any",
                "did not place any",
                "did not place an",
                "not",
            ],
        )?;
        let (end, table) = match self.rows(start) {
            Some(found) if start > at + 2 => found,
            _ => {
                let verb = self.lower(start).strip_suffix("ed").unwrap_or_else(|| self.lower(start));
                let words = crate::tokens::tokenise(verb);
                let (_, tables) = self.lexis.table_at(&words, 0).filter(|(len, _)| *len == words.len())?;
                let ed = self.lower(start).ends_with("ed") || self.lower(at) != "not";
                let end = self.skip(start + 1, &["anything", "yet", "at all"]);
                (end, ed.then_some(Noun { at: start..start + 1, tables, column: None })?)
            }
        };
        Some((end, Cond::Related { table, negated: true }))
    }

    fn nulls(&self, end: usize, columns: Vec<ColumnM>, negated: bool) -> Read<Cond> {
        let mut all: Vec<Cond> = columns.into_iter().map(|column| Cond::Null { column, negated }).collect();
        Some((end, if all.len() == 1 { all.remove(0) } else { Cond::All(all) }))
    }

    /// "a known tail number", "with an email" (the definite article would ask for the column).
    fn present(&self, at: usize) -> Read<Cond> {
        let start =
            self.any(at, &["a known", "known", "a non null", "non null", "non missing", "a valid", "an existing"]);
        let indefinite = at > 0
            && matches!(self.lower(at - 1), "a" | "an")
            && self
                .any(
                    at.saturating_sub(2),
                    &["with a", "with an", "have a", "have an", "has a", "has an", "had a", "had an"],
                )
                .is_some();
        let start = start.or(indefinite.then_some(at))?;
        let (end, column) = self.column(start)?;
        self.nulls(end, vec![column], true)
    }

    /// "that have orders", "with at least one order".
    fn related(&self, at: usize) -> Read<Cond> {
        let back = at.checked_sub(1).map_or("", |p| self.lower(p));
        let start = self
            .any(at, &["at least one", "any", "one or more"])
            .or_else(|| matches!(back, "have" | "had" | "has").then_some(at))?;
        let (end, table) = self.rows(start)?;
        Some((end, Cond::Related { table, negated: false }))
    }

    /// "more than 200 seats", "2 engines": a number of what a numeric column holds.
    fn quantity(&self, at: usize) -> Read<Cond> {
        let (p, op) = self.comparator(at).unwrap_or((at, Op::Eq));
        let (p, value) = self.amount(p)?;
        let (p, op) = if op == Op::Eq { self.bound_behind(p).unwrap_or((p, op)) } else { (p, op) };
        let (end, column) = self.column(self.skip(p, &["of"]))?;
        let number = column.columns.iter().all(|c| self.lexis.catalog.column(*c).kind.is_number());
        let rows = self.rows(p).is_some_and(|(e, _)| e >= end);
        (number && !rows).then_some((end, Cond::Compare { column: Expr::Column(column), op, value }))
    }

    /// "a negative quantity".
    fn signed(&self, at: usize) -> Read<Cond> {
        let (p, op) = self.sign(at)?;
        let (end, column) = self.column(p)?;
        Some((end, compare_zero(Expr::Column(column), op, at)))
    }

    fn sign(&self, at: usize) -> Read<Op> {
        [
            ("negative", Op::Lt),
            ("a negative", Op::Lt),
            ("positive", Op::Gt),
            ("a positive", Op::Gt),
            ("zero", Op::Eq),
            ("a zero", Op::Eq),
            ("non negative", Op::Ge),
            ("a non negative", Op::Ge),
        ]
        .iter()
        .find_map(|(words, op)| self.phrase(at, words).map(|end| (end, *op)))
    }

    pub(super) fn sign_of(&self, at: usize, subject: &Expr) -> Read<Cond> {
        self.sign(at).map(|(end, op)| (end, compare_zero(subject.clone(), op, at)))
    }
}

pub(super) fn compare_zero(column: Expr, op: Op, at: usize) -> Cond {
    Cond::Compare { column, op, value: ValueM::Number { at: at..at + 1, value: 0.0, unit: None } }
}

/// The opposite of what was said. Rows without a value fulfil neither, as in SQL.
pub(super) fn negate(cond: Cond) -> Cond {
    match cond {
        Cond::In { column, role, values, negated } => Cond::In { column, role, values, negated: !negated },
        Cond::Null { column, negated } => Cond::Null { column, negated: !negated },
        Cond::Related { table, negated } => Cond::Related { table, negated: !negated },
        Cond::Not(inner) => *inner,
        other => Cond::Not(Box::new(other)),
    }
}

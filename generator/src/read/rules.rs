//! What rows must be like: the rules behind "make sure".

use super::{Read, Reader, check::GONE, condition::negate};
use crate::request::{Clause, Cond, Op, Rule};

impl Reader<'_> {
    /// What rows must be like.
    pub(super) fn right(&self, at: usize) -> Read<Rule> {
        [self.unique(at), self.always_there(at), self.enough(at), self.none_is(at), self.holds(at), self.known(at)]
            .into_iter()
            .flatten()
            .max_by_key(|(end, _)| *end)
    }

    pub(super) fn unique(&self, at: usize) -> Read<Rule> {
        if let Some(p) = self.any(
            at,
            &[
                "there are no duplicate",
                "no duplicate",
                "there are no duplicates in",
                "there are no duplicates of",
                "no duplicates in",
                "there are no duplicates by",
                "there is no duplicate",
                "no two rows have the same",
                "no two rows share a",
                "no two rows share the same",
            ],
        ) {
            let (end, columns) = self.list(p, |p| self.column(p))?;
            return Some((end, Rule::Unique(columns)));
        }
        let start = self.skip(at, &["every", "each", "all", "the", "the combination of"]);
        let (end, columns) = self.list(start, |p| self.column(p))?;
        let end = self.any(
            end,
            &[
                "is unique",
                "are unique",
                "is always unique",
                "has no duplicates",
                "have no duplicates",
                "never repeats",
                "do not repeat",
                "together are unique",
                "appears only once",
                "does not repeat",
                "appears once",
                "are distinct",
                "must be unique",
                "occurs only once",
            ],
        )?;
        Some((end, Rule::Unique(columns)))
    }

    pub(super) fn always_there(&self, at: usize) -> Read<Rule> {
        if let Some(p) = self.any(at, &["no"]) {
            let (end, columns) = self.columns_or(p)?;
            let end = self.skip(end, &["is", "are", "values are", "value is"]);
            return self.any(end, &GONE).map(|end| (end, Rule::NotNull(columns)));
        }
        if let Some(p) = self
            .any(
                at,
                &[
                    "every row has",
                    "each row has",
                    "all rows have",
                    "every row has a",
                    "every row has an",
                    "all rows have a",
                    "all rows have an",
                ],
            )
            .or_else(|| {
                let p = self.any(at, &["every", "each", "all"])?;
                let (end, _) = self.rows(p)?;
                self.any(end, &["has", "have", "has a", "has an", "have a", "have an"])
            })
        {
            let (end, columns) = self.list(p, |p| self.column(p))?;
            return Some((end, Rule::NotNull(columns)));
        }
        let start = self.skip(at, &["every", "each", "all", "the", "that"]);
        let (end, columns) = self.list(start, |p| self.column(p))?;
        let end = self.any(
            end,
            &[
                "is never missing",
                "are never missing",
                "is not missing",
                "are not missing",
                "is never null",
                "are never null",
                "is not null",
                "are not null",
                "is never empty",
                "is not empty",
                "is always present",
                "is always set",
                "are always set",
                "are set",
                "is set",
                "is present",
                "are present",
                "is always there",
                "are not empty",
                "is filled",
                "are filled",
                "is filled in",
                "is known",
                "are known",
                "is always known",
                "is given",
                "are never empty",
                "are always present",
            ],
        )?;
        Some((end, Rule::NotNull(columns)))
    }

    pub(super) fn enough(&self, at: usize) -> Read<Rule> {
        if let Some(end) = self.any(
            at,
            &[
                "it is not empty",
                "the result is not empty",
                "there are rows",
                "there is at least one row",
                "there is data",
                "the table is not empty",
            ],
        ) {
            return Some((end, Rule::Rows(Some(1), None)));
        }
        let (end, op, n) = self.row_bound(at)?;
        Some((
            end,
            match op {
                Op::Ge => Rule::Rows(Some(n), None),
                Op::Gt => Rule::Rows(Some(n + 1), None),
                Op::Le => Rule::Rows(None, Some(n)),
                Op::Lt => Rule::Rows(None, n.checked_sub(1)),
                Op::Eq => Rule::Rows(Some(n), Some(n)),
                Op::Ne => return None,
            },
        ))
    }

    /// "no quantity is negative".
    pub(super) fn none_is(&self, at: usize) -> Read<Rule> {
        let p = self.any(
            at,
            &[
                "no",
                "no row has",
                "there is no row with",
                "there are no rows with",
                "no row has a",
                "there is no",
                "there are no",
            ],
        )?;
        self.conditions(p).map(|(end, cond)| (end, Rule::Never(cond)))
    }

    pub(super) fn holds(&self, at: usize) -> Read<Rule> {
        let start = self.skip(at, &["every", "each", "all", "the", "that", "any"]);
        let (end, cond) = self.conditions(start)?;
        // "is never negative" was read as its opposite; a rule for all rows keeps it so.
        Some((end, Rule::Always(cond)))
    }

    pub(super) fn known(&self, at: usize) -> Read<Rule> {
        let (p, column) = self.column(self.skip(at, &["every", "each", "all"]))?;
        let p = self.any(
            p,
            &[
                "is in",
                "exists in",
                "is found in",
                "is known in",
                "appears in",
                "are in",
                "exist in",
                "are found in",
                "is one of the",
            ],
        )?;
        let (end, noun) = self.rows(p)?;
        Some((self.skip(end, &["table"]), Rule::Known(column, *noun.tables.first()?)))
    }

    /// What the rows of a share have in common: "… that departed late".
    pub(super) fn share_condition(&self, at: usize) -> Read<Cond> {
        let p = self.any(
            at,
            &[
                "with",
                "where",
                "whose",
                "that have",
                "that had",
                "that",
                "which",
                "which had",
                "having",
                "with a",
                "with an",
                "had",
                "have",
                "has",
                "are",
                "were",
                "was",
                "is",
            ],
        )?;
        let not = self.any(p, &["not"]);
        let (end, cond) = self.condition(not.unwrap_or(p)).or_else(|| {
            let (end, clause) = self.placed(at)?;
            let Clause::Where(cond) = clause else { return None };
            (!matches!(self.lower(at), "in" | "from" | "to" | "at" | "by" | "of" | "on" | "for")).then_some((end, cond))
        })?;
        Some((end, if not.is_some() { negate(cond) } else { cond }))
    }
}

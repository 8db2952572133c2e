//! Checks: "fail if an email is missing", "make sure ids are unique", "set aside rows with a negative total".

use super::{Read, Reader};
use crate::request::{Action, CheckM, Clause, ColumnM, Op, Rule};

const FAIL: [&str; 26] = [
    "fail if",
    "fail when",
    "stop if",
    "stop when",
    "abort if",
    "abort when",
    "error if",
    "raise an error if",
    "break if",
    "fail the run if",
    "fail the pipeline if",
    "it should fail if",
    "fail it if",
    "and fail if",
    "fail loudly if",
    "fail the load if",
    "make it fail if",
    "should fail if",
    "must fail if",
    "do not load if",
    "do not load anything if",
    "do not publish if",
    "do not save if",
    "do not save it if",
    "do not save anything if",
    "stop the run if",
];
const WARN: [&str; 11] = [
    "warn if",
    "warn when",
    "warn me if",
    "warn me when",
    "warn us if",
    "warn about",
    "give a warning if",
    "and warn if",
    "only warn if",
    "just warn if",
    "log a warning if",
];
const ASIDE: [&str; 12] = [
    "set aside",
    "quarantine",
    "put aside",
    "isolate",
    "move aside",
    "set apart",
    "put in quarantine",
    "and set aside",
    "and quarantine",
    "setting aside",
    "quarantining",
    "keep aside",
];
const ENSURE: [&str; 20] = [
    "make sure that",
    "make sure",
    "ensure that",
    "ensure",
    "check that",
    "check",
    "verify that",
    "verify",
    "validate that",
    "validate",
    "assert that",
    "assert",
    "require that",
    "require",
    "expect that",
    "expect",
    "guarantee that",
    "guarantee",
    "be sure that",
    "making sure",
];
const ANY_ROW: [&str; 18] = [
    "any row has",
    "any row with",
    "a row has",
    "there is a row with",
    "there are rows with",
    "any rows have",
    "some row has",
    "there is",
    "there are",
    "any",
    "an",
    "a",
    "the",
    "some",
    "rows with",
    "rows have",
    "any of the",
    "one of the",
];
pub(super) const GONE: [&str; 13] = [
    "missing",
    "null",
    "empty",
    "unknown",
    "blank",
    "absent",
    "not set",
    "not there",
    "not present",
    "not given",
    "is not set",
    "unset",
    "not filled in",
];

impl Reader<'_> {
    /// One check.
    pub(super) fn check(&self, at: usize) -> Read<Clause> {
        let start = self.skip(at, &["and", "then", "also", "but", "and also", "please", "and then"]);
        let (end, action, rules) = self.failing(start).or_else(|| self.aside(start)).or_else(|| self.ensured(start))?;
        let end = self.skip(end, &["or fail", ", or fail", ", otherwise fail", "otherwise fail", ", fail otherwise"]);
        let check = |rule| CheckM { at: start..end, action, rule };
        Some((end, Clause::Checks(rules.into_iter().map(check).collect())))
    }

    /// Rules one after the other: "no email is missing and ids are unique".
    fn rules(&self, at: usize, joints: &[&str], rule: impl Fn(usize) -> Read<Rule>) -> Read<Vec<Rule>> {
        let (mut end, first) = rule(at)?;
        let mut rules = vec![first];
        while let Some((behind, next)) = self.any(end, joints).and_then(|p| rule(self.skip(p, &["that", "if", "when"])))
        {
            rules.push(next);
            end = behind;
        }
        Some((end, rules))
    }

    fn failing(&self, at: usize) -> Option<(usize, Action, Vec<Rule>)> {
        let (p, action) = self
            .any(at, &FAIL)
            .map(|p| (p, Action::Fail))
            .or_else(|| self.any(at, &WARN).map(|p| (p, Action::Warn)))?;
        let (end, rules) = self.rules(p, &["or", ", or", "or if", ", or if", "or when"], |p| self.wrong(p))?;
        Some((end, action, rules))
    }

    fn aside(&self, at: usize) -> Option<(usize, Action, Vec<Rule>)> {
        let p = self.any(at, &ASIDE)?;
        let p = self.skip(p, &["all", "the", "any"]);
        let p = self
            .any(p, &["rows", "records", "those", "ones", "everything"])
            .or_else(|| self.rows(p).map(|(end, _)| end))?;
        let p = self
            .any(
                p,
                &[
                    "with a",
                    "with an",
                    "with",
                    "where the",
                    "where",
                    "that have",
                    "whose",
                    "without",
                    "for which",
                    "which have",
                    "that are",
                    "having",
                    "if",
                    "when",
                    "in which",
                ],
            )
            .map(|end| if self.lower(end - 1) == "without" { end - 1 } else { end })?;
        let (end, rules) = self.rules(p, &["or", ", or", "or with a", "or with an", "or with", "or without"], |p| {
            self.wrong(if self.lower(p.saturating_sub(1)) == "without" { p - 1 } else { p })
        })?;
        Some((end, Action::Quarantine, rules))
    }

    fn ensured(&self, at: usize) -> Option<(usize, Action, Vec<Rule>)> {
        let p = self.any(at, &ENSURE)?;
        let (end, rule) = self.rules(p, &["and", ", and", "and that", ", and that", ","], |p| self.right(p))?;
        match self.any(
            self.skip(end, &[","]),
            &[
                "otherwise warn",
                "or warn",
                "and warn otherwise",
                "and warn if not",
                "warn otherwise",
                "warn if not",
                "else warn",
            ],
        ) {
            Some(end) => Some((end, Action::Warn, rule)),
            None => Some((end, Action::Fail, rule)),
        }
    }

    /// What rows must not be like.
    fn wrong(&self, at: usize) -> Read<Rule> {
        [self.doubled(at), self.gone(at), self.too_few(at), self.never(at), self.stranger(at)]
            .into_iter()
            .flatten()
            .max_by_key(|(end, _)| *end)
    }

    /// "order ids are not unique", "there are duplicate emails", "an email appears twice".
    fn doubled(&self, at: usize) -> Read<Rule> {
        let at = self.skip(at, &["there are any", "there are", "there is a", "any", "we find", "there is any"]);
        if let Some(p) = self.any(
            at,
            &[
                "duplicate",
                "duplicates of",
                "duplicates in",
                "duplicated",
                "repeated",
                "duplicates in the",
                "duplicates by",
                "a duplicate",
            ],
        ) {
            let (end, columns) = self.list(p, |p| self.column(p))?;
            return Some((end, Rule::Unique(columns)));
        }
        let (end, columns) = self.list(self.skip(at, &["the same", "any", "an", "a"]), |p| self.column(p))?;
        let end = self.any(
            end,
            &[
                "is not unique",
                "are not unique",
                "is duplicated",
                "are duplicated",
                "appears twice",
                "appears more than once",
                "occurs twice",
                "occurs more than once",
                "has duplicates",
                "have duplicates",
                "repeats",
                "is repeated",
                "are repeated",
                "is there twice",
                "comes twice",
                "appear twice",
                "appear more than once",
                "has a duplicate",
                "together are not unique",
                "values repeat",
                "is used twice",
                "exists twice",
            ],
        )?;
        Some((end, Rule::Unique(columns)))
    }

    /// "an email is missing", "a row has no carrier", "email or country is null".
    fn gone(&self, at: usize) -> Read<Rule> {
        let start = self.skip(at, &ANY_ROW);
        if let Some(p) = self.any(
            start,
            &[
                "missing",
                "no",
                "without",
                "without an",
                "without a",
                "null",
                "empty",
                "a missing",
                "an empty",
                "with no",
                "with a missing",
                "without any",
            ],
        ) {
            let (end, columns) = self.columns_or(p)?;
            return Some((end, Rule::NotNull(columns)));
        }
        if let Some((q, _)) = self.rows(start)
            && let Some(p) = self.any(
                q,
                &[
                    "has no",
                    "have no",
                    "lacks a",
                    "lacks an",
                    "lacks",
                    "without a",
                    "without an",
                    "without",
                    "has a missing",
                    "has an empty",
                    "is without",
                    "do not have a",
                    "do not have an",
                    "does not have a",
                    "does not have an",
                    "with no",
                    "has a null",
                ],
            )
        {
            let (end, columns) = self.columns_or(p)?;
            return Some((end, Rule::NotNull(columns)));
        }
        let (p, columns) = self.columns_or(start)?;
        let p = self.skip(p, &["is", "are", "was", "were", "value is", "has"]);
        self.any(p, &GONE).map(|end| (end, Rule::NotNull(columns)))
    }

    pub(super) fn columns_or(&self, at: usize) -> Read<Vec<ColumnM>> {
        let (mut end, first) = self.column(at)?;
        let mut columns = vec![first];
        while let Some((behind, column)) = self
            .any(end, &["or", "and", ",", ", or", ", and"])
            .and_then(|p| self.column(self.skip(p, &["any", "an", "a"])))
        {
            columns.push(column);
            end = behind;
        }
        Some((end, columns))
    }

    fn too_few(&self, at: usize) -> Read<Rule> {
        if let Some(end) = self.any(
            at,
            &[
                "there are no rows",
                "it is empty",
                "the result is empty",
                "nothing comes out",
                "no rows come out",
                "the table is empty",
                "there is no data",
                "there are no results",
                "the output is empty",
                "no rows are found",
            ],
        ) {
            return Some((end, Rule::Rows(Some(1), None)));
        }
        let (end, op, n) = self.row_bound(at)?;
        Some((
            end,
            match op {
                Op::Lt => Rule::Rows(Some(n), None),
                Op::Le => Rule::Rows(Some(n + 1), None),
                Op::Gt => Rule::Rows(None, Some(n)),
                Op::Ge => Rule::Rows(None, n.checked_sub(1)),
                Op::Eq | Op::Ne => return None,
            },
        ))
    }

    pub(super) fn row_bound(&self, at: usize) -> Option<(usize, Op, u64)> {
        let p = self.skip(
            at,
            &[
                "there are",
                "we have",
                "it has",
                "the result has",
                "we get",
                "the table has",
                "it returns",
                "the output has",
                "there is",
            ],
        );
        let (p, op) = self.comparator(p)?;
        let (p, n) = self.count(p)?;
        let end = self.any(p, &["rows", "row", "results", "records", "lines"])?;
        Some((self.skip(end, &["in the result", "come out", "are found", "in it"]), op, n))
    }

    fn never(&self, at: usize) -> Read<Rule> {
        let start = self.skip(at, &ANY_ROW);
        let start = self.skip(start, &["row has a", "row has an", "row has", "row's", "value of"]);
        self.conditions(start).map(|(end, cond)| (end, Rule::Never(cond)))
    }

    /// "a carrier is not in airlines".
    fn stranger(&self, at: usize) -> Read<Rule> {
        let (p, column) = self.column(self.skip(at, &ANY_ROW))?;
        let p = self.any(
            p,
            &[
                "is not in",
                "are not in",
                "is not found in",
                "does not exist in",
                "is missing from",
                "is missing in",
                "does not appear in",
                "is unknown in",
                "are missing from",
                "is not one of the",
            ],
        )?;
        let (end, noun) = self.rows(p)?;
        Some((self.skip(end, &["table"]), Rule::Known(column, *noun.tables.first()?)))
    }
}

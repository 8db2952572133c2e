//! A column and what is said of it: operators, ranges, lists, texts, and the values they take.

use super::{Read, Reader, condition::negate};
use crate::{
    catalog::{ColumnId, Kind},
    lexicon::is_keyword,
    link::Seen,
    request::{ColumnM, Cond, Expr, Measurement, Op, Pattern, Role, ValueM},
    tokens::Shape,
};

const COMPARATORS: [(&[&str], Op); 6] = [
    (
        &[
            "at least",
            "no less than",
            "not less than",
            "no fewer than",
            "greater than or equal to",
            ">=",
            "a minimum of",
            "not below",
            "or more than",
        ],
        Op::Ge,
    ),
    (
        &[
            "more than",
            "greater than",
            "over",
            "above",
            "higher than",
            "larger than",
            "longer than",
            "bigger than",
            "exceeding",
            "exceeds",
            "exceed",
            "exceeded",
            "in excess of",
            ">",
            "later than",
            "farther than",
            "further than",
            "beyond",
            "better than",
            "upwards of",
        ],
        Op::Gt,
    ),
    (
        &[
            "at most",
            "no more than",
            "not more than",
            "up to",
            "less than or equal to",
            "<=",
            "a maximum of",
            "not over",
            "not above",
            "no longer than",
            "not exceeding",
        ],
        Op::Le,
    ),
    (
        &[
            "less than",
            "fewer than",
            "under",
            "below",
            "lower than",
            "smaller than",
            "shorter than",
            "<",
            "earlier than",
        ],
        Op::Lt,
    ),
    (&["not equal to", "!=", "<>", "other than", "different from", "not exactly"], Op::Ne),
    (&["=", "==", "equal to", "equals", "exactly", "equal"], Op::Eq),
];

const MISSING: [&str; 16] = [
    "missing",
    "null",
    "empty",
    "unknown",
    "blank",
    "not set",
    "unset",
    "absent",
    "not known",
    "not given",
    "not available",
    "none",
    "undefined",
    "not there",
    "not present",
    "not recorded",
];

const PRESENT: [&str; 9] =
    ["known", "present", "set", "given", "filled", "filled in", "recorded", "not null", "not missing"];

const COPULAS: [&str; 16] = [
    "is",
    "are",
    "was",
    "were",
    "be",
    "has",
    "have",
    "had",
    "of",
    "has been",
    "have been",
    "being",
    "which is",
    "that is",
    "always",
    "is always",
];

impl Reader<'_> {
    /// A column and what is said of it.
    pub(super) fn compared(&self, at: usize) -> Read<Cond> {
        let (end, subject) = self.expr(self.the(at))?;
        let copula = self.any(end, &COPULAS);
        let mut p = copula.unwrap_or(end);
        let before_not = p;
        let not = self.any(p, &["not", "never", "do not", "does not", "did not", "not be"]);
        let column = match &subject {
            Expr::Column(column) => Some(column),
            Expr::Number(_) => return None,
            Expr::Binary { .. } => None,
        };
        if let (Some(column), Some(found)) =
            (column, column.and_then(|c| self.missing(before_not, c, copula.is_some())))
        {
            let _ = column;
            return Some(found);
        }
        p = not.unwrap_or(p);
        let found = self.predicate(p, &subject, copula.is_some() || not.is_some())?;
        Some((found.0, if not.is_some() { negate(found.1) } else { found.1 }))
    }

    pub(super) fn missing(&self, at: usize, column: &ColumnM, copula: bool) -> Read<Cond> {
        let gone = self.any(at, &MISSING);
        let there = self.any(at, &PRESENT).filter(|_| copula);
        match (gone, there) {
            (Some(end), there) if there.is_none_or(|t| t <= end) => {
                Some((end, Cond::Null { column: column.clone(), negated: false }))
            }
            (_, Some(end)) => Some((end, Cond::Null { column: column.clone(), negated: true })),
            _ => None,
        }
    }

    pub(super) fn predicate(&self, at: usize, subject: &Expr, copula: bool) -> Read<Cond> {
        let columns: &[ColumnId] = if let Expr::Column(column) = subject { &column.columns } else { &[] };
        let mut found = vec![self.ordered(at, subject, columns), self.within(at, subject, columns)];
        if let Expr::Column(column) = subject {
            found.push(self.like(at, column));
            found.push(self.one_of(at, column, copula));
            found.push(self.timed(at, column));
            found.push(self.sign_of(at, subject));
        }
        found.into_iter().flatten().max_by_key(|(end, _)| *end)
    }

    /// An operator written out.
    pub(super) fn comparator(&self, at: usize) -> Read<Op> {
        COMPARATORS
            .iter()
            .filter_map(|(words, op)| self.any(at, words).map(|end| (end, *op)))
            .max_by_key(|(end, _)| *end)
    }

    pub(super) fn ordered(&self, at: usize, subject: &Expr, columns: &[ColumnId]) -> Read<Cond> {
        if let Some((p, op)) = self.comparator(at) {
            if let Some((end, value)) = self.value_for(p, columns) {
                return Some((end, Cond::Compare { column: subject.clone(), op, value }));
            }
            let (end, right) = self.expr(self.the(p))?;
            return Some((end, Cond::Columns { left: subject.clone(), op, right }));
        }
        let (end, value) = self.amount(at)?;
        let (end, op) = self.bound_behind(end)?;
        Some((end, Cond::Compare { column: subject.clone(), op, value }))
    }

    /// "60 or more".
    pub(super) fn bound_behind(&self, at: usize) -> Read<Op> {
        self.any(
            at,
            &[
                "or more",
                "or longer",
                "or later",
                "or higher",
                "or above",
                "and more",
                "and above",
                "or over",
                "or greater",
                "+",
                "and up",
            ],
        )
        .map(|end| (end, Op::Ge))
        .or_else(|| {
            self.any(at, &["or less", "or fewer", "or shorter", "or lower", "or below", "or under", "or earlier"])
                .map(|end| (end, Op::Le))
        })
    }

    pub(super) fn within(&self, at: usize, subject: &Expr, columns: &[ColumnId]) -> Read<Cond> {
        let (start, joint) = self
            .any(at, &["between", "in between"])
            .map(|p| (p, "and"))
            .or_else(|| self.any(at, &["from"]).map(|p| (p, "to")))?;
        let (end, low) = self.value_for(start, columns)?;
        let (end, high) = self.value_for(self.phrase(end, joint)?, columns)?;
        let both = matches!((&low, &high), (ValueM::Number { .. }, ValueM::Number { .. }));
        both.then_some((end, Cond::Between { column: subject.clone(), low, high }))
    }

    pub(super) fn like(&self, at: usize, column: &ColumnM) -> Read<Cond> {
        const FORMS: [(&[&str], Pattern); 3] = [
            (
                &[
                    "contains",
                    "contain",
                    "containing",
                    "includes",
                    "including",
                    "contains the word",
                    "containing the word",
                    "contains the text",
                ],
                Pattern::Contains,
            ),
            (
                &[
                    "starts with",
                    "start with",
                    "starting with",
                    "begins with",
                    "beginning with",
                    "begin with",
                    "start",
                    "starts",
                ],
                Pattern::Starts,
            ),
            (&["ends with", "end with", "ending with", "ending in", "ends in"], Pattern::Ends),
        ];
        let (start, pattern) =
            FORMS.iter().find_map(|(words, pattern)| self.any(at, words).map(|end| (end, *pattern)))?;
        let token = self.token(start).filter(|t| matches!(t.shape, Shape::Word | Shape::Quoted | Shape::Number(_)))?;
        Some((start + 1, Cond::Like { column: column.clone(), pattern, text: token.text.clone() }))
    }

    pub(super) fn one_of(&self, at: usize, column: &ColumnM, copula: bool) -> Read<Cond> {
        let list = self.any(at, &["in", "one of", "either", "any of", "among", "in the list", "either of", "="]);
        let start = self.skip(list.unwrap_or(at), &["("]);
        let (end, values) = self.values(start, &column.columns)?;
        let bare = list.is_none() && !copula;
        let known = values.iter().all(|v| {
            matches!(v, ValueM::Words { seen, .. } if !seen.is_empty())
                || matches!(v, ValueM::Number { .. } | ValueM::Flag { .. })
        });
        if bare && (!known || values.len() > 1 && self.any(end.saturating_sub(2), &["or"]).is_none()) {
            return None;
        }
        let end = self.skip(end, &[")"]);
        Some((end, Cond::In { column: Some(column.clone()), role: Role::Any, values, negated: false }))
    }

    /// Values with commas, "or" and "and" between them.
    pub(super) fn values(&self, at: usize, columns: &[ColumnId]) -> Read<Vec<ValueM>> {
        let (mut end, first) = self.value_for(at, columns)?;
        let mut values = vec![first];
        while let Some((behind, value)) =
            self.any(end, &[", or", ", and", ",", "or", "and", "/"]).and_then(|p| self.value_for(p, columns))
        {
            // A number behind "and" that measures something else is no further value.
            if self.columns_follow(behind) {
                break;
            }
            values.push(value);
            end = behind;
        }
        Some((end, values))
    }

    pub(super) fn columns_follow(&self, at: usize) -> bool {
        self.any(at, &COPULAS).is_some() || self.comparator(at).is_some()
    }

    /// A value that one of these columns can have; any value seen when there are none.
    pub(super) fn value_for(&self, at: usize, columns: &[ColumnId]) -> Read<ValueM> {
        if let Some(found) = self.amount(at) {
            return Some(found);
        }
        let at = self.skip(at, &["the value", "the", "value"]);
        let token = self.token(at)?;
        if let Some(value) = match self.lower(at) {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        } {
            let flags = columns.iter().any(|c| self.lexis.catalog.column(*c).kind == Kind::Flag);
            return flags.then_some((at + 1, ValueM::Flag { at: at..at + 1, value }));
        }
        let quoted = token.shape == Shape::Quoted;
        if let Some(found) = self.lexis.values_at(self.tokens, at) {
            let seen: Vec<Seen> = found
                .seen
                .into_iter()
                .filter(|s| columns.is_empty() || columns.contains(&s.column) || self.behind(columns, s))
                .collect();
            if !seen.is_empty() {
                let text = self.words(&(at..at + found.len));
                return Some((
                    at + found.len,
                    ValueM::Words { at: at..at + found.len, text, seen, whole: found.whole, quoted },
                ));
            }
        }
        let like_a_value = token.text.chars().any(|c| c.is_uppercase() || c.is_ascii_digit());
        let open = columns
            .iter()
            .map(|c| self.lexis.catalog.column(*c))
            .any(|c| c.kind == Kind::Text && (!c.complete || like_a_value));
        let free = token.shape == Shape::Word
            && !is_keyword(&token.lower)
            && open
            && self.lexis.columns_at(self.tokens, at).is_none();
        if quoted || free {
            let text = if quoted { token.text.clone() } else { self.words(&(at..at + 1)) };
            return Some((at + 1, ValueM::Words { at: at..at + 1, text, seen: Vec::new(), whole: true, quoted }));
        }
        None
    }

    /// "carrier is Delta": the value belongs to a table behind the key column.
    pub(super) fn behind(&self, columns: &[ColumnId], seen: &Seen) -> bool {
        self.lexis.links.iter().any(|l| columns.contains(&l.from) && l.to.table == seen.column.table)
    }

    /// A number and its unit.
    pub(super) fn amount(&self, at: usize) -> Read<ValueM> {
        let at0 = self.skip(at, &["$", "€", "£"]);
        let (start, value) = match self.any(at0, &["a", "an", "half an", "half a"]) {
            Some(p) if self.measurement(p).is_some() => (p, if self.lower(at0) == "half" { 0.5 } else { 1.0 }),
            _ => self.number(at0)?,
        };
        let unit = self.measurement(start);
        let end = unit.map_or(start, |(end, _)| end);
        Some((end, ValueM::Number { at: at..end, value, unit: unit.map(|(_, u)| u) }))
    }

    pub(super) fn measurement(&self, at: usize) -> Read<Measurement> {
        const NAMED: [(&[&str], &str); 9] = [
            (&["miles", "mile", "mi"], "miles"),
            (&["feet", "ft", "foot"], "feet"),
            (&["degrees", "degree", "degrees fahrenheit", "fahrenheit", "f"], "degrees Fahrenheit"),
            (&["mph", "miles per hour"], "miles per hour"),
            (&["inches", "inch"], "inches"),
            (&["euros", "euro", "eur", "€"], "euros"),
            (&["dollars", "dollar", "usd", "$"], "dollars"),
            (&["percent", "%"], "percent"),
            (&["millibars", "mbar", "hpa"], "millibars"),
        ];
        if let Some(end) = self.any(at, &["minutes", "minute", "min", "mins"]) {
            return Some((end, Measurement::Minutes));
        }
        if let Some(end) = self.any(at, &["hours", "hour", "hrs", "h", "hr"]) {
            return Some((end, Measurement::Hours));
        }
        NAMED
            .iter()
            .filter_map(|(words, name)| self.any(at, words).map(|end| (end, Measurement::Named(name))))
            .max_by_key(|(end, _)| *end)
    }
}

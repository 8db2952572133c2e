//! What must hold for a row: comparisons, lists, missing values, texts.

use super::{Read, Reader};
use crate::{
    catalog::{ColumnId, Kind},
    lexicon::is_keyword,
    link::Seen,
    request::{Clause, ColumnM, Cond, Expr, Measurement, Noun, Op, Pattern, Role, ValueM},
    tokens::Shape,
};

const LEADS: [&str; 34] = [
    "where", "with", "whose", "that", "which", "who", "when", "having", "for which", "in which", "such that", "only", "only where", "only those with",
    "only those where", "that have", "which have", "who have", "that had", "which had", "have", "has", "had", "with an", "with a", "that has",
    "but only", "that were", "that are", "which are", "which were", "who are", "were", "are",
];

const COMPARATORS: [(&[&str], Op); 6] = [
    (&["at least", "no less than", "not less than", "no fewer than", "greater than or equal to", ">=", "a minimum of", "not below", "or more than"], Op::Ge),
    (&["more than", "greater than", "over", "above", "higher than", "larger than", "longer than", "bigger than", "exceeding", "exceeds", "exceed", "exceeded",
       "in excess of", ">", "later than", "farther than", "further than", "beyond", "better than", "upwards of"], Op::Gt),
    (&["at most", "no more than", "not more than", "up to", "less than or equal to", "<=", "a maximum of", "not over", "not above", "no longer than", "not exceeding"], Op::Le),
    (&["less than", "fewer than", "under", "below", "lower than", "smaller than", "shorter than", "<", "earlier than"], Op::Lt),
    (&["not equal to", "!=", "<>", "other than", "different from", "not exactly"], Op::Ne),
    (&["=", "==", "equal to", "equals", "exactly", "equal"], Op::Eq),
];

const MISSING: [&str; 16] = ["missing", "null", "empty", "unknown", "blank", "not set", "unset", "absent", "not known", "not given", "not available", "none",
    "undefined", "not there", "not present", "not recorded"];
const PRESENT: [&str; 11] = ["known", "present", "set", "given", "there", "available", "filled", "filled in", "recorded", "not null", "not missing"];
const COPULAS: [&str; 16] = ["is", "are", "was", "were", "be", "has", "have", "had", "of", "has been", "have been", "being", "which is", "that is", "always", "is always"];

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
            _ => Cond::Unclear { at: at..end, why: "`and` and `or` together have more than one reading; ask for one of them at a time" },
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
        [self.absent(at), self.present(at), self.compared(at), self.quantity(at), self.signed(at), self.punctual(at), self.delayed(at), self.related(at), self.never_did(at)]
            .into_iter()
            .flatten()
            .max_by_key(|(end, _)| *end)
    }

    /// "no arrival time", "missing tail numbers", "without orders".
    fn absent(&self, at: usize) -> Read<Cond> {
        let start = self.any(at, &["no", "a missing", "an empty", "missing", "without a", "without an", "without any", "without", "lacking", "lack", "an unknown", "unknown", "no known",
            "have no", "had no", "has no", "never had", "a null", "null", "empty", "do not have a", "do not have an", "do not have any", "does not have a", "did not have a", "not have a", "not have an"])?;
        let start = self.the(start);
        if let Some((end, table)) = self.rows(start) {
            return Some((end, Cond::Related { table, negated: true }));
        }
        let (end, columns) = self.list(start, |p| self.column(p))?;
        self.nulls(end, columns, false)
    }

    /// "never ordered", "have not placed an order".
    fn never_did(&self, at: usize) -> Read<Cond> {
        let start = self.any(at, &["never", "did not", "do not", "have never", "has never", "have not", "never placed an", "never placed any", "have not placed an", "have not placed any", "did not place any", "did not place an", "not"])?;
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
        let start = self.any(at, &["a known", "known", "a non null", "non null", "non missing", "a valid", "an existing"]);
        let indefinite = at > 0 && matches!(self.lower(at - 1), "a" | "an") && self.any(at.saturating_sub(2), &["with a", "with an", "have a", "have an", "has a", "has an", "had a", "had an"]).is_some();
        let start = start.or(indefinite.then_some(at))?;
        let (end, column) = self.column(start)?;
        self.nulls(end, vec![column], true)
    }

    /// "that have orders", "with at least one order".
    fn related(&self, at: usize) -> Read<Cond> {
        let back = at.checked_sub(1).map_or("", |p| self.lower(p));
        let start = self.any(at, &["at least one", "any", "one or more"]).or_else(|| matches!(back, "have" | "had" | "has").then_some(at))?;
        let (end, table) = self.rows(start)?;
        Some((end, Cond::Related { table, negated: false }))
    }

    /// A column and what is said of it.
    fn compared(&self, at: usize) -> Read<Cond> {
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
        if let (Some(column), Some(found)) = (column, column.and_then(|c| self.missing(before_not, c, copula.is_some()))) {
            let _ = column;
            return Some(found);
        }
        p = not.unwrap_or(p);
        let found = self.predicate(p, &subject, copula.is_some() || not.is_some())?;
        Some((found.0, if not.is_some() { negate(found.1) } else { found.1 }))
    }

    fn missing(&self, at: usize, column: &ColumnM, copula: bool) -> Read<Cond> {
        let gone = self.any(at, &MISSING);
        let there = self.any(at, &PRESENT).filter(|_| copula);
        match (gone, there) {
            (Some(end), there) if there.is_none_or(|t| t <= end) => Some((end, Cond::Null { column: column.clone(), negated: false })),
            (_, Some(end)) => Some((end, Cond::Null { column: column.clone(), negated: true })),
            _ => None,
        }
    }

    fn predicate(&self, at: usize, subject: &Expr, copula: bool) -> Read<Cond> {
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
        COMPARATORS.iter().filter_map(|(words, op)| self.any(at, words).map(|end| (end, *op))).max_by_key(|(end, _)| *end)
    }

    fn ordered(&self, at: usize, subject: &Expr, columns: &[ColumnId]) -> Read<Cond> {
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
    fn bound_behind(&self, at: usize) -> Read<Op> {
        self.any(at, &["or more", "or longer", "or later", "or higher", "or above", "and more", "and above", "or over", "or greater", "+", "and up"])
            .map(|end| (end, Op::Ge))
            .or_else(|| self.any(at, &["or less", "or fewer", "or shorter", "or lower", "or below", "or under", "or earlier"]).map(|end| (end, Op::Le)))
    }

    fn within(&self, at: usize, subject: &Expr, columns: &[ColumnId]) -> Read<Cond> {
        let (start, joint) = self.any(at, &["between", "in between"]).map(|p| (p, "and")).or_else(|| self.any(at, &["from"]).map(|p| (p, "to")))?;
        let (end, low) = self.value_for(start, columns)?;
        let (end, high) = self.value_for(self.phrase(end, joint)?, columns)?;
        let both = matches!((&low, &high), (ValueM::Number { .. }, ValueM::Number { .. }));
        both.then_some((end, Cond::Between { column: subject.clone(), low, high }))
    }

    fn like(&self, at: usize, column: &ColumnM) -> Read<Cond> {
        const FORMS: [(&[&str], Pattern); 3] = [
            (&["contains", "contain", "containing", "includes", "including", "contains the word", "containing the word", "contains the text"], Pattern::Contains),
            (&["starts with", "start with", "starting with", "begins with", "beginning with", "begin with", "start", "starts"], Pattern::Starts),
            (&["ends with", "end with", "ending with", "ending in", "ends in"], Pattern::Ends),
        ];
        let (start, pattern) = FORMS.iter().find_map(|(words, pattern)| self.any(at, words).map(|end| (end, *pattern)))?;
        let token = self.token(start).filter(|t| matches!(t.shape, Shape::Word | Shape::Quoted | Shape::Number(_)))?;
        Some((start + 1, Cond::Like { column: column.clone(), pattern, text: token.text.clone() }))
    }

    fn one_of(&self, at: usize, column: &ColumnM, copula: bool) -> Read<Cond> {
        let list = self.any(at, &["in", "one of", "either", "any of", "among", "in the list", "either of", "="]);
        let start = self.skip(list.unwrap_or(at), &["("]);
        let (end, values) = self.values(start, &column.columns)?;
        let bare = list.is_none() && !copula;
        let known = values.iter().all(|v| matches!(v, ValueM::Words { seen, .. } if !seen.is_empty()) || matches!(v, ValueM::Number { .. } | ValueM::Flag { .. }));
        if bare && (!known || values.len() > 1 && !self.any(end.saturating_sub(2), &["or"]).is_some()) {
            return None;
        }
        let end = self.skip(end, &[")"]);
        Some((end, Cond::In { column: Some(column.clone()), role: Role::Any, values, negated: false }))
    }

    /// Values with commas, "or" and "and" between them.
    pub(super) fn values(&self, at: usize, columns: &[ColumnId]) -> Read<Vec<ValueM>> {
        let (mut end, first) = self.value_for(at, columns)?;
        let mut values = vec![first];
        while let Some((behind, value)) = self.any(end, &[", or", ", and", ",", "or", "and", "/"]).and_then(|p| self.value_for(p, columns)) {
            // A number behind "and" that measures something else is no further value.
            if self.columns_follow(behind) {
                break;
            }
            values.push(value);
            end = behind;
        }
        Some((end, values))
    }

    fn columns_follow(&self, at: usize) -> bool {
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
            let seen: Vec<Seen> = found.seen.into_iter().filter(|s| columns.is_empty() || columns.contains(&s.column) || self.behind(columns, s)).collect();
            if !seen.is_empty() {
                let text = self.words(&(at..at + found.len));
                return Some((at + found.len, ValueM::Words { at: at..at + found.len, text, seen, whole: found.whole, quoted }));
            }
        }
        let like_a_value = token.text.chars().any(|c| c.is_uppercase() || c.is_ascii_digit());
        let open = columns.iter().map(|c| self.lexis.catalog.column(*c)).any(|c| c.kind == Kind::Text && (!c.complete || like_a_value));
        let free = token.shape == Shape::Word && !is_keyword(&token.lower) && open && self.lexis.columns_at(self.tokens, at).is_none();
        if quoted || free {
            let text = if quoted { token.text.clone() } else { self.words(&(at..at + 1)) };
            return Some((at + 1, ValueM::Words { at: at..at + 1, text, seen: Vec::new(), whole: true, quoted }));
        }
        None
    }

    /// "carrier is Delta": the value belongs to a table behind the key column.
    fn behind(&self, columns: &[ColumnId], seen: &Seen) -> bool {
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

    fn measurement(&self, at: usize) -> Read<Measurement> {
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
        NAMED.iter().filter_map(|(words, name)| self.any(at, words).map(|end| (end, Measurement::Named(name)))).max_by_key(|(end, _)| *end)
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
        [("negative", Op::Lt), ("a negative", Op::Lt), ("positive", Op::Gt), ("a positive", Op::Gt), ("zero", Op::Eq), ("a zero", Op::Eq), ("non negative", Op::Ge), ("a non negative", Op::Ge)]
            .iter()
            .find_map(|(words, op)| self.phrase(at, words).map(|end| (end, *op)))
    }

    fn sign_of(&self, at: usize, subject: &Expr) -> Read<Cond> {
        self.sign(at).map(|(end, op)| (end, compare_zero(subject.clone(), op, at)))
    }

    /// "arrived more than 30 minutes late", "departed early", "delayed on departure by an hour".
    fn punctual(&self, at: usize) -> Read<Cond> {
        let what = [("departed", "departure"), ("left", "departure"), ("took off", "departure"), ("leaving", "departure"), ("departing", "departure"),
            ("arrived", "arrival"), ("landed", "arrival"), ("arriving", "arrival"), ("landing", "arrival")];
        let (p, event) = what.iter().find_map(|(verb, event)| self.any(at, &[verb]).map(|end| (end, *event)))?;
        let (p2, op, amount) = self.bounded_amount(p);
        let (end, late) = self.any(p2, &["late"]).map(|e| (e, true)).or_else(|| self.any(p2, &["early", "ahead of schedule"]).map(|e| (e, false)))?;
        let column = self.spelled_out(&format!("{event} delay"), at..end)?;
        Some((end, lateness(column, amount, op, late, at)))
    }

    /// "more than 30 minutes", "30 minutes or more", or nothing of the kind.
    fn bounded_amount(&self, at: usize) -> (usize, Option<Op>, Option<ValueM>) {
        let (p, op) = self.comparator(at).map_or((at, None), |(p, op)| (p, Some(op)));
        let Some((p, value)) = self.amount(p) else { return (at, None, None) };
        let (p, op) = if op.is_none() { self.bound_behind(p).map_or((p, op), |(e, o)| (e, Some(o))) } else { (p, op) };
        (p, op, Some(value))
    }

    /// A column by words that the request only implies.
    fn spelled_out(&self, words: &str, at: crate::request::At) -> Option<Expr> {
        let tokens = crate::tokens::tokenise(words);
        let named = self.lexis.columns_at(&tokens, 0).filter(|n| n.len == tokens.len())?;
        Some(Expr::Column(ColumnM { at, columns: named.columns, via: Vec::new(), tail: named.tail, plural: false, owner: None }))
    }

    /// "delayed by more than 2 hours on arrival"; without the event it is refused where two delays are known.
    fn delayed(&self, at: usize) -> Read<Cond> {
        let event = |p: usize| {
            let departure = self.any(p, &["on departure", "at departure", "in departure", "departing", "when departing"]).map(|e| (e, "departure "));
            departure.or_else(|| self.any(p, &["on arrival", "at arrival", "in arrival", "arriving", "when arriving"]).map(|e| (e, "arrival ")))
        };
        let p = self.any(at, &["delayed", "late"])?;
        let (p, before) = event(p).map_or((p, None), |(e, name)| (e, Some(name)));
        let (p, op, amount) = self.bounded_amount(self.skip(p, &["by", "for"]));
        let (end, event) = if before.is_none() { event(p).map_or((p, None), |(e, name)| (e, Some(name))) } else { (p, before) };
        let column = self.spelled_out(&format!("{}delay", event.unwrap_or("")), at..at + 1)?;
        Some((end, lateness(column, amount, op, true, at)))
    }
}

fn lateness(column: Expr, amount: Option<ValueM>, op: Option<Op>, late: bool, at: usize) -> Cond {
    match (amount, late) {
        (Some(value), true) => Cond::Compare { column, op: op.unwrap_or(Op::Eq), value },
        (Some(ValueM::Number { at, value, unit }), false) => {
            Cond::Compare { column, op: flip(op.unwrap_or(Op::Eq)), value: ValueM::Number { at, value: -value, unit } }
        }
        (Some(ValueM::Words { .. } | ValueM::Flag { .. }) | None, late) => compare_zero(column, if late { Op::Gt } else { Op::Lt }, at),
    }
}

fn compare_zero(column: Expr, op: Op, at: usize) -> Cond {
    Cond::Compare { column, op, value: ValueM::Number { at: at..at + 1, value: 0.0, unit: None } }
}

/// The operator seen from the other side of zero.
fn flip(op: Op) -> Op {
    match op {
        Op::Lt => Op::Gt,
        Op::Le => Op::Ge,
        Op::Gt => Op::Lt,
        Op::Ge => Op::Le,
        Op::Eq | Op::Ne => op,
    }
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

//! Late, early, delayed: what people say instead of naming a delay.

use super::{Read, Reader, condition::compare_zero};
use crate::request::{ColumnM, Cond, Expr, Op, ValueM};

impl Reader<'_> {
    /// "arrived more than 30 minutes late", "departed early", "delayed on departure by an hour".
    pub(super) fn punctual(&self, at: usize) -> Read<Cond> {
        let what = [
            ("departed", "departure"),
            ("left", "departure"),
            ("took off", "departure"),
            ("leaving", "departure"),
            ("departing", "departure"),
            ("arrived", "arrival"),
            ("landed", "arrival"),
            ("arriving", "arrival"),
            ("landing", "arrival"),
        ];
        let (p, event) = what.iter().find_map(|(verb, event)| self.any(at, &[verb]).map(|end| (end, *event)))?;
        let (p2, op, amount) = self.bounded_amount(p);
        let (end, late) = self
            .any(p2, &["late"])
            .map(|e| (e, true))
            .or_else(|| self.any(p2, &["early", "ahead of schedule"]).map(|e| (e, false)))?;
        let column = self.spelled_out(&format!("{event} delay"), at..end)?;
        Some((end, lateness(column, amount, op, late, at)))
    }

    /// "more than 30 minutes", "30 minutes or more", or nothing of the kind.
    pub(super) fn bounded_amount(&self, at: usize) -> (usize, Option<Op>, Option<ValueM>) {
        let (p, op) = self.comparator(at).map_or((at, None), |(p, op)| (p, Some(op)));
        let Some((p, value)) = self.amount(p) else { return (at, None, None) };
        let (p, op) = if op.is_none() { self.bound_behind(p).map_or((p, op), |(e, o)| (e, Some(o))) } else { (p, op) };
        (p, op, Some(value))
    }

    /// A column by words that the request only implies.
    pub(super) fn spelled_out(&self, words: &str, at: crate::request::At) -> Option<Expr> {
        let tokens = crate::tokens::tokenise(words);
        let named = self.lexis.columns_at(&tokens, 0).filter(|n| n.len == tokens.len())?;
        Some(Expr::Column(ColumnM {
            at,
            columns: named.columns,
            via: Vec::new(),
            tail: named.tail,
            plural: false,
            owner: None,
        }))
    }

    /// "delayed by more than 2 hours on arrival"; without the event it is refused where two delays are known.
    pub(super) fn delayed(&self, at: usize) -> Read<Cond> {
        let event = |p: usize| {
            let departure = self
                .any(p, &["on departure", "at departure", "in departure", "departing", "when departing"])
                .map(|e| (e, "departure "));
            departure.or_else(|| {
                self.any(p, &["on arrival", "at arrival", "in arrival", "arriving", "when arriving"])
                    .map(|e| (e, "arrival "))
            })
        };
        let p = self.any(at, &["delayed", "late"])?;
        let (p, before) = event(p).map_or((p, None), |(e, name)| (e, Some(name)));
        let (p, op, amount) = self.bounded_amount(self.skip(p, &["by", "for"]));
        let (end, event) =
            if before.is_none() { event(p).map_or((p, None), |(e, name)| (e, Some(name))) } else { (p, before) };
        let column = self.spelled_out(&format!("{}delay", event.unwrap_or("")), at..at + 1)?;
        Some((end, lateness(column, amount, op, true, at)))
    }
}

pub(super) fn lateness(column: Expr, amount: Option<ValueM>, op: Option<Op>, late: bool, at: usize) -> Cond {
    match (amount, late) {
        (Some(value), true) => Cond::Compare { column, op: op.unwrap_or(Op::Eq), value },
        (Some(ValueM::Number { at, value, unit }), false) => {
            Cond::Compare { column, op: flip(op.unwrap_or(Op::Eq)), value: ValueM::Number { at, value: -value, unit } }
        }
        (Some(ValueM::Words { .. } | ValueM::Flag { .. }) | None, late) => {
            compare_zero(column, if late { Op::Gt } else { Op::Lt }, at)
        }
    }
}

/// The operator seen from the other side of zero.
pub(super) fn flip(op: Op) -> Op {
    match op {
        Op::Lt => Op::Gt,
        Op::Le => Op::Ge,
        Op::Gt => Op::Lt,
        Op::Ge => Op::Le,
        Op::Eq | Op::Ne => op,
    }
}

//! What rows are grouped by, and which groups are kept.

use super::{Read, Reader};
use crate::request::{Clause, Dim, MeasureM, Role, Unit, What};

const PER: [&str; 34] = [
    "per",
    "by",
    "for each",
    "for every",
    "in each",
    "in every",
    "each",
    "grouped by",
    "group by",
    "broken down by",
    "split by",
    "at each",
    "on each",
    "of each",
    "within each",
    "by each",
    "across each",
    "per each",
    "and per",
    "and by",
    "at every",
    "of every",
    "separately for each",
    "divided by group",
    "for all",
    "and grouped by",
    "per individual",
    "then by",
    "then per",
    "summarised by",
    "summarized by",
    "aggregated by",
    "and for each",
    "every",
];
const FROM: [&str; 16] = [
    "fly from each",
    "flying from each",
    "depart from each",
    "flew from each",
    "from each",
    "from every",
    "leaving each",
    "left each",
    "leave each",
    "out of each",
    "departing each",
    "departing from each",
    "departed from each",
    "departed each",
    "leaving from each",
    "left from each",
];
const TO: [&str; 16] = [
    "fly to each",
    "flew to each",
    "go to each",
    "serve each",
    "serving each",
    "flown to each",
    "to each",
    "to every",
    "into each",
    "arriving at each",
    "arrived at each",
    "arriving in each",
    "going to each",
    "landing at each",
    "flying to each",
    "reaching each",
];

impl Reader<'_> {
    /// "per carrier and month", "for each origin", "monthly".
    pub(super) fn dims(&self, at: usize) -> Read<Clause> {
        if let Some((p, role)) =
            self.any(at, &FROM).map(|p| (p, Role::From)).or_else(|| self.any(at, &TO).map(|p| (p, Role::To)))
        {
            let (end, noun) = self.noun(p)?;
            return Some((end, Clause::Dims(vec![Dim::Noun(noun, role)])));
        }
        if let Some(unit) = self.adverb(at) {
            let counted = self.aggregate_at(at + 1) || self.rows(at + 1).is_some();
            return counted.then(|| (at + 1, Clause::Dims(vec![Dim::Unit { at: at..at + 1, unit, column: None }])));
        }
        let lead = self.any(at, &PER)?;
        let bare_every =
            matches!(self.lower(at), "every" | "each") && self.unit_word(at + 1).is_some() && lead == at + 1;
        let start = self.skip(lead, &["distinct", "different", "individual", "single", "unique"]);
        let (end, dims) = self.list(start, |p| self.dim(p))?;
        let each = matches!(self.lower(lead - 1), "each" | "every");
        let end = if each {
            self.skip(
                end,
                &[
                    "operate", "operated", "operates", "flew", "fly", "flies", "made", "make", "makes", "have", "had",
                    "has", "placed", "place", "handled", "served",
                ],
            )
        } else {
            end
        };
        // "orders by customers from Spain" are theirs, not one number for each of them.
        let theirs = |d: &Dim| matches!(d, Dim::Noun(noun, _) if crate::words::plural(self.lower(noun.at.end - 1)));
        if self.lower(at) == "by" && dims.iter().any(theirs) {
            return None;
        }
        // "every day" may be a schedule: that is settled by the words around it, never here.
        (!bare_every).then_some((end, Clause::Dims(dims)))
    }

    /// The unit that an adverb groups by.
    pub(super) fn adverb(&self, at: usize) -> Option<Unit> {
        Some(match self.lower(at) {
            "hourly" => Unit::Hour,
            "daily" => Unit::Day,
            "weekly" => Unit::Week,
            "monthly" => Unit::Month,
            "quarterly" => Unit::Quarter,
            "yearly" | "annual" | "annually" => Unit::Year,
            _ => return None,
        })
    }

    /// One thing to group by.
    pub(super) fn dim(&self, at: usize) -> Read<Dim> {
        let start = self.the(self.skip(at, &["per", "by", "each", "each calendar", "calendar"]));
        if self.aggregate_at(start)
            || self.any(start, &["name it", "call it", "name the", "worst", "number", "count", "save"]).is_some()
        {
            return None;
        }
        if let Some(end) = self.any(start, &["route", "routes", "city pair", "airport pair"]) {
            return Some((end, Dim::Route(start..end)));
        }
        let unit = self.dim_unit(start);
        let noun = self.noun(start).map(|(end, noun)| {
            let end = self.skip(end, &["pair", "pairs", "combination", "combinations", "value", "level"]);
            (
                end,
                match noun.column.clone() {
                    Some(column) => Dim::Column(column),
                    None => Dim::Noun(noun, Role::Any),
                },
            )
        });
        match (unit, noun) {
            (Some(unit), Some(noun)) if noun.0 > unit.0 => Some(noun),
            (Some(unit), _) => Some(unit),
            (None, noun) => noun,
        }
    }

    fn dim_unit(&self, at: usize) -> Read<Dim> {
        if let Some(end) = self.any(at, &["day of the week", "day of week", "weekday", "weekdays", "days of the week"])
        {
            return Some((end, Dim::Unit { at: at..end, unit: Unit::Weekday, column: None }));
        }
        let unit = self.unit_word(at)?;
        // "month of order date"; "date" alone is a column's name more often than a unit.
        if self.lower(at) == "date" && self.noun(at).is_some() {
            return None;
        }
        let of = self
            .any(at + 1, &["of", "of the"])
            .and_then(|p| self.column(p))
            .filter(|(_, c)| c.columns.iter().any(|c| self.lexis.catalog.column(*c).kind.is_time()));
        let (end, column) = of.map_or((at + 1, None), |(end, c)| (end, Some(c)));
        Some((end, Dim::Unit { at: at..end, unit, column }))
    }

    /// "with more than 1000 flights", "with an average departure delay over 10".
    pub(super) fn having(&self, at: usize) -> Read<Clause> {
        let p = self.any(
            at,
            &[
                "with",
                "having",
                "that have",
                "which have",
                "who have",
                "have",
                "had",
                "that had",
                "who had",
                "and",
                "but only those with",
                "only those with",
                "where the",
                "where",
                "whose",
                "that made",
                "who made",
                "who placed",
                "that placed",
                "who have placed",
                "made",
                "placed",
            ],
        )?;
        if let Some((q, op)) = self.comparator(p) {
            let (q, value) = self.number(q)?;
            let (end, noun) = self.rows(q)?;
            let measure = MeasureM { at: q..end, what: What::Rows(Some(noun)), name: None };
            return Some((end, Clause::Having { measure, op, value }));
        }
        let named = self
            .any(self.the(p), &["count", "number", "count of them"])
            .map(|q| (q, MeasureM { at: p..q, what: What::Rows(None), name: None }));
        let (q, measure) = self.measure(p).or(named)?;
        let q = self.skip(q, &["is", "are", "was", "of", "being", "that is"]);
        let (q, op) = self.comparator(q)?;
        let (end, value) = self.amount(q)?;
        let crate::request::ValueM::Number { value, unit, .. } = value else { return None };
        let scaled = match unit {
            Some(crate::request::Measurement::Hours) => value * 60.0,
            Some(crate::request::Measurement::Minutes | crate::request::Measurement::Named(_)) | None => value,
        };
        Some((end, Clause::Having { measure, op, value: scaled }))
    }
}

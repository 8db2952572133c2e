//! Values named without their column: "from JFK", "by United", "shipped orders", "except cancelled ones".

use super::{Read, Reader};
use crate::request::{Clause, Cond, Role, ValueM};

const FROM: [&str; 33] = [
    "from",
    "out of",
    "leaving",
    "leaving from",
    "left",
    "leave",
    "departing",
    "departing from",
    "departed from",
    "originating in",
    "originating from",
    "that left",
    "that departed from",
    "starting from",
    "taking off from",
    "that leave",
    "flying from",
    "flown from",
    "going from",
    "coming from",
    "living in",
    "based in",
    "flew from",
    "that flew from",
    "fly from",
    "that fly from",
    "served from",
    "are served from",
    "depart from",
    "that depart from",
    "operated from",
    "departed",
    "that fly out of",
];
const TO: [&str; 24] = [
    "to",
    "into",
    "arriving at",
    "arriving in",
    "arrived at",
    "landing at",
    "landing in",
    "going to",
    "headed to",
    "headed for",
    "bound for",
    "flying to",
    "flew to",
    "fly to",
    "that flew to",
    "that go to",
    "that went to",
    "with destination",
    "for destination",
    "that arrived at",
    "flown to",
    "heading to",
    "heading for",
    "flying into",
];
const ANY: [&str; 40] = [
    "at",
    "by",
    "of",
    "in",
    "for",
    "on",
    "with",
    "via",
    "made by",
    "built by",
    "manufactured by",
    "operated by",
    "flown by",
    "run by",
    "sold by",
    "produced by",
    "with status",
    "that are",
    "that were",
    "which are",
    "which were",
    "are",
    "were",
    "is",
    "was",
    "who are",
    "that is",
    "that was",
    "got",
    "got to",
    "belonging to",
    "sold in",
    "placed in",
    "from carrier",
    "from airline",
    "in category",
    "in the category",
    "from the",
    "in the",
    "of the",
];

impl Reader<'_> {
    /// A preposition or verb and the values that it leads to.
    pub(super) fn placed(&self, at: usize) -> Read<Clause> {
        let found = [(FROM.as_slice(), Role::From), (TO.as_slice(), Role::To), (ANY.as_slice(), Role::Any)];
        found
            .iter()
            .filter_map(|(words, role)| {
                let p = self.any(at, words)?;
                let not = self.any(p, &["not"]);
                let p = self.skip(
                    not.unwrap_or(p),
                    &["either", "the", "both", "carrier", "airline", "airport", "category", "country", "status"],
                );
                let (end, values) = self.seen_values(p)?;
                let end = self.trailing(end, &values);
                let cond = Cond::In { column: None, role: *role, values, negated: not.is_some() };
                Some((end, Clause::Where(cond)))
            })
            .max_by_key(|(end, _)| *end)
    }

    /// "JFK airport", "the Books category": the noun only says what the value is.
    fn trailing(&self, at: usize, values: &[ValueM]) -> usize {
        let Some((end, noun)) = self.noun(at) else { return at };
        let fits = values.iter().all(|value| match value {
            ValueM::Words { seen, .. } => seen.iter().any(|s| {
                let linked = |t| self.lexis.links.iter().any(|l| l.from == s.column && l.to.table == t);
                let named = noun.column.as_ref().is_some_and(|c| c.columns.contains(&s.column));
                named || noun.tables.iter().any(|t| linked(*t))
            }),
            ValueM::Number { .. } | ValueM::Flag { .. } => false,
        });
        if fits { end } else { at }
    }

    /// Values that were all seen somewhere.
    fn seen_values(&self, at: usize) -> Read<Vec<ValueM>> {
        let (end, values) = self.values(at, &[])?;
        values.iter().all(|v| matches!(v, ValueM::Words { seen, .. } if !seen.is_empty())).then_some((end, values))
    }

    /// "United flights", "shipped or paid orders".
    pub(super) fn adjective(&self, at: usize) -> Read<Clause> {
        let not = self.any(at, &["non", "not"]);
        let (end, values) = self.seen_values(self.the(not.unwrap_or(at)))?;
        let noun = self.noun(end).is_some() || self.measurement_noun(end);
        noun.then_some((end, Clause::Where(Cond::In { column: None, role: Role::Any, values, negated: not.is_some() })))
    }

    fn measurement_noun(&self, at: usize) -> bool {
        self.any(at, &["ones"]).is_some()
    }

    /// "except JFK", "excluding cancelled orders".
    pub(super) fn listed(&self, at: usize) -> Read<Clause> {
        let p = self.any(
            at,
            &[
                "except",
                "except for",
                "excluding",
                "other than",
                "not including",
                "ignoring",
                "leaving out",
                "without",
                "but not",
                "exclude",
                "leave out",
                "not",
            ],
        )?;
        let p = self.skip(p, &["those from", "those to", "those", "ones", "the", "any", "from", "to", "of", "at"]);
        let role = match self.lower(p.saturating_sub(1)) {
            "from" => Role::From,
            "to" => Role::To,
            _ => Role::Any,
        };
        let (end, values) = self.seen_values(p)?;
        let end = self.rows(end).map_or(end, |(behind, _)| behind);
        let end = self.skip(end, &["ones"]);
        Some((end, Clause::Where(Cond::In { column: None, role, values, negated: true })))
    }
}

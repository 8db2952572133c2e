//! Order, and the first few of something.

use super::{Read, Reader};
use crate::request::{Clause, Dim, Key, MeasureM, Noun, What};

const HIGH: [&str; 12] = [
    "most", "highest", "largest", "biggest", "greatest", "longest", "maximum", "top", "worst", "busiest", "max", "best",
];
const LOW: [&str; 8] = ["fewest", "least", "lowest", "smallest", "shortest", "minimum", "min", "quietest"];
const LATE: [&str; 5] = ["latest", "newest", "most recent", "youngest", "last"];
const EARLY: [&str; 3] = ["earliest", "oldest", "first"];
const BEHIND: [&str; 13] = [
    "with",
    "having",
    "that have",
    "which have",
    "that has",
    "who have",
    "with the",
    "have",
    "has",
    "had",
    "that had",
    "which had",
    "who had",
];

impl Reader<'_> {
    /// High first or low first.
    fn degree(&self, at: usize) -> Read<bool> {
        self.any(at, &HIGH).map(|end| (end, true)).or_else(|| self.any(at, &LOW).map(|end| (end, false)))
    }

    pub(super) fn age(&self, at: usize) -> Read<bool> {
        self.any(at, &LATE).map(|end| (end, true)).or_else(|| self.any(at, &EARLY).map(|end| (end, false)))
    }

    /// "top 10 carriers by number of flights", "the 5 busiest origins", "3 longest flights by distance".
    pub(super) fn top(&self, at: usize) -> Read<Clause> {
        let start = self.the(self.skip(at, &["only", "show", "list", "find", "get"]));
        self.top_n(start).or_else(|| self.n_best(start)).or_else(|| self.n_with(start)).or_else(|| self.cut(start))
    }

    fn top_n(&self, at: usize) -> Read<Clause> {
        let (p, descending) =
            self.any(at, &["top"]).map(|p| (p, true)).or_else(|| self.any(at, &["bottom"]).map(|p| (p, false)))?;
        let (p, n) = self.count(p)?;
        let (end, of) = self.dim(self.skip(p, &["of the", "of"]))?;
        let (end, by) = self.ranked_by(end)?;
        Some((end, Clause::Top { n, descending, of, by }))
    }

    /// "5 busiest origins", "10 longest flights by distance", "3 most recent orders".
    fn n_best(&self, at: usize) -> Read<Clause> {
        let at = self.skip(at, &["top"]);
        let counted = self.count(at);
        let (p, n) = counted.unwrap_or((at, 1));
        if let Some((q, latest)) = self.age(p) {
            let (q, n) = if counted.is_none() { self.count(q)? } else { (q, n) };
            let (end, of) = self.dim(q)?;
            let by = self.any(end, &["by"]).and_then(|b| self.expr(b));
            let per = self
                .any(by.as_ref().map_or(end, |(e, _)| *e), &["per", "for each", "of each", "for every", "of every"])
                .is_some();
            if per {
                return None;
            }
            let (end, by) = by.map_or((end, Key::Time), |(e, x)| (e, Key::Column(x)));
            return Some((end, Clause::Top { n, descending: latest, of, by }));
        }
        let common = self.any(p, &["most common", "most frequent", "most frequently seen"]).map(|q| (q, true));
        let priced = self.any(p, &["most expensive"]).map(|q| (q, true));
        let priced = priced.or_else(|| self.any(p, &["cheapest", "least expensive"]).map(|q| (q, false)));
        let (q, descending) = priced.or(common).or_else(|| self.degree(p))?;
        let word = self.lower(q - 1).to_owned();
        let (q, n) = if counted.is_none() { self.count(q).unwrap_or((q, 1)) } else { (q, n) };
        let named = counted.is_some() || q > p + 1;
        let (end, of) = self.dim(q)?;
        // "the busiest origin" is one; "the busiest origins" does not say how many.
        let plural = crate::words::plural(self.lower(end - 1));
        if !named && plural {
            return None;
        }
        let busy = common.is_some() || word == "busiest" || word == "quietest";
        if priced.is_some() {
            let by = Key::Column(self.spelled_out("price", at..end)?);
            return Some((end, Clause::Top { n, descending, of, by }));
        }
        let by = self.ranked_by(end).or_else(|| busy.then(|| (end, Key::Measure(Box::new(self.all_rows(end))))))?;
        Some((by.0, Clause::Top { n, descending, of, by: by.1 }))
    }

    /// "the 5 carriers with the highest average arrival delay", "the month with the most flights".
    fn n_with(&self, at: usize) -> Read<Clause> {
        let counted = self.count(at);
        let (p, n) = counted.unwrap_or((at, 1));
        let (end, of) = self.dim(p)?;
        if counted.is_none() && crate::words::plural(self.lower(end - 1)) {
            return None;
        }
        let q = self.the(self.any(end, &BEHIND)?);
        let (q, descending) = self.degree(q)?;
        let word = self.lower(q - 1).to_owned();
        let (end, by) = self.ranking(q)?;
        (word != "best" && (word != "worst" || self.about_delay(q, end)))
            .then_some((end, Clause::Top { n, descending, of, by }))
    }

    /// Only of delays it is clear which end is the worst.
    fn about_delay(&self, from: usize, to: usize) -> bool {
        (from..to).any(|p| self.tokens[p].stem.contains("delay") || self.tokens[p].lower.contains("late"))
    }

    /// "which carrier had the most flights", "which 3 airports had the highest average delay".
    pub(super) fn which_most(&self, at: usize) -> Read<Clause> {
        let start = self.any(
            at,
            &[
                "which",
                "what",
                "who",
                "at which",
                "in which",
                "on which",
                "from which",
                "what are the",
                "which are the",
                "what is the",
                "which is the",
                "which of the",
            ],
        )?;
        self.n_with(start).or_else(|| self.n_best(start)).or_else(|| self.top_n(start))
    }

    fn cut(&self, at: usize) -> Read<Clause> {
        let (p, descending) =
            self.any(at, &["top"]).map(|p| (p, true)).or_else(|| self.any(at, &["bottom"]).map(|p| (p, false)))?;
        let (end, n) = self.count(p)?;
        Some((self.skip(end, &["only", "rows", "results"]), Clause::Cut { n, descending }))
    }

    fn ranked_by(&self, at: usize) -> Read<Key> {
        let p = self
            .any(at, &["by", "in terms of", "based on", "ranked by", "sorted by", "measured by", "according to", "on"]);
        if let Some(p) = p {
            return self.ranking(p);
        }
        let q = self.the(self.any(at, &BEHIND)?);
        let (q, _) = self.degree(q)?;
        self.ranking(q)
    }

    /// What is ranked by: a measure, the rows of a table, a column.
    fn ranking(&self, at: usize) -> Read<Key> {
        let at = self.the(at);
        let measure = self.measure(at).map(|(end, m)| (end, Key::Measure(Box::new(m))));
        let rows = self.rows(at).map(|(end, noun)| (end, Key::Measure(Box::new(self.rows_of(noun)))));
        let expr = self.expr(at).map(|(end, x)| (end, Key::Column(x)));
        let mut best: Read<Key> = None;
        for found in [measure, rows, expr].into_iter().flatten() {
            if best.as_ref().is_none_or(|(end, _)| found.0 > *end) {
                best = Some(found);
            }
        }
        best
    }

    fn rows_of(&self, noun: Noun) -> MeasureM {
        MeasureM { at: noun.at.clone(), what: What::Rows(Some(noun)), name: None }
    }

    fn all_rows(&self, at: usize) -> MeasureM {
        MeasureM { at: at..at, what: What::Rows(None), name: None }
    }

    /// "sorted by distance descending", "worst first", "in descending order of flights".
    pub(super) fn order(&self, at: usize) -> Read<Clause> {
        self.sorted(at).or_else(|| self.first(at)).or_else(|| self.in_order(at))
    }

    fn sorted(&self, at: usize) -> Read<Clause> {
        let p = self.any(
            at,
            &[
                "sorted by",
                "ordered by",
                "order by",
                "sort by",
                "ranked by",
                "sort it by",
                "sort them by",
                "order them by",
                "order it by",
                "sorted on",
                "sort the result by",
                "arranged by",
                "rank by",
                "rank them by",
                "ordered from",
                "sorted from",
                "sorted",
                "sort",
                "in order of",
                "order the result by",
                "and sort by",
                "sort the results by",
                "ordered",
            ],
        )?;
        if let Some((end, descending)) = self.direction(p) {
            // "sorted alphabetically by name".
            let key = self.any(end, &["by", "on"]).and_then(|by| self.sort_key(by));
            let (end, key) = key.unwrap_or((end, Key::Obvious));
            return Some((end, Clause::Order { key, descending }));
        }
        let (p, lead) = self
            .any(p, &["descending", "desc"])
            .map(|e| (e, Some(true)))
            .or_else(|| self.any(p, &["ascending", "asc"]).map(|e| (e, Some(false))))
            .unwrap_or((p, None));
        let (end, key) = self.sort_key(p)?;
        let (end, descending) = self.direction(end).unwrap_or((end, false));
        let most = matches!(self.lower(p), "most") || lead == Some(true);
        Some((end, Clause::Order { key, descending: descending || most }))
    }

    fn sort_key(&self, at: usize) -> Read<Key> {
        let at = self.the(at);
        if let Some(end) = self.any(at, &["count", "number", "it", "that", "the count", "this number"])
            && self.measure(at).is_none()
        {
            return Some((end, Key::Obvious));
        }
        if let Some(end) = self.any(at, &["date", "time"]).filter(|_| self.expr(at).is_none()) {
            return Some((end, Key::Time));
        }
        self.ranking(at)
    }

    fn direction(&self, at: usize) -> Read<bool> {
        let at = self.skip(at, &[",", "in", "from", "and", "with the", "with"]);
        let down = [
            "descending",
            "desc",
            "descending order",
            "highest to lowest",
            "highest first",
            "largest first",
            "high to low",
            "latest first",
            "newest first",
            "decreasing",
            "most first",
            "worst first",
            "biggest first",
            "longest first",
            "largest to smallest",
            "most to least",
            "the highest first",
            "most recent first",
            "decreasing order",
            "busiest first",
            "( descending )",
            "the largest first",
            "worst to best",
            "greatest first",
            "newest to oldest",
            "the worst first",
            "most to fewest",
            "best first",
            "the most first",
            "highest at the top",
        ];
        let up = [
            "ascending",
            "asc",
            "ascending order",
            "lowest to highest",
            "lowest first",
            "smallest first",
            "low to high",
            "earliest first",
            "oldest first",
            "increasing",
            "alphabetically",
            "least first",
            "fewest first",
            "shortest first",
            "smallest to largest",
            "the lowest first",
            "increasing order",
            "alphabetical order",
            "a to z",
            "the smallest first",
            "oldest to newest",
            "chronologically",
            "chronological order",
            "earliest to latest",
        ];
        let worst = self.any(at, &["best first", "worst to best"]).is_none();
        self.any(at, &down)
            .filter(|_| worst)
            .map(|end| (end, true))
            .or_else(|| self.any(at, &up).map(|end| (end, false)))
    }

    /// "worst first", "the most flights first", "from highest to lowest".
    fn first(&self, at: usize) -> Read<Clause> {
        let p = self.skip(at, &[",", "with", "starting with", "and", "put"]);
        let p = self.the(p);
        if let Some((end, descending)) = self.direction(p) {
            let oldest = self.any(
                p,
                &[
                    "latest first",
                    "newest first",
                    "most recent first",
                    "newest to oldest",
                    "earliest first",
                    "oldest first",
                    "oldest to newest",
                    "chronologically",
                    "in chronological order",
                    "earliest to latest",
                ],
            );
            let key = if oldest.is_some() { Key::Time } else { Key::Obvious };
            let alphabetical =
                matches!(self.lower(end - 1), "alphabetically") || self.any(p, &["in alphabetical order"]).is_some();
            if alphabetical {
                return None;
            }
            return Some((end, Clause::Order { key, descending }));
        }
        let (q, descending) = self.degree(p)?;
        let word = self.lower(q - 1).to_owned();
        let (end, key) = self.ranking(q)?;
        let end = self.any(end, &["first", "at the top", "on top"])?;
        (word != "best" && word != "worst").then_some((end, Clause::Order { key, descending }))
    }

    fn in_order(&self, at: usize) -> Read<Clause> {
        let (p, descending) = self
            .any(
                at,
                &[
                    "in descending order of",
                    "by descending",
                    "in descending order by",
                    "descending by",
                    "in decreasing order of",
                    "in reverse order of",
                    "by decreasing",
                ],
            )
            .map(|p| (p, true))
            .or_else(|| {
                self.any(
                    at,
                    &[
                        "in ascending order of",
                        "by ascending",
                        "in ascending order by",
                        "ascending by",
                        "in increasing order of",
                        "by increasing",
                    ],
                )
                .map(|p| (p, false))
            })?;
        let (end, key) = self.sort_key(p)?;
        Some((end, Clause::Order { key, descending }))
    }

    /// "only the first 100 rows", "limit 20".
    pub(super) fn limit(&self, at: usize) -> Read<Clause> {
        if let Some(p) = self.any(
            at,
            &[
                "limit",
                "limit to",
                "limited to",
                "limit it to",
                "limit the result to",
                "at most",
                "no more than",
                "up to",
                "limit to the first",
            ],
        ) {
            let (end, n) = self.count(p)?;
            let rows = self.any(end, &["rows", "results", "records", "row"]);
            let said = self.lower(at).starts_with("limit");
            return rows.or(said.then_some(end)).map(|end| (end, Clause::Limit(n)));
        }
        let p = self.any(at, &["only the first", "just the first", "the first", "first", "only"])?;
        let (end, n) = self.count(p)?;
        self.any(end, &["rows", "results", "records", "of them", "lines"]).map(|end| (end, Clause::Limit(n)))
    }
}

/// Whether a group is rows of a table, not a column.
pub(crate) fn is_rows(dim: &Dim) -> Option<&Noun> {
    match dim {
        Dim::Noun(noun, _) => Some(noun),
        Dim::Column(_) | Dim::Route(_) | Dim::Unit { .. } => None,
    }
}

//! Numbers per group: counts, sums, averages and the like.

use super::{Read, Reader};
use crate::request::{Agg, Clause, ColumnM, Expr, MeasureM, Noun, What};

const AGGREGATES: [(&[&str], Agg); 6] = [
    (&["average", "avg", "mean"], Agg::Avg),
    (&["total", "sum of", "sum", "combined", "total sum of", "overall"], Agg::Sum),
    (&["minimum", "min", "lowest", "smallest", "earliest", "shortest"], Agg::Min),
    (&["maximum", "max", "highest", "largest", "biggest", "greatest", "latest", "longest"], Agg::Max),
    (&["median"], Agg::Median),
    (&["standard deviation of", "standard deviation in", "standard deviation", "stddev", "stddev of"], Agg::Deviation),
];

impl Reader<'_> {
    /// One or several measures.
    pub(super) fn measures(&self, at: usize) -> Read<Clause> {
        let leads =
            ["with", "and", "show", "including", "together with", "along with", "plus", "compute", "as well as"];
        let start = self.skip(at, &leads);
        // "flights with the longest air time" asks for rows, not for one number.
        let superlative = AGGREGATES[2..4].iter().any(|(words, _)| self.any(self.the(start), words).is_some());
        if self.lower(at) == "with" && superlative {
            return None;
        }
        let (end, lists) = self.list(start, |p| self.measure_group(p))?;
        Some((end, Clause::Measures(lists.concat())))
    }

    /// Whether a measure begins here: such words end a list of columns or groups.
    pub(super) fn aggregate_at(&self, at: usize) -> bool {
        self.measure_group(at).is_some()
    }

    /// "average and maximum departure delay", "number of flights".
    pub(super) fn measure_group(&self, at: usize) -> Read<Vec<MeasureM>> {
        let start = self.the(at);
        let (end, mut measures) = self
            .share(start)
            .map(|(end, what)| (end, vec![MeasureM { at: start..end, what, name: None }]))
            .or_else(|| self.counted_all(start))
            .or_else(|| self.aggregated(start))?;
        let (end, name) = self.named_as(end);
        if let ([only], Some(name)) = (measures.as_mut_slice(), name) {
            only.name = Some(name);
            return Some((end, measures));
        }
        Some((end, measures))
    }

    /// A single measure without a name of its own.
    pub(super) fn measure(&self, at: usize) -> Read<MeasureM> {
        let (end, mut measures) = self.measure_group(at)?;
        (measures.len() == 1).then(|| (end, measures.remove(0)))
    }

    /// "as n", "called total_delay".
    fn named_as(&self, at: usize) -> (usize, Option<String>) {
        let found = self.any(at, &["as", "called", "named"]).and_then(|p| {
            let p = self.skip(p, &["column"]);
            self.new_name(p).filter(|(end, _)| !self.names_target(*end) && !self.save_verb_before(at))
        });
        found.map_or((at, None), |(end, name)| (end, Some(name)))
    }

    /// "how many carriers and destinations are there".
    fn counted_all(&self, at: usize) -> Read<Vec<MeasureM>> {
        let (mut end, what) = self.counted(at)?;
        let mut all = vec![MeasureM { at: at..end, what, name: None }];
        let next = |p: usize| self.any(p, &["and", ", and", ","]).filter(|p| !self.aggregate_at(*p));
        while let Some((start, (behind, noun))) = next(end).and_then(|p| self.noun(p).map(|found| (p, found))) {
            let several = noun.column.as_ref().is_none_or(|c| c.plural) && crate::words::plural(self.lower(behind - 1));
            if !several
                || self
                    .any(behind, &["is", "are", "was", "were", "name", "'s"])
                    .is_some_and(|_| self.there(behind) == behind)
            {
                break;
            }
            end = self.there(behind);
            all.push(MeasureM { at: start..behind, what: self.rows_or_values(noun), name: None });
        }
        Some((end, all))
    }

    fn counted(&self, at: usize) -> Read<What> {
        let many = self.any(
            at,
            &[
                "how many",
                "number of",
                "count of",
                "no. of",
                "# of",
                "count the",
                "count",
                "total number of",
                "the number of",
                "counts of",
                "numbers of",
                "amount of",
                "row count of",
                "total count of",
            ],
        );
        if let Some(start) = many {
            return self.counted_noun(start);
        }
        // "flight count", "order counts".
        let (end, noun) = self.noun(at)?;
        let end = self.any(end, &["count", "counts"])?;
        Some((end, self.rows_or_values(noun)))
    }

    fn counted_noun(&self, at: usize) -> Read<What> {
        let start = self.the(self.skip(at, &["of"]));
        if let Some(behind) = self.any(start, &["rows", "records", "entries"]) {
            let of = self.any(behind, &["in", "of", "are in"]).and_then(|p| self.rows(p));
            return Some(of.map_or((behind, What::Rows(None)), |(end, noun)| (end, What::Rows(Some(noun)))));
        }
        if let Some(behind) = self.any(start, &["distinct", "different", "unique"]) {
            let (end, noun) = self.noun(behind)?;
            return Some((self.there(end), What::Distinct(noun, true)));
        }
        // "how many cancelled orders": the adjective is a filter of its own and brings the noun.
        if self.adjective(start).is_some() {
            return Some((start, What::Rows(None)));
        }
        let (end, noun) = self.noun(start)?;
        Some((self.there(self.flown(end)), self.rows_or_values(noun)))
    }

    fn there(&self, at: usize) -> usize {
        self.skip(at, &["are there", "were there", "do we have", "did we have", "exist", "there are", "there were"])
    }

    /// "average humidity and visibility": the aggregate goes on for further columns of numbers.
    fn further(&self, at: usize, mut exprs: Vec<Expr>) -> (usize, Vec<Expr>) {
        let mut end = at;
        while let Some((behind, column)) =
            self.any(end, &[", and", ",", "and", "&"]).filter(|p| !self.aggregate_at(*p)).and_then(|p| self.column(p))
        {
            let number = column.columns.iter().all(|c| self.lexis.catalog.column(*c).kind.is_number());
            let said =
                self.comparator(behind).is_some() || self.any(behind, &["is", "are", "was", "as", "="]).is_some();
            if !number || said || column.tail || self.target(end).is_some() {
                break;
            }
            exprs.push(Expr::Column(column));
            end = behind;
        }
        (end, exprs)
    }

    /// "quantity sold", "distance flown": the verb adds nothing to the number.
    fn done(&self, at: usize) -> usize {
        self.skip(
            at,
            &[
                "sold",
                "flown",
                "operated",
                "travelled",
                "traveled",
                "covered",
                "ordered",
                "placed",
                "made",
                "recorded",
                "measured",
                "that were placed",
                "that were made",
            ],
        )
    }

    fn flown(&self, at: usize) -> usize {
        // "placed in March" is read with its date.
        let end = self.skip(at, &["flown", "operated", "recorded", "flew", "served", "visited"]);
        if end > at {
            return end;
        }
        let end = self.skip(at, &["placed", "made"]);
        if self.any(end, &["in", "on", "since", "before", "after", "by"]).is_some() { at } else { end }
    }

    fn rows_or_values(&self, noun: Noun) -> What {
        if noun.tables.is_empty() { What::Distinct(noun, false) } else { What::Rows(Some(noun)) }
    }

    fn aggregate(&self, at: usize) -> Read<Agg> {
        AGGREGATES
            .iter()
            .filter_map(|(words, agg)| self.any(at, words).map(|end| (end, *agg)))
            .max_by_key(|(end, _)| *end)
    }

    fn aggregated(&self, at: usize) -> Read<Vec<MeasureM>> {
        let (mut end, first) = self.aggregate(at)?;
        if let Some((behind, noun)) = self.rows(end).filter(|_| first == Agg::Sum && self.lower(at) == "total") {
            // "total flights" is how many there are, unless a column goes on from there ("total order amount").
            if self.column(end).is_none_or(|(longer, _)| longer <= behind) {
                let what = What::Rows(Some(noun));
                return Some((self.done(behind), vec![MeasureM { at: at..behind, what, name: None }]));
            }
        }
        let mut aggs = vec![first];
        while let Some((next, agg)) =
            self.any(end, &[", and", ",", "and", "&", "/"]).and_then(|p| self.aggregate(self.the(p)))
        {
            aggs.push(agg);
            end = next;
        }
        let start = self.the(self.skip(end, &["of the", "of", "for the", "in"]));
        let (end, exprs) = self.shared_head(start).or_else(|| self.expr(start).map(|(e, x)| (e, vec![x])))?;
        let mut named = Vec::new();
        exprs.iter().for_each(|x| crate::resolve::expr_columns(x, &mut named));
        if named.is_empty() {
            return None;
        }
        let (end, exprs) = self.further(self.done(end), exprs);
        let all = exprs.iter().flat_map(|expr| aggs.iter().map(|agg| What::Of { agg: *agg, expr: expr.clone() }));
        Some((end, all.map(|what| MeasureM { at: at..end, what, name: None }).collect()))
    }

    /// "departure and arrival delay": the last word belongs to both.
    fn shared_head(&self, at: usize) -> Read<Vec<Expr>> {
        let joint = at + 1;
        let second = self.any(joint, &["and", "&"])?;
        let (end, right) = self.column(second)?;
        let head = self.tokens.get(end.checked_sub(1)?)?;
        let words = [self.tokens.get(at)?.clone(), head.clone()];
        let left = self.lexis.columns_at(&words, 0).filter(|n| n.len == 2 && !n.tail)?;
        // "distance and air time" are two names of their own.
        if end - second < 2 || self.lexis.columns_at(self.tokens, at).is_some_and(|n| !n.tail) {
            return None;
        }
        let left =
            ColumnM { at: at..end, columns: left.columns, via: Vec::new(), tail: false, plural: false, owner: None };
        Some((end, vec![Expr::Column(left), Expr::Column(right)]))
    }

    /// "percentage of flights with …", "share of orders per status".
    fn share(&self, at: usize) -> Read<What> {
        let (start, percent) = self
            .any(
                at,
                &["percentage of", "percent of", "what percentage of", "what percent of", "% of", "percentages of"],
            )
            .map(|end| (end, true))
            .or_else(|| {
                self.any(
                    at,
                    &[
                        "share of",
                        "fraction of",
                        "proportion of",
                        "what share of",
                        "what fraction of",
                        "what proportion of",
                    ],
                )
                .map(|end| (end, false))
            })?;
        let (end, noun) = self.rows(start)?;
        if let Some((behind, cond)) = self.share_condition(end) {
            return Some((behind, What::ShareWhere { noun: Some(noun), percent, cond: Box::new(cond) }));
        }
        Some((end, What::Share { noun: Some(noun), percent }))
    }
}

//! Forms with two readings that no single word shows.

use super::{Draft, Resolved, Resolver};
use crate::{
    answer::{Problem, codes},
    request::{Cond, Dim, MeasureM, Noun, Period, Role, What},
};

impl Resolver<'_> {
    /// Forms with two readings that no single column or word shows.
    pub(super) fn check_shape(&self, draft: &Draft) -> Resolved<()> {
        if let (Some(best), false) = (&draft.best, draft.dims.is_empty()) {
            return Err(Problem::new(
                codes::UNSUPPORTED,
                self.words(&best.at),
                "the first few of each group are not built in; ask for the first few of all, or for all groups in order",
            ));
        }
        if let (Some((at, _)), true) = (draft.dims.first(), draft.all_measures().is_empty()) {
            let lead = self.reader.lower(at.start);
            if !matches!(lead, "per" | "by" | "grouped" | "group") && !draft.nouns.is_empty() {
                return Err(self.contradiction(
                    at,
                    "it is not clear what is asked about each of these; say for example: number of",
                ));
            }
        }
        let shares = draft.measures.iter().find(|m| matches!(m.what, What::Share { .. }));
        if let Some(share) = shares
            && (draft.dims.is_empty() || !draft.conds.is_empty())
        {
            let why = "a part of what? Say `percentage of … with …` for the part of rows that fulfil a condition, or `per …` for the part of each group";
            return Err(Problem::new(codes::AMBIGUOUS, self.words(&share.at), why));
        }
        let follows = |noun: &&Noun| noun.column.is_none() && draft.measures.iter().any(|m| m.at.end == noun.at.start);
        if let Some(noun) = draft.nouns.iter().find(follows) {
            return Err(self.contradiction(&noun.at, "it is not clear whether these rows are wanted or the number before them; say `of` before the rows, or ask for the rows"));
        }
        self.check_conditions(draft)
    }

    /// A condition between two measures may belong to one of them only; two values of one column exclude each other.
    pub(super) fn check_conditions(&self, draft: &Draft) -> Resolved<()> {
        let ends = |m: &&MeasureM| (m.at.start, m.at.end);
        let first = draft.measures.iter().map(|m| ends(&m).1).min().unwrap_or(0);
        let last = draft.measures.iter().map(|m| ends(&m).0).max().unwrap_or(0);
        for (at, cond) in &draft.conds {
            let inside = at.start >= first && at.end <= last;
            let of_one = draft.measures.len() > 1
                && draft.measures.iter().any(|m| m.at.end == at.start && matches!(m.what, What::Rows(None)));
            if draft.measures.len() > 1 && (inside || of_one) {
                return Err(Problem::new(
                    codes::AMBIGUOUS,
                    self.words(at),
                    "it is not clear whether this holds for all the numbers asked for or for one of them; put it first or last, or ask twice",
                ));
            }
            let listed =
                matches!(cond, Cond::In { values, .. } if values.len() > 1) && self.words(at).contains(" and ");
            if listed && !draft.measures.is_empty() && draft.dims.is_empty() && draft.best.is_none() {
                let why = "one number for all of these together, or one for each? Say `or` for all together, or `per …` for each";
                return Err(Problem::new(codes::AMBIGUOUS, self.words(at), why));
            }
            let bounded = |c: &Cond| {
                matches!(
                    c,
                    Cond::When {
                        period: Period::Days(Some(_), Some(_)) | Period::Months(..) | Period::MonthDay(..),
                        ..
                    }
                )
            };
            if bounded(cond) && draft.conds.iter().any(|(other, c)| other != at && bounded(c)) {
                return Err(
                    self.contradiction(at, "rows cannot lie in two periods; name one from its first to its last day")
                );
            }
        }
        Ok(())
    }

    pub(super) fn check_about(&mut self, draft: &Draft) -> Resolved<()> {
        for noun in draft.nouns.iter().filter(|n| n.column.is_none()).chain(&draft.about) {
            if noun.tables.contains(&self.base()) {
                let name = self.catalog().table(self.base()).name.clone();
                self.mean(&noun.at, format!("rows of {name}"));
            } else if !(self.limits(noun) || (self.grouped(draft) && self.is_grouped_by(noun)?)) {
                let base = self.catalog().table(self.base()).name.clone();
                return Err(self.contradiction(
                    &noun.at,
                    format!("the rows are those of `{base}`; it is not clear what these have to do with them"),
                ));
            }
        }
        Ok(())
    }

    /// "orders of customers from Germany": a condition on the table behind the one key that leads there.
    fn limits(&mut self, noun: &Noun) -> bool {
        let ways: Vec<_> = noun.tables.iter().flat_map(|t| self.ways(*t)).collect();
        let [way] = ways.as_slice() else { return false };
        let catalog = self.catalog();
        let Some((_, alias)) = self.query.scope.joins.iter().find(|(path, _)| path == way) else { return false };
        let mark = crate::query::mark(alias);
        let found = noun.column.is_none() && self.query.filters.iter().any(|f| f.contains(&mark));
        if found {
            let name = noun.tables.first().map_or("", |t| catalog.table(*t).name.as_str()).to_owned();
            self.mean(&noun.at, format!("the row of {name} that belongs to each row"));
        }
        found
    }

    /// "customers by signup date" may ask for an order as well as for groups.
    pub(super) fn check_counting(&self, draft: &Draft) -> Resolved<()> {
        let by = draft.dims.first().filter(|(at, _)| self.reader.lower(at.start) == "by");
        let ordered = |key: &super::columns::Col| {
            let kind = self.catalog().column(key.id).kind;
            let key = self.lexis.links.iter().any(|l| l.from == key.id || l.to == key.id);
            kind.is_time() || (kind.is_number() && !key)
        };
        match by {
            Some((at, Dim::Column(_))) if self.keys.iter().any(ordered) => {
                let words = self.words(at);
                let choices = [format!("sorted {words}"), format!("number of them {words}")];
                Err(Problem::new(codes::AMBIGUOUS, words, "an order or one number for each?").choices(choices))
            }
            _ => Ok(()),
        }
    }

    /// "… for carriers with at least 1000 flights": the groups there are already.
    fn is_grouped_by(&mut self, noun: &Noun) -> Resolved<bool> {
        let key = match &noun.column {
            Some(column) => self.column(column)?,
            None => match self.entity(noun, Role::Any).as_slice() {
                [one] => one.clone(),
                _ => return Ok(false),
            },
        };
        Ok(self.keys.contains(&key))
    }
}

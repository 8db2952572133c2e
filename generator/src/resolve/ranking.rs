//! Order, the first few, and one row of each.

use super::{
    Draft, Resolved, Resolver,
    columns::Col,
    draft::{Best, KeepOne},
};
use crate::{
    answer::{Problem, codes},
    catalog::Kind,
    query::Keep,
    read::is_rows,
    request::{At, Dim, Expr, Key, Role},
};

impl Resolver<'_> {
    /// "top 10 flights by distance" are rows, "top 10 carriers by flights" are groups.
    pub(super) fn best_is_rows(&self, best: &Best) -> bool {
        let rows = is_rows(&best.of).is_some_and(|noun| noun.tables.contains(&self.base()));
        rows && !matches!(best.by, Key::Measure(_))
    }

    pub(super) fn rank(&mut self, draft: &Draft, grouped: bool) -> Resolved<()> {
        let natural = std::mem::take(&mut self.query.order);
        if let Some(best) = &draft.best {
            let order = self.key(&best.by, best.descending, grouped, &best.at)?;
            self.query.order.extend(order);
            self.query.limit = Some(best.n);
            self.mean(
                &best.at,
                format!("the first {} by {}", best.n, if best.descending { "the greatest" } else { "the smallest" }),
            );
        }
        for (at, key, descending) in &draft.order {
            let order = self.key(key, *descending, grouped, at)?;
            self.mean(at, if *descending { "greatest first" } else { "smallest first" });
            for part in order {
                if !self.query.order.iter().any(|(sql, _)| *sql == part.0) {
                    self.query.order.push(part);
                }
            }
        }
        if let Some(limit) = draft.limit {
            self.query.limit = Some(self.query.limit.map_or(limit, |n| n.min(limit)));
        }
        if let Some(keep) = &draft.keep {
            self.keep(draft, keep)?;
        }
        self.settle(natural, grouped);
        Ok(())
    }

    /// Ties are settled, so that every run gives the same rows in the same order.
    fn settle(&mut self, natural: Vec<(String, bool)>, grouped: bool) {
        let limited = self.query.limit.is_some();
        let mut rest = natural;
        if grouped {
            rest.extend(self.query.group.iter().map(|sql| (sql.clone(), false)));
        } else if limited || !self.query.order.is_empty() {
            if limited && self.query.order.is_empty() {
                self.assume("no order was named: the first rows are the smallest by their own columns");
            }
            rest.extend(self.row_key());
        }
        if limited && !self.query.order.is_empty() && !rest.is_empty() {
            self.assume("where rows tie, the order of the other columns decides");
        }
        for part in rest {
            if !self.query.order.iter().any(|(sql, _)| *sql == part.0) {
                self.query.order.push(part);
            }
        }
    }

    /// Columns that tell rows apart: one that is unique, or all that have an order.
    fn row_key(&mut self) -> Vec<(String, bool)> {
        if !self.query.star {
            return self.query.outputs.iter().map(|o| (o.sql.clone(), false)).collect();
        }
        let base = self.base();
        let unique = self.catalog().columns(base).find(|c| self.catalog().column(*c).unique);
        let all: Vec<Col> = match unique {
            Some(id) => vec![Col { path: Vec::new(), id }],
            None => self
                .catalog()
                .columns(base)
                .filter(|c| self.catalog().column(*c).kind != Kind::Other)
                .map(|id| Col { path: Vec::new(), id })
                .collect(),
        };
        all.iter().map(|col| (self.sql(col), false)).collect()
    }

    fn key(&mut self, key: &Key, descending: bool, grouped: bool, at: &At) -> Resolved<Vec<(String, bool)>> {
        match key {
            Key::Measure(measure) if grouped => {
                let measured = self.add_measure(measure)?;
                Ok(vec![(crate::ident::ident(&measured.name), descending)])
            }
            Key::Measure(_) => {
                Err(self.contradiction(at, "single rows cannot be ranked by a number of groups; say what to group by"))
            }
            Key::Column(expr) => self.column_key(expr, descending, grouped, at),
            Key::Time if grouped && !self.query.group.is_empty() => {
                let order: Vec<(String, bool)> = self.time_groups().into_iter().map(|sql| (sql, descending)).collect();
                if order.is_empty() {
                    Err(self.contradiction(at, "the groups have no time to be ordered by"))
                } else {
                    Ok(order)
                }
            }
            Key::Time => Ok(self.time_order(at)?.into_iter().map(|sql| (sql, descending)).collect()),
            Key::Obvious => self.obvious(descending, at),
        }
    }

    fn time_groups(&self) -> Vec<String> {
        let timed = |name: &str| matches!(name, "year" | "quarter" | "month" | "week" | "day" | "hour");
        self.query
            .outputs
            .iter()
            .filter(|o| self.query.group.contains(&o.sql) && timed(&o.name))
            .map(|o| o.sql.clone())
            .collect()
    }

    fn obvious(&mut self, descending: bool, at: &At) -> Resolved<Vec<(String, bool)>> {
        match self.only_measure() {
            Some(output) => Ok(vec![(
                if self.query.group.is_empty() { output.sql } else { crate::ident::ident(&output.name) },
                descending,
            )]),
            None => {
                let choices: Vec<String> = self.query.outputs.iter().map(|o| format!("sorted by {}", o.name)).collect();
                Err(Problem::new(codes::AMBIGUOUS, self.words(at), "it is not clear what is ordered by; name it")
                    .choices(choices))
            }
        }
    }

    fn column_key(&mut self, expr: &Expr, descending: bool, grouped: bool, at: &At) -> Resolved<Vec<(String, bool)>> {
        let named = self.output_named(expr);
        if let Some(name) = named {
            return Ok(vec![(crate::ident::ident(&name), descending)]);
        }
        let (sql, _) = self.expr(expr)?;
        if !grouped {
            if self.query.distinct && !self.query.star && !self.query.outputs.iter().any(|o| o.sql == sql) {
                return Err(self.contradiction(at, "different values can only be ordered by a column that is shown"));
            }
            return Ok(vec![(sql, descending)]);
        }
        if self.query.group.contains(&sql) {
            return Ok(vec![(sql, descending)]);
        }
        // "sorted by departure delay" where the one number is about departure delay.
        let about: Vec<String> = self
            .query
            .outputs
            .iter()
            .filter(|o| o.sql.contains(&sql) && !self.query.group.contains(&o.sql))
            .map(|o| o.name.clone())
            .collect();
        match about.as_slice() {
            [one] => Ok(vec![(crate::ident::ident(one), descending)]),
            _ => Err(self.contradiction(
                at,
                "a group has many of these; say whether the average, the total, the smallest or the greatest is meant",
            )),
        }
    }

    /// An output that was given this name in the request.
    fn output_named(&self, expr: &Expr) -> Option<String> {
        let Expr::Column(mention) = expr else { return None };
        let words = self.words(&mention.at).to_lowercase();
        let derived = |o: &&crate::query::Output| {
            o.name.to_lowercase() == words && !self.query.group.contains(&o.sql) && o.sql.contains('(')
        };
        self.query.outputs.iter().find(derived).map(|o| o.name.clone())
    }

    fn keep(&mut self, draft: &Draft, keep: &KeepOne) -> Resolved<()> {
        if !self.query.star || !self.query.group.is_empty() || draft.limit.is_some() {
            return Err(self.contradiction(&keep.at, "one row of each can only be kept of whole rows"));
        }
        let mut keys = Vec::new();
        for dim in &keep.per {
            let col = match dim {
                Dim::Column(mention) => self.column(mention)?,
                Dim::Noun(noun, _) => self.entity_key(noun, Role::Any)?,
                Dim::Route(at) | Dim::Unit { at, .. } => {
                    return Err(self.contradiction(at, "one row of each is kept per column"));
                }
            };
            let sql = self.sql(&col);
            if self.catalog().column(col.id).nulls && !self.query.filters.contains(&format!("{sql} IS NOT NULL")) {
                let why = format!(
                    "some rows have no {}: whether they are one row or each its own is not clear; leave them out by `with a known {}`",
                    self.label(&col),
                    self.catalog().column(col.id).name
                );
                return Err(Problem::new(codes::AMBIGUOUS, self.words(&keep.at), why));
            }
            keys.push(sql);
        }
        let mut order: Vec<(String, bool)> = match &keep.by {
            Some(mention) => {
                let col = self.column(mention)?;
                vec![(self.sql(&col), keep.latest)]
            }
            None => self.time_order(&keep.at)?.into_iter().map(|sql| (sql, keep.latest)).collect(),
        };
        for (sql, _) in self.row_key() {
            if !order.iter().any(|(known, _)| *known == sql) && !keys.contains(&sql) {
                order.push((sql, keep.latest));
            }
        }
        self.assume("where rows tie, the order of the other columns decides");
        self.mean(&keep.at, format!("the {} row of each", if keep.latest { "latest" } else { "earliest" }));
        self.query.keep = Some(Keep { keys, order });
        Ok(())
    }
}

//! Groups: what rows are grouped by, and what is shown of each group.

use super::{Draft, Resolved, Resolver, columns::Col};
use crate::{
    query::{Output, plain},
    request::{At, ColumnM, Dim, Key, MeasureM, Noun, Role, What},
};

impl Resolver<'_> {
    /// Everything to group by, also nouns that stand before a measure: "airlines with more than 100 flights".
    pub(super) fn all_dims(&mut self, draft: &Draft, grouped: bool) -> Resolved<Vec<(At, Dim)>> {
        let mut dims = Vec::new();
        if !grouped {
            return Ok(dims);
        }
        if let Some(best) = draft.best.as_ref().filter(|b| !self.best_is_rows(b)) {
            dims.push((best.at.clone(), best.of.clone()));
        }
        let first = draft.measures.iter().map(|m| m.at.start).min();
        let behind = |at: &At| first.is_some_and(|f| at.start > f);
        for noun in &draft.nouns {
            match &noun.column {
                Some(column) if behind(&column.at) => {
                    return Err(self.contradiction(
                        &column.at,
                        "it is not clear what this column is to do here; say `per` it, or what to compute of it",
                    ));
                }
                Some(column) if draft.all_measures().is_empty() => {
                    let why = "it is not clear what is to be computed of it; say average, total, minimum, maximum or number of";
                    return Err(self.contradiction(&column.at, why));
                }
                Some(column) => dims.push((noun.at.clone(), Dim::Column(column.clone()))),
                None if noun.tables.contains(&self.base()) => {}
                // "… for shipped orders": whether these limit the rows shows once the conditions are known.
                None if behind(&noun.at) => {}
                None => dims.push((noun.at.clone(), Dim::Noun(noun.clone(), Role::Any))),
            }
        }
        if draft.dims.is_empty() && dims.is_empty() {
            // "carrier, origin and number of flights".
            dims.extend(
                draft.columns.iter().filter(|c| !behind(&c.at)).map(|c| (c.at.clone(), Dim::Column(c.clone()))),
            );
        }
        dims.extend(draft.dims.iter().cloned());
        Ok(dims)
    }

    pub(super) fn group_by(&mut self, at: &At, dim: &Dim) -> Resolved<()> {
        match dim {
            Dim::Column(mention) => self.group_column(mention),
            Dim::Noun(noun, role) => self.group_noun(noun, *role),
            Dim::Route(at) => self.group_route(at),
            Dim::Unit { at, unit, column } => {
                let grouped = self.unit(*unit, column.as_ref(), at)?;
                for output in grouped.outputs {
                    self.add_group(output);
                }
                if let Some(order) = grouped.order {
                    self.query.group.push(order.clone());
                    self.query.order.push((order, false));
                }
                Ok(())
            }
        }?;
        self.mean(at, "one row per group");
        Ok(())
    }

    pub(super) fn group_column(&mut self, mention: &ColumnM) -> Resolved<()> {
        if self.names_rows(mention) {
            return Err(self.contradiction(&mention.at, "this names the rows themselves; say which column of them"));
        }
        let col = self.column(mention)?;
        let output = Output { sql: self.sql(&col), name: self.output_name(&col) };
        self.keys.push(col);
        self.add_group(output);
        Ok(())
    }

    pub(super) fn group_noun(&mut self, noun: &Noun, role: Role) -> Resolved<()> {
        if let Some(column) = &noun.column {
            return self.group_column(column);
        }
        if noun.tables.contains(&self.base()) {
            return Err(self.contradiction(&noun.at, "these are the rows themselves; a group needs a column of them"));
        }
        let key = self.entity_key(noun, role)?;
        let output = Output { sql: self.sql(&key), name: self.output_name(&key) };
        self.keys.push(key);
        self.add_group(output);
        Ok(())
    }

    pub(super) fn group_route(&mut self, at: &At) -> Resolved<()> {
        let base = self.base();
        for role in [Role::From, Role::To] {
            let keys: Vec<_> = self
                .lexis
                .links
                .iter()
                .filter(|l| l.from.table == base)
                .map(|l| Col { path: Vec::new(), id: l.from })
                .collect();
            let Some(key) = keys.into_iter().find(|k| self.plays(k, role)) else {
                return Err(self.contradiction(at, "these rows have no place they come from and place they go to"));
            };
            let output = Output { sql: self.sql(&key), name: self.output_name(&key) };
            self.keys.push(key);
            self.add_group(output);
        }
        self.assume(format!("a `{}` is the pair of where it begins and where it ends", self.words(at)));
        Ok(())
    }

    pub(super) fn add_group(&mut self, output: Output) {
        if !self.query.group.contains(&output.sql) {
            self.query.group.push(output.sql.clone());
            self.query.outputs.push(output);
        }
    }

    pub(super) fn fill_groups(&mut self, draft: &Draft) -> Resolved<()> {
        if draft.distinct || draft.keep.is_some() {
            let at = draft.plain.first().map_or(0..1, |(at, _)| at.clone());
            return Err(self.contradiction(&at, "different rows and groups together have more than one reading; ask for the number of different values, or for the rows"));
        }
        for column in &draft.columns {
            let col = self.column(column)?;
            if !self.depends(&col) {
                return Err(self.contradiction(&column.at, "beside a number per group only what the group has one of can be shown; say `per` this column, or what to compute of it"));
            }
            let output = Output { sql: self.sql(&col), name: self.output_name(&col) };
            self.add_group(output);
        }
        if let Some((at, ..)) = draft.derived.first() {
            return Err(
                self.contradiction(at, "say what to compute of it per group, for example the average or the total")
            );
        }
        self.attach_to_groups(draft)?;
        let mut measures = draft.measures.clone();
        let ranked = draft.best.as_ref().is_some_and(|b| matches!(b.by, Key::Measure(_)));
        if measures.is_empty() && draft.having.is_empty() && !ranked {
            self.check_counting(draft)?;
            self.assume("no number was named: the rows of each group are counted");
            measures.push(MeasureM { at: 0..0, what: What::Rows(None), name: None });
        }
        for measure in &measures {
            self.add_measure(measure)?;
        }
        for (at, measure, op, value) in &draft.having {
            // A number that only limits the groups is shown where no other was asked for.
            let measured = if draft.measures.is_empty() { self.add_measure(measure)? } else { self.measure(measure)? };
            let sql = format!("{} {} {}", measured.sql, super::conditions::op_sql(*op), crate::ident::number(*value));
            self.mean(at, format!("only groups with {}", plain(&sql)));
            self.query.having.push(sql);
        }
        Ok(())
    }

    pub(super) fn add_measure(&mut self, measure: &MeasureM) -> Resolved<Output> {
        let mut measured = self.measure(measure)?;
        if let Some(known) = self.query.outputs.iter().find(|o| o.sql == measured.sql) {
            measured.name.clone_from(&known.name);
        } else {
            self.query.outputs.push(measured.clone());
        }
        Ok(measured)
    }

    pub(super) fn attach_to_groups(&mut self, draft: &Draft) -> Resolved<()> {
        for (at, mention, instead) in &draft.attach {
            if self.names_rows(mention) {
                return Err(
                    self.contradiction(&mention.at, "this names other rows; say which column of them is wanted")
                );
            }
            let col = self.column(mention)?;
            if !self.depends(&col) {
                return Err(self.contradiction(
                    at,
                    "a group can have several of these; only what belongs to its key can be shown beside it",
                ));
            }
            let key = self.keys.iter().find(|k| col.path.get(k.path.len()).is_some_and(|l| l.from == k.id)).cloned();
            let output = Output { sql: self.sql(&col), name: self.output_name(&col) };
            self.mean(at, format!("shown beside its group: {}", self.label(&col)));
            if *instead && let Some(key) = key {
                let key = self.sql(&key);
                self.query.outputs.retain(|o| o.sql != key);
            }
            self.add_group(output);
        }
        Ok(())
    }
}

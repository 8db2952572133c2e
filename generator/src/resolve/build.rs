//! The base table is tried out: the one from which everything said can be resolved is the one meant.

use super::{
    Draft, Resolved, Resolver,
    draft::{cond_columns, expr_columns, sorted},
    measures::Measured,
};
use crate::{
    answer::{Meaning, Problem, codes},
    catalog::TableId,
    joins::paths,
    query::{Output, Query, plain},
    read::Reader,
    request::{At, ColumnM, Cond, Dim, Expr, Key, MeasureM, Noun, Period, Role, What},
};

/// A resolved request.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) query: Query,
    pub(crate) assumptions: Vec<String>,
    pub(crate) meanings: Vec<(At, String)>,
    /// What the result is called when nobody named it.
    pub(crate) name: String,
}

/// Resolves a draft, or says what is in the way.
pub(crate) fn build(reader: &Reader<'_>, draft: &Draft, now: Option<&str>) -> Result<Built, Vec<Problem>> {
    let mut worst: Option<Vec<Problem>> = None;
    for tier in tiers(reader, draft) {
        let mut good: Vec<(TableId, Built)> = Vec::new();
        for base in tier {
            match attempt(reader, draft, base, now) {
                Ok(built) => good.push((base, built)),
                Err(problem) => {
                    let better = worst.as_ref().is_none_or(|w| weight(&problem) > w.first().map_or(0, weight));
                    if better {
                        worst = Some(vec![problem]);
                    }
                }
            }
        }
        match good.len() {
            0 => {}
            1 => return Ok(good.remove(0).1),
            _ => {
                let choices = good.iter().map(|(base, _)| format!("rows of `{}`", reader.lexis.catalog.table(*base).name));
                let why = "rows of more than one table can be meant; name the table";
                return Err(vec![Problem::new(codes::AMBIGUOUS, reader.request.trim(), why).choices(choices)]);
            }
        }
    }
    Err(worst.unwrap_or_else(|| vec![Problem::new(codes::NOTHING_ASKED, "", "the request names no table, column or value of any connection")]))
}

/// A problem with a choice tells more than one with a missing way.
fn weight(problem: &Problem) -> u8 {
    match problem.code {
        codes::AMBIGUOUS => 3,
        codes::CONTRADICTION | codes::UNSUPPORTED => 2,
        _ => 1,
    }
}

/// Base tables to try, the likeliest first; within a tier exactly one may fit.
fn tiers(reader: &Reader<'_>, draft: &Draft) -> Vec<Vec<TableId>> {
    let catalog = reader.lexis.catalog;
    let explicit = explicit(draft);
    let counted = draft.counted();
    let measured = draft.measured();
    if !counted.is_empty() {
        let mut tiers = vec![counted.clone()];
        for steps in 1..=3 {
            let leads = |t: &TableId| counted.iter().any(|c| paths(&reader.lexis.links, *t, *c).first().is_some_and(|p| p.len() == steps));
            tiers.push(catalog.table_ids().filter(leads).collect());
        }
        return tiers;
    }
    if !measured.is_empty() {
        let both = explicit.iter().filter(|t| measured.contains(t)).copied().collect();
        return vec![both, measured, explicit];
    }
    let rows_asked = !draft.all_measures().is_empty();
    if rows_asked && explicit.is_empty() {
        return vec![catalog.table_ids().collect()];
    }
    let mentioned = mentioned(draft);
    vec![explicit, mentioned]
}

fn explicit(draft: &Draft) -> Vec<TableId> {
    let keep = draft.keep.iter().filter_map(|k| k.noun.as_ref());
    let best = draft.best.iter().filter_map(|b| crate::read::is_rows(&b.of));
    let owners = draft.columns.iter().filter_map(|c| c.owner);
    sorted(draft.nouns.iter().chain(&draft.about).chain(keep).chain(best).flat_map(|n| n.tables.clone()).chain(owners).collect())
}

/// Tables that own any column mentioned.
fn mentioned(draft: &Draft) -> Vec<TableId> {
    let mut columns = Vec::new();
    columns.extend(draft.columns.iter().flat_map(|c| c.columns.clone()));
    columns.extend(draft.nouns.iter().filter_map(|n| n.column.as_ref()).flat_map(|c| c.columns.clone()));
    let dims = draft.dims.iter().map(|(_, d)| d).chain(draft.keep.iter().flat_map(|k| &k.per)).chain(draft.best.iter().map(|b| &b.of));
    for dim in dims {
        if let Dim::Column(c) | Dim::Unit { column: Some(c), .. } = dim {
            columns.extend(&c.columns);
        }
    }
    draft.derived.iter().for_each(|(_, e, _)| expr_columns(e, &mut columns));
    if columns.is_empty() {
        draft.conds.iter().for_each(|(_, c)| cond_columns(c, &mut columns));
    }
    sorted(columns.into_iter().map(|c| c.table).collect())
}

fn attempt(reader: &Reader<'_>, draft: &Draft, base: TableId, now: Option<&str>) -> Resolved<Built> {
    let mut resolver = Resolver::new(reader, base, now.map(str::to_owned));
    resolver.fill(draft)?;
    let name = resolver.result_name(resolver.grouped(draft));
    Ok(Built { query: resolver.query, assumptions: resolver.assumptions, meanings: resolver.meanings, name })
}

/// The explanation in the order of the words.
pub(crate) fn explained(reader: &Reader<'_>, mut meanings: Vec<(At, String)>) -> Vec<Meaning> {
    meanings.retain(|(at, _)| !at.is_empty());
    meanings.sort_by_key(|(at, _)| (at.start, at.end));
    let mut all: Vec<Meaning> = meanings.into_iter().map(|(at, meaning)| Meaning { words: reader.words(&at), meaning }).collect();
    all.dedup();
    all
}

impl Resolver<'_> {
    fn fill(&mut self, draft: &Draft) -> Resolved<()> {
        let grouped = self.grouped(draft);
        self.check_shape(draft)?;
        let dims = self.all_dims(draft, grouped)?;
        for (at, dim) in &dims {
            self.group_by(at, dim)?;
        }
        for (at, cond) in &draft.conds {
            let sql = self.cond(cond)?;
            self.mean(at, format!("only rows with {}", plain(&sql)));
            let column = sql.split_once(" = ").map(|(left, _)| left).or_else(|| sql.split_once(" IN (").map(|(left, _)| left));
            let same = |f: &String| column.is_some_and(|c| f.starts_with(&format!("{c} = ")) || f.starts_with(&format!("{c} IN (")));
            if !sql.contains(" AND ") && self.query.filters.iter().any(same) {
                return Err(self.contradiction(at, "a row cannot have two values here at once; join them with `or`"));
            }
            self.query.filters.push(sql);
        }
        self.check_about(draft)?;
        if grouped {
            self.fill_groups(draft)?;
        } else {
            self.fill_rows(draft)?;
        }
        self.rename(draft)?;
        self.rank(draft, grouped)?;
        self.unique_names();
        Ok(())
    }

    /// Forms with two readings that no single column or word shows.
    fn check_shape(&self, draft: &Draft) -> Resolved<()> {
        if let (Some(best), false) = (&draft.best, draft.dims.is_empty()) {
            return Err(Problem::new(codes::UNSUPPORTED, self.words(&best.at), "the first few of each group are not built in; ask for the first few of all, or for all groups in order"));
        }
        if let (Some((at, _)), true) = (draft.dims.first(), draft.all_measures().is_empty()) {
            let lead = self.reader.lower(at.start);
            if !matches!(lead, "per" | "by" | "grouped" | "group") && !draft.nouns.is_empty() {
                return Err(self.contradiction(at, "it is not clear what is asked about each of these; say for example: number of"));
            }
        }
        let shares = draft.measures.iter().find(|m| matches!(m.what, What::Share { .. }));
        if let Some(share) = shares
            && (draft.dims.is_empty() || !draft.conds.is_empty())
        {
            let why = "a part of what? Say `percentage of … with …` for the part of rows that fulfil a condition, or `per …` for the part of each group";
            return Err(Problem::new(codes::AMBIGUOUS, self.words(&share.at), why));
        }
        self.check_conditions(draft)
    }

    /// A condition between two measures may belong to one of them only; two values of one column exclude each other.
    fn check_conditions(&self, draft: &Draft) -> Resolved<()> {
        let ends = |m: &&MeasureM| (m.at.start, m.at.end);
        let first = draft.measures.iter().map(|m| ends(&m).1).min().unwrap_or(0);
        let last = draft.measures.iter().map(|m| ends(&m).0).max().unwrap_or(0);
        for (at, cond) in &draft.conds {
            let inside = at.start >= first && at.end <= last;
            let of_one = draft.measures.len() > 1 && draft.measures.iter().any(|m| m.at.end == at.start && matches!(m.what, What::Rows(None)));
            if draft.measures.len() > 1 && (inside || of_one) {
                return Err(Problem::new(codes::AMBIGUOUS, self.words(at), "it is not clear whether this holds for all the numbers asked for or for one of them; put it first or last, or ask twice"));
            }
            let bounded = |c: &Cond| matches!(c, Cond::When { period: Period::Days(Some(_), Some(_)) | Period::Months(..) | Period::MonthDay(..), .. });
            if bounded(cond) && draft.conds.iter().any(|(other, c)| other != at && bounded(c)) {
                return Err(self.contradiction(at, "rows cannot lie in two periods; name one from its first to its last day"));
            }
        }
        Ok(())
    }

    fn grouped(&self, draft: &Draft) -> bool {
        let ranked = draft.best.as_ref().is_some_and(|b| !self.best_is_rows(b));
        !draft.measures.is_empty() || !draft.dims.is_empty() || !draft.having.is_empty() || ranked
    }

    /// Everything to group by, also nouns that stand before a measure: "airlines with more than 100 flights".
    fn all_dims(&mut self, draft: &Draft, grouped: bool) -> Resolved<Vec<(At, Dim)>> {
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
                    return Err(self.contradiction(&column.at, "it is not clear what this column is to do here; say `per` it, or what to compute of it"));
                }
                Some(column) if draft.all_measures().is_empty() => {
                    let why = "it is not clear what is to be computed of it; say average, total, minimum, maximum or number of";
                    return Err(self.contradiction(&column.at, why));
                }
                Some(column) => dims.push((noun.at.clone(), Dim::Column(column.clone()))),
                None if noun.tables.contains(&self.base()) => {}
                None if behind(&noun.at) => {
                    return Err(self.contradiction(&noun.at, "it is not clear what these have to do with the numbers asked for"));
                }
                None => dims.push((noun.at.clone(), Dim::Noun(noun.clone(), Role::Any))),
            }
        }
        if draft.dims.is_empty() && dims.is_empty() {
            // "carrier, origin and number of flights".
            dims.extend(draft.columns.iter().filter(|c| !behind(&c.at)).map(|c| (c.at.clone(), Dim::Column(c.clone()))));
        }
        dims.extend(draft.dims.iter().cloned());
        Ok(dims)
    }

    fn group_by(&mut self, at: &At, dim: &Dim) -> Resolved<()> {
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

    fn group_column(&mut self, mention: &ColumnM) -> Resolved<()> {
        if self.names_rows(mention) {
            return Err(self.contradiction(&mention.at, "this names the rows themselves; say which column of them"));
        }
        let col = self.column(mention)?;
        let output = Output { sql: self.sql(&col), name: self.output_name(&col) };
        self.keys.push(col);
        self.add_group(output);
        Ok(())
    }

    fn group_noun(&mut self, noun: &Noun, role: Role) -> Resolved<()> {
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

    fn group_route(&mut self, at: &At) -> Resolved<()> {
        let base = self.base();
        for role in [Role::From, Role::To] {
            let keys: Vec<_> = self.lexis.links.iter().filter(|l| l.from.table == base).map(|l| super::columns::Col { path: Vec::new(), id: l.from }).collect();
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

    pub(super) fn output_name(&self, col: &super::columns::Col) -> String {
        let name = self.catalog().column(col.id).name.clone();
        match col.path.last() {
            Some(link) if matches!(name.as_str(), "name" | "type" | "id" | "year" | "code" | "description" | "title") => {
                let several = self.ways(link.to.table).len() > 1;
                let owner = if several { self.catalog().column(link.from).name.clone() } else { crate::words::stem(&self.catalog().table(link.to.table).name) };
                format!("{owner}_{name}")
            }
            Some(_) | None => name,
        }
    }

    fn add_group(&mut self, output: Output) {
        if !self.query.group.contains(&output.sql) {
            self.query.group.push(output.sql.clone());
            self.query.outputs.push(output);
        }
    }

    fn check_about(&mut self, draft: &Draft) -> Resolved<()> {
        for noun in draft.nouns.iter().filter(|n| n.column.is_none()).chain(&draft.about) {
            if noun.tables.contains(&self.base()) {
                let name = self.catalog().table(self.base()).name.clone();
                self.mean(&noun.at, format!("rows of {name}"));
            } else if draft.about.contains(noun) || !self.grouped(draft) {
                let base = self.catalog().table(self.base()).name.clone();
                return Err(self.contradiction(&noun.at, format!("the rows are those of `{base}`; it is not clear what these have to do with them")));
            }
        }
        Ok(())
    }

    fn fill_groups(&mut self, draft: &Draft) -> Resolved<()> {
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
        for (at, ..) in &draft.derived {
            return Err(self.contradiction(at, "say what to compute of it per group, for example the average or the total"));
        }
        self.attach_to_groups(draft)?;
        let mut measures = draft.measures.clone();
        let ranked = draft.best.as_ref().is_some_and(|b| matches!(b.by, Key::Measure(_)));
        if measures.is_empty() && draft.having.is_empty() && !ranked {
            self.assume("no number was named: the rows of each group are counted");
            measures.push(MeasureM { at: 0..0, what: What::Rows(None), name: None });
        }
        for measure in &measures {
            self.add_measure(measure)?;
        }
        for (at, measure, op, value) in &draft.having {
            let measured = self.add_measure(measure)?;
            let sql = format!("{} {} {}", measured.output.sql, super::conditions::op_sql(*op), crate::ident::number(*value));
            self.mean(at, format!("only groups with {}", plain(&sql)));
            self.query.having.push(sql);
        }
        Ok(())
    }

    pub(super) fn add_measure(&mut self, measure: &MeasureM) -> Resolved<Measured> {
        let mut measured = self.measure(measure)?;
        if let Some(known) = self.query.outputs.iter().find(|o| o.sql == measured.output.sql) {
            measured.output.name.clone_from(&known.name);
        } else {
            self.query.outputs.push(measured.output.clone());
        }
        Ok(measured)
    }

    fn attach_to_groups(&mut self, draft: &Draft) -> Resolved<()> {
        for (at, mention, instead) in &draft.attach {
            if self.names_rows(mention) {
                return Err(self.contradiction(&mention.at, "this names other rows; say which column of them is wanted"));
            }
            let col = self.column(mention)?;
            if !self.depends(&col) {
                return Err(self.contradiction(at, "a group can have several of these; only what belongs to its key can be shown beside it"));
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

    fn fill_rows(&mut self, draft: &Draft) -> Resolved<()> {
        let nouns: Vec<&ColumnM> = draft.nouns.iter().filter_map(|n| n.column.as_ref()).collect();
        let columns: Vec<&ColumnM> = nouns.into_iter().chain(&draft.columns).collect();
        for mention in &columns {
            let col = self.column(mention)?;
            let output = Output { sql: self.sql(&col), name: self.output_name(&col) };
            self.query.outputs.push(output);
        }
        self.query.distinct = draft.distinct;
        self.query.star = columns.is_empty();
        if let [only] = columns.as_slice() {
            self.once_each(draft, only)?;
        }
        for (at, mention, instead) in &draft.attach {
            if self.names_rows(mention) {
                return Err(self.contradiction(&mention.at, "this names other rows; say which column of them is wanted"));
            }
            let col = self.column(mention)?;
            let output = Output { sql: self.sql(&col), name: self.output_name(&col) };
            self.mean(at, format!("shown beside each row: {}", self.label(&col)));
            if *instead {
                self.replace_code(&col, output);
            } else {
                self.query.outputs.push(output);
            }
        }
        for (at, expr, name) in &draft.derived {
            let (sql, _) = self.expr(expr)?;
            self.mean(at, format!("column {name}"));
            self.query.outputs.push(Output { sql, name: name.clone() });
        }
        Ok(())
    }

    /// "destinations" alone are the different ones; "names of customers" are one per customer.
    fn once_each(&mut self, draft: &Draft, only: &ColumnM) -> Resolved<()> {
        let col = self.column(only)?;
        let column = self.catalog().column(col.id);
        let asked = draft.distinct || draft.best.is_some() || draft.limit.is_some() || only.owner.is_some() || !draft.attach.is_empty() || !draft.derived.is_empty();
        if asked || (column.unique && col.path.is_empty()) {
            return Ok(());
        }
        let words = self.words(&only.at);
        if !only.plural || !draft.about.is_empty() || column.kind.is_number() {
            let choices = [format!("distinct {words}"), format!("all rows with {words}")];
            return Err(Problem::new(codes::AMBIGUOUS, words, "it is not clear whether each different value is wanted once, or the value of every row").choices(choices));
        }
        self.assume(format!("each different `{words}` is listed once"));
        self.query.distinct = true;
        Ok(())
    }

    fn replace_code(&mut self, col: &super::columns::Col, output: Output) {
        let Some(link) = col.path.last().copied() else { return };
        self.expand_star();
        let key = super::columns::Col { path: col.path[..col.path.len() - 1].to_vec(), id: link.from };
        let key = self.sql(&key);
        match self.query.outputs.iter_mut().find(|o| o.sql == key) {
            Some(found) => *found = output,
            None => self.query.outputs.push(output),
        }
    }

    /// All columns of the base table by name instead of `*`.
    pub(super) fn expand_star(&mut self) {
        if !std::mem::take(&mut self.query.star) {
            return;
        }
        let all: Vec<_> = self.catalog().columns(self.base()).map(|id| super::columns::Col { path: Vec::new(), id }).collect();
        let mut outputs: Vec<Output> = all.iter().map(|col| Output { sql: self.sql(col), name: self.catalog().column(col.id).name.clone() }).collect();
        outputs.append(&mut self.query.outputs);
        self.query.outputs = outputs;
    }

    fn rename(&mut self, draft: &Draft) -> Resolved<()> {
        for (mention, name) in &draft.renames {
            let (sql, _) = self.expr(&Expr::Column(mention.clone()))?;
            self.expand_star();
            match self.query.outputs.iter_mut().find(|o| o.sql == sql) {
                Some(output) => output.name.clone_from(name),
                None => return Err(self.contradiction(&mention.at, "this column is not in the result, so it cannot be renamed")),
            }
            self.mean(&mention.at, format!("called {name}"));
        }
        for (at, measure, name) in &draft.measure_names {
            let sql = match measure {
                Some(measure) => self.measure(measure)?.output.sql,
                None => self.only_measure().ok_or_else(|| self.contradiction(at, "there is not exactly one number that could be renamed"))?.sql,
            };
            match self.query.outputs.iter_mut().find(|o| o.sql == sql) {
                Some(output) => output.name.clone_from(name),
                None => return Err(self.contradiction(at, "this number is not in the result, so it cannot be renamed")),
            }
            self.mean(at, format!("called {name}"));
        }
        Ok(())
    }

    /// The one output that is not a group.
    pub(super) fn only_measure(&self) -> Option<Output> {
        let mut measures = self.query.outputs.iter().filter(|o| !self.query.group.contains(&o.sql));
        let first = measures.next()?;
        measures.next().is_none().then(|| first.clone())
    }

    /// Two columns of one name: the later ones are numbered.
    fn unique_names(&mut self) {
        let mut taken: Vec<String> = Vec::new();
        if self.query.star {
            taken.extend(self.catalog().table(self.base()).columns.iter().map(|c| c.name.to_lowercase()));
        }
        for output in &mut self.query.outputs {
            let plain = output.name.clone();
            let mut n = 2;
            while taken.contains(&output.name.to_lowercase()) {
                output.name = format!("{plain}_{n}");
                n += 1;
            }
            taken.push(output.name.to_lowercase());
        }
    }

    fn result_name(&self, grouped: bool) -> String {
        let base = crate::query::task_name(self.catalog(), self.base());
        let groups: Vec<&str> = self.query.outputs.iter().filter(|o| self.query.group.contains(&o.sql)).map(|o| o.name.as_str()).take(3).collect();
        let measure = self.query.outputs.iter().find(|o| !self.query.group.contains(&o.sql)).map(|o| o.name.as_str());
        let name = match (measure, groups.is_empty()) {
            (Some(first), _) if self.query.distinct => format!("distinct_{first}"),
            (Some(measure), false) => format!("{measure}_by_{}", groups.join("_")),
            (Some(measure), true) if grouped => measure.to_owned(),
            (None, false) => format!("{base}_by_{}", groups.join("_")),
            _ => format!("{base}_rows"),
        };
        crate::ident::slug(&name)
    }
}

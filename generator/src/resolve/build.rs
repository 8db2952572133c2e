//! The base table is tried out: the one from which everything said can be resolved is the one meant.

use super::{
    Draft, Resolved, Resolver,
    draft::{cond_columns, expr_columns, sorted},
};
use crate::{
    answer::{Meaning, Problem, codes},
    catalog::TableId,
    joins::paths,
    query::{Query, plain},
    read::Reader,
    request::{At, ColumnM, Dim, Key, What},
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
                let choices =
                    good.iter().map(|(base, _)| format!("rows of `{}`", reader.lexis.catalog.table(*base).name));
                let why = "rows of more than one table can be meant; name the table";
                return Err(vec![Problem::new(codes::AMBIGUOUS, reader.request.trim(), why).choices(choices)]);
            }
        }
    }
    Err(worst.unwrap_or_else(|| {
        vec![Problem::new(codes::NOTHING_ASKED, "", "the request names no table, column or value of any connection")]
    }))
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
            let leads = |t: &TableId| {
                counted.iter().any(|c| paths(&reader.lexis.links, *t, *c).first().is_some_and(|p| p.len() == steps))
            };
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
    let nouns = draft.nouns.iter().filter_map(|n| n.column.as_ref());
    let owners = draft.columns.iter().chain(nouns).chain(best_column(draft)).filter_map(|c| c.owner);
    sorted(
        draft
            .nouns
            .iter()
            .chain(&draft.about)
            .chain(keep)
            .chain(best)
            .flat_map(|n| n.tables.clone())
            .chain(owners)
            .collect(),
    )
}

/// "the most common plane models" counts planes.
fn best_column(draft: &Draft) -> Option<&ColumnM> {
    draft.best.as_ref().and_then(|best| match (&best.of, &best.by) {
        (Dim::Column(column), Key::Measure(measure)) if measure.what == What::Rows(None) => Some(column),
        _ => None,
    })
}

/// Tables that own any column mentioned.
fn mentioned(draft: &Draft) -> Vec<TableId> {
    let mut columns = Vec::new();
    columns.extend(draft.columns.iter().flat_map(|c| c.columns.clone()));
    columns.extend(draft.nouns.iter().filter_map(|n| n.column.as_ref()).flat_map(|c| c.columns.clone()));
    let dims = draft
        .dims
        .iter()
        .map(|(_, d)| d)
        .chain(draft.keep.iter().flat_map(|k| &k.per))
        .chain(draft.best.iter().map(|b| &b.of));
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
    let mut all: Vec<Meaning> = meanings
        .into_iter()
        .map(|(at, meaning)| Meaning {
            words: reader.words(&at).trim_matches([' ', ',', ';', '.', ':']).to_owned(),
            meaning,
        })
        .collect();
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
            let column =
                sql.split_once(" = ").map(|(left, _)| left).or_else(|| sql.split_once(" IN (").map(|(left, _)| left));
            let same = |f: &String| {
                column.is_some_and(|c| f.starts_with(&format!("{c} = ")) || f.starts_with(&format!("{c} IN (")))
            };
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

    pub(super) fn grouped(&self, draft: &Draft) -> bool {
        let ranked = draft.best.as_ref().is_some_and(|b| !self.best_is_rows(b));
        !draft.measures.is_empty() || !draft.dims.is_empty() || !draft.having.is_empty() || ranked
    }

    fn result_name(&self, grouped: bool) -> String {
        let base = crate::query::task_name(self.catalog(), self.base());
        let groups: Vec<&str> = self
            .query
            .outputs
            .iter()
            .filter(|o| self.query.group.contains(&o.sql))
            .map(|o| o.name.as_str())
            .take(3)
            .collect();
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

//! Words that name columns and rows.

use super::{Read, Reader};
use crate::{
    catalog::{ColumnId, TableId},
    request::{Clause, ColumnM, Noun},
    tokens::Shape,
    words::plural,
};

impl Reader<'_> {
    /// A column: "dep_delay", "the departure delay", "airline's name", "name of the destination airport".
    pub(crate) fn column(&self, at: usize) -> Read<ColumnM> {
        let start = self.the(at);
        let mut found = [self.turned(start), self.plain(start), self.owned(start), self.reversed(start)]
            .into_iter()
            .flatten()
            .max_by_key(|(end, _)| *end)?;
        found.0 = self.skip(found.0, &["column", "field", "columns", "fields"]);
        // "origin airport", "carrier code": the noun behind only says what the column holds.
        if found.1.via.is_empty() {
            found.0 = self.redundant(found.0, &found.1.columns);
        }
        found.1.at = start..found.0;
        Some(found)
    }

    fn plain(&self, at: usize) -> Read<ColumnM> {
        let named = self.lexis.columns_at(self.tokens, at)?;
        let end = at + named.len;
        let plural = self.tokens[end - 1].shape == Shape::Word && plural(&self.tokens[end - 1].lower);
        Some((
            end,
            ColumnM { at: at..end, columns: named.columns, via: Vec::new(), tail: named.tail, plural, owner: None },
        ))
    }

    fn redundant(&self, at: usize, columns: &[ColumnId]) -> usize {
        if let Some(end) = self.any(at, &["code", "codes"]) {
            let text = columns.iter().all(|c| self.lexis.links.iter().any(|l| l.from == *c || l.to == *c));
            return if text { end } else { at };
        }
        let Some((len, tables)) = self.lexis.table_at(self.tokens, at) else { return at };
        let leads = |c: &ColumnId| self.lexis.links.iter().any(|l| l.from == *c && tables.contains(&l.to.table));
        let goes_on = self.lower(at + len) == "'s" || self.lexis.columns_at(self.tokens, at + len).is_some();
        if columns.iter().any(leads) && !goes_on { at + len } else { at }
    }

    /// A key column or a table, then a column behind it: "carrier name", "destination airport's name".
    fn owned(&self, at: usize) -> Read<ColumnM> {
        let (end, owner) = self.owner(at)?;
        let end = self.skip(end, &["'s", "’s"]);
        let (end, mut column) = self.plain(end)?;
        owner.narrow(&mut column)?;
        column.owner = owner.tables.first().copied().filter(|_| owner.keys.is_empty());
        Some((end, column))
    }

    /// "name of the airline".
    fn reversed(&self, at: usize) -> Read<ColumnM> {
        let (end, mut column) = self.plain(at)?;
        let of = self.any(end, &["of each", "of every", "of", "for the", "for each"])?;
        let (end, owner) = self.owner(self.the(of))?;
        owner.narrow(&mut column)?;
        column.owner = owner.tables.first().copied().filter(|_| owner.keys.is_empty());
        Some((end, column))
    }

    /// "delay on departure", "date of signup": the words of one name the other way round.
    fn turned(&self, at: usize) -> Read<ColumnM> {
        let last = self.token(at).filter(|t| t.is_word() && !matches!(t.stem.as_str(), "number" | "count" | "id"))?;
        let first = self.the(self.any(at + 1, &["on", "at", "of", "in"])?);
        let words = [self.token(first).filter(|t| t.is_word())?.clone(), last.clone()];
        let named = self.lexis.columns_at(&words, 0).filter(|n| n.len == 2 && !n.tail)?;
        Some((
            first + 1,
            ColumnM {
                at: at..first + 1,
                columns: named.columns,
                via: Vec::new(),
                tail: false,
                plural: false,
                owner: None,
            },
        ))
    }

    fn owner(&self, at: usize) -> Read<Owner> {
        let key = self.plain(at).filter(|(_, c)| !c.tail).map(|(end, c)| {
            let links = self.lexis.links.iter().filter(|l| c.columns.contains(&l.from));
            let tables: Vec<TableId> = links.clone().map(|l| l.to.table).collect();
            let keys: Vec<ColumnId> = links.map(|l| l.from).collect();
            let behind = self.lexis.table_at(self.tokens, end).filter(|(_, t)| t.iter().any(|t| tables.contains(t)));
            (end + behind.map_or(0, |(len, _)| len), Owner { tables, keys })
        });
        let table =
            self.lexis.table_at(self.tokens, at).map(|(len, tables)| (at + len, Owner { tables, keys: Vec::new() }));
        [key.filter(|(_, o)| !o.keys.is_empty()), table].into_iter().flatten().max_by_key(|(end, _)| *end)
    }

    /// Rows: a table's name, or a column in the place of one ("destinations", "carriers").
    pub(crate) fn noun(&self, at: usize) -> Read<Noun> {
        let start = self.the(at);
        let table = self.lexis.table_at(self.tokens, start).map(|(len, tables)| (start + len, tables));
        let column = self.column(start).filter(|(end, c)| !c.tail && table.as_ref().is_none_or(|(t, _)| end > t));
        match (table, column) {
            (_, Some((end, column))) => Some((end, Noun { at: start..end, tables: Vec::new(), column: Some(column) })),
            (Some((end, tables)), None) => Some((end, Noun { at: start..end, tables, column: None })),
            (None, None) => None,
        }
    }

    /// Rows of a table.
    pub(crate) fn rows(&self, at: usize) -> Read<Noun> {
        self.noun(at).filter(|(_, noun)| !noun.tables.is_empty())
    }

    /// What a request is about when nothing else says it: a table, or columns to be listed.
    pub(super) fn head(&self, at: usize) -> Read<Clause> {
        if let Some(start) = self.any(at, &["which", "what", "what are the", "which are the"]) {
            return self.head(start);
        }
        if self.lower(at) == "all" || self.lower(at) == "every" {
            let start = self.skip(at + 1, &["the", "of the", "rows of", "rows in", "data from"]);
            return self.rows(start).map(|(end, noun)| (end, Clause::Noun(noun)));
        }
        if let Some(rows) = self.any(
            at,
            &[
                "all rows of",
                "all rows in",
                "rows of",
                "rows in",
                "rows from",
                "the rows of",
                "records of",
                "the table",
            ],
        ) {
            return self.rows(rows).map(|(end, noun)| (end, Clause::Noun(noun)));
        }
        let (end, noun) = self.noun(at)?;
        let list = self.column_list(at);
        match list {
            Some((longer, columns)) if longer > end || columns.len() > 1 => Some((longer, Clause::Columns(columns))),
            _ => Some((self.skip(end, &["table", "rows", "records", "data"]), Clause::Noun(noun))),
        }
    }

    /// "carrier, flight and dep_delay of flights".
    pub(super) fn column_list(&self, at: usize) -> Read<Vec<ColumnM>> {
        let (end, columns) = self.list(at, |p| {
            let (end, column) = self.column(p)?;
            let clause = self.aggregate_at(p) || self.any(p, &["save", "name it", "name the", "call"]).is_some();
            (!clause).then_some((end, column))
        })?;
        // A single tail ("delay") is no list; it is refused where it is resolved.
        Some((end, columns))
    }

    /// "of flights", "in the flights table", "for flights": says which rows, asks for nothing.
    pub(super) fn about(&self, at: usize) -> Read<Clause> {
        let start = self.any(at, &["of", "in", "for", "from", "among", "across", "on", "using", "over"])?;
        let start = self.skip(start, &["all of the", "all the", "all", "the"]);
        let (end, noun) = match self.rows(start) {
            Some(found) => found,
            // "… for carriers with at least 1000 flights" says again what the groups are.
            None => self.noun(start).filter(|(end, _)| self.having(*end).is_some())?,
        };
        Some((self.skip(end, &["table", "data", "rows", "data set", "dataset", "records"]), Clause::About(noun)))
    }

    /// "with the airline's name", "including their manufacturer", "carrier names instead of codes".
    pub(super) fn attach(&self, at: usize) -> Read<Clause> {
        let lead = self.any(
            at,
            &[
                "with",
                "including",
                "include",
                "together with",
                "along with",
                "plus",
                "showing",
                "using",
                "use",
                "and show",
                "joined with",
                "and add",
                "add",
                "enriched with",
                "and include",
                "as well as",
                "with both",
            ],
        );
        if let Some(start) = lead {
            // "with an email" keeps the rows that have one.
            if self.lower(at) == "with" && matches!(self.lower(start), "a" | "an") {
                return None;
            }
            let (end, columns) = self.column_list(start)?;
            let (end, instead) = self.instead(end);
            return Some((end, Clause::Attach { columns, instead }));
        }
        let (end, columns) = self.column_list(at)?;
        let (end, instead) = self.instead(end);
        instead.then_some((end, Clause::Attach { columns, instead }))
    }

    fn instead(&self, at: usize) -> (usize, bool) {
        let at2 = self.skip(at, &[","]);
        match self.any(at2, &["instead of", "rather than", "not"]) {
            Some(end) => {
                let end = self.the(end);
                let code = self.any(end, &["code", "codes", "id", "ids", "the codes", "its code", "their codes"]);
                let end = code.or_else(|| self.column(end).map(|(e, _)| e));
                end.map_or((at, false), |e| (e, true))
            }
            None => (at, false),
        }
    }

    /// "distinct destinations", "the different carriers".
    pub(super) fn distinct(&self, at: usize) -> Read<Clause> {
        let lead = [
            "distinct",
            "unique",
            "different",
            "without duplicates",
            "no duplicates",
            "remove duplicates",
            "drop duplicates",
            "without duplicate rows",
            "remove duplicate rows",
            "removing duplicates",
            "deduplicated",
            "deduplicate",
            "de duplicate",
            "remove exact duplicates",
            "remove the duplicates",
            "remove all duplicates",
            "ignoring duplicates",
            "each only once",
            "each once",
            "remove duplicate",
            "drop duplicate",
            "without duplicate",
            "remove repeated",
            "removing duplicate",
        ];
        let end = self.any(at, &lead)?;
        // An adjective needs its noun; "are unique" asks for something else.
        let adjective = matches!(self.lower(end - 1), "distinct" | "unique" | "different" | "duplicate" | "repeated");
        (!adjective || self.noun(end).is_some() || self.column(end).is_some()).then_some((end, Clause::Distinct))
    }
}

/// What a column belongs to.
struct Owner {
    tables: Vec<TableId>,
    keys: Vec<ColumnId>,
}

impl Owner {
    /// Keeps the columns that belong to the owner; the key column itself is no such column.
    fn narrow(&self, column: &mut ColumnM) -> Option<()> {
        column.columns.retain(|c| self.tables.contains(&c.table));
        column.via.clone_from(&self.keys);
        (!column.columns.is_empty()).then_some(())
    }
}

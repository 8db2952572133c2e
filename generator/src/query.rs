//! One query, resolved: every name is a real one and every part is SQL text.

use crate::{
    catalog::{Catalog, TableId},
    ident::ident,
    joins::{Link, Path},
};

/// Marks where a column's table goes; it is written out only when there is more than one.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// A column of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) sql: String,
    pub(crate) name: String,
}

/// The tables of a query and what they are called in it.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) base: TableId,
    /// Every table reached, by the way to it.
    pub(crate) joins: Vec<(Path, String)>,
    /// Further tables read, in subqueries.
    pub(crate) others: Vec<TableId>,
}

impl Scope {
    pub(crate) fn new(base: TableId) -> Self {
        Self { base, joins: Vec::new(), others: Vec::new() }
    }

    /// Every table read.
    pub(crate) fn tables(&self) -> Vec<TableId> {
        let mut tables = vec![self.base];
        tables.extend(self.joins.iter().filter_map(|(path, _)| path.last().map(|l| l.to.table)));
        tables.extend(&self.others);
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// A column behind a path, as SQL.
    pub(crate) fn reference(&mut self, catalog: &Catalog, path: &[Link], column: &str) -> String {
        let alias = self.alias(catalog, path);
        format!("{}{}", mark(&alias), ident(column))
    }

    fn alias(&mut self, catalog: &Catalog, path: &[Link]) -> String {
        let Some(last) = path.last() else { return task_name(catalog, self.base) };
        if let Some((_, alias)) = self.joins.iter().find(|(known, _)| known == path) {
            return alias.clone();
        }
        // The tables on the way come first.
        self.alias(catalog, &path[..path.len() - 1]);
        let table = task_name(catalog, last.to.table);
        let key = catalog.column(last.from).name.clone();
        let several = self.joins.iter().any(|(_, a)| *a == table) || table == task_name(catalog, self.base);
        let alias = if several { crate::ident::slug(&format!("{key}_{table}")) } else { table };
        self.joins.push((path.to_vec(), alias.clone()));
        alias
    }
}

/// What a table is called among the tasks: its name, with its connection where two tables share it.
pub(crate) fn task_name(catalog: &Catalog, table: TableId) -> String {
    let this = catalog.table(table);
    let name = crate::ident::slug(&this.name);
    let shared =
        catalog.table_ids().any(|other| other != table && crate::ident::slug(&catalog.table(other).name) == name);
    if shared { crate::ident::slug(&format!("{}_{}", this.connection, this.name)) } else { name }
}

/// Keep one row of each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) keys: Vec<String>,
    pub(crate) order: Vec<(String, bool)>,
}

/// A whole query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) scope: Scope,
    /// Nothing: all columns of the base table.
    pub(crate) outputs: Vec<Output>,
    /// All columns of the base table come first.
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) filters: Vec<String>,
    pub(crate) group: Vec<String>,
    pub(crate) having: Vec<String>,
    pub(crate) order: Vec<(String, bool)>,
    pub(crate) limit: Option<u64>,
    pub(crate) keep: Option<Keep>,
}

impl Query {
    pub(crate) fn new(base: TableId) -> Self {
        Self {
            scope: Scope::new(base),
            outputs: Vec::new(),
            star: false,
            distinct: false,
            filters: Vec::new(),
            group: Vec::new(),
            having: Vec::new(),
            order: Vec::new(),
            limit: None,
            keep: None,
        }
    }

    /// The query as SQL text; tables go by the names of their tasks. `rename` gives a table another task.
    pub(crate) fn sql(&self, catalog: &Catalog, rename: &dyn Fn(TableId) -> Option<String>) -> String {
        let base = task_name(catalog, self.scope.base);
        let qualified = !self.scope.joins.is_empty() || !self.scope.others.is_empty();
        let mut lines = vec![format!("SELECT{}", if self.distinct { " DISTINCT" } else { "" })];
        lines.push(self.columns(&base));
        lines.push(format!("FROM {}", self.named(catalog, self.scope.base, &base, rename)));
        for (path, alias) in &self.scope.joins {
            lines.push(self.join(catalog, path, alias, rename));
        }
        self.clauses(&mut lines);
        finish(&lines.join("\n"), qualified)
    }

    fn columns(&self, base: &str) -> String {
        let mut columns: Vec<String> = Vec::new();
        if self.star {
            columns.push(if self.scope.joins.is_empty() { "  *".to_owned() } else { format!("  {}.*", ident(base)) });
        }
        columns.extend(self.outputs.iter().map(|output| {
            let bare = output.sql.rsplit(CLOSE).next().unwrap_or_default() == ident(&output.name);
            if bare && output.sql.matches(OPEN).count() == 1 && output.sql.starts_with(OPEN) {
                format!("  {}", output.sql)
            } else {
                format!("  {} AS {}", output.sql, ident(&output.name))
            }
        }));
        columns.join(",\n")
    }

    fn named(
        &self,
        catalog: &Catalog,
        table: TableId,
        alias: &str,
        rename: &dyn Fn(TableId) -> Option<String>,
    ) -> String {
        let task = rename(table).unwrap_or_else(|| task_name(catalog, table));
        if task == alias { ident(&task) } else { format!("{} AS {}", ident(&task), ident(alias)) }
    }

    fn join(
        &self,
        catalog: &Catalog,
        path: &[Link],
        alias: &str,
        rename: &dyn Fn(TableId) -> Option<String>,
    ) -> String {
        let last = path[path.len() - 1];
        let before = self
            .scope
            .joins
            .iter()
            .find(|(p, _)| p[..] == path[..path.len() - 1])
            .map_or_else(|| task_name(catalog, self.scope.base), |(_, alias)| alias.clone());
        let (from, to) = (catalog.column(last.from), catalog.column(last.to));
        let table = if last.repeats() {
            let task = rename(last.to.table).unwrap_or_else(|| task_name(catalog, last.to.table));
            format!("(SELECT DISTINCT * FROM {}) AS {}", ident(&task), ident(alias))
        } else {
            self.named(catalog, last.to.table, alias, rename)
        };
        format!("LEFT JOIN {table} ON {}.{} = {}.{}", ident(&before), ident(&from.name), ident(alias), ident(&to.name))
    }

    fn clauses(&self, lines: &mut Vec<String>) {
        if !self.filters.is_empty() {
            lines.push(format!("WHERE {}", self.filters.join("\n  AND ")));
        }
        if !self.group.is_empty() {
            lines.push(format!("GROUP BY {}", self.group.join(", ")));
        }
        if !self.having.is_empty() {
            lines.push(format!("HAVING {}", self.having.join("\n  AND ")));
        }
        if let Some(keep) = &self.keep {
            let order: Vec<String> = keep.order.iter().map(direction).collect();
            lines.push(format!(
                "QUALIFY row_number() OVER (PARTITION BY {} ORDER BY {}) = 1",
                keep.keys.join(", "),
                order.join(", ")
            ));
        }
        if !self.order.is_empty() {
            let order: Vec<String> = self.order.iter().map(direction).collect();
            lines.push(format!("ORDER BY {}", order.join(", ")));
        }
        if let Some(limit) = self.limit {
            lines.push(format!("LIMIT {limit}"));
        }
    }
}

/// Rows without a value come last, whichever way they are ordered.
fn direction((sql, descending): &(String, bool)) -> String {
    format!("{sql}{} NULLS LAST", if *descending { " DESC" } else { "" })
}

/// What stands before the columns of a table in unfinished SQL.
pub(crate) fn mark(alias: &str) -> String {
    format!("{OPEN}{alias}{CLOSE}")
}

/// SQL of one table without the marks for tables.
pub(crate) fn plain(sql: &str) -> String {
    finish(sql, false)
}

fn finish(sql: &str, qualified: bool) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some(open) = rest.find(OPEN) {
        out.push_str(&rest[..open]);
        let close = rest[open..].find(CLOSE).map_or(rest.len(), |c| open + c);
        if qualified {
            out.push_str(&ident(&rest[open + 1..close]));
            out.push('.');
        }
        rest = rest.get(close + 1..).unwrap_or_default();
    }
    out + rest
}

//! Which column of one table names a row of another, guessed from names, uniqueness and values.
//!
//! A guess must be safe: following it may never multiply rows, so the column it leads to names at most
//! one row. Columns that share a name by accident (`year` of a flight, `year` of a plane) never link.

use crate::{
    catalog::{Catalog, ColumnId, Kind, TableId},
    words::{parts, stem},
};

/// `from` names a row of the table of `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    pub(crate) from: ColumnId,
    pub(crate) to: ColumnId,
    pub(crate) rows: Rows,
}

/// How many rows a value of `to` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rows {
    /// At most one.
    One,
    /// One that stands there more than once, each time the same.
    Repeated,
    /// Several different ones: following the link would multiply rows.
    Several,
}

impl Link {
    /// Whether identical rows must be dropped before it is followed.
    pub(crate) fn repeats(&self) -> bool {
        self.rows == Rows::Repeated
    }
}

/// Column names that mean something else in every table.
const GENERIC: [&str; 24] = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "date",
    "time",
    "time_hour",
    "name",
    "type",
    "status",
    "state",
    "description",
    "title",
    "value",
    "amount",
    "price",
    "quantity",
    "total",
    "created_at",
    "updated_at",
    "country",
    "city",
    "category",
];

/// Every link of the catalog.
pub(crate) fn links(catalog: &Catalog) -> Vec<Link> {
    let mut links = Vec::new();
    for to_table in catalog.table_ids() {
        for to in catalog.columns(to_table) {
            for from_table in catalog.table_ids().filter(|t| *t != to_table) {
                links.extend(catalog.columns(from_table).filter_map(|from| link(catalog, from, to)));
            }
        }
    }
    links
}

fn link(catalog: &Catalog, from: ColumnId, to: ColumnId) -> Option<Link> {
    let (a, b) = (catalog.column(from), catalog.column(to));
    let same_kind = a.kind == b.kind && matches!(a.kind, Kind::Integer | Kind::Text);
    if !same_kind
        || GENERIC.contains(&a.name.to_lowercase().as_str())
        || GENERIC.contains(&b.name.to_lowercase().as_str())
    {
        return None;
    }
    let owner = names_rows_of(catalog, to);
    if named(catalog, from, to) && (b.unique || owner) {
        // A key on the other side as well says nothing about which of the two is the detail.
        let key_here = names_rows_of(catalog, from);
        let rows = match (b.unique, b.unique_once) {
            (true, _) => Rows::One,
            (false, true) => Rows::Repeated,
            (false, false) => Rows::Several,
        };
        return (!key_here).then_some(Link { from, to, rows });
    }
    (b.unique && !a.unique && overlaps(&a.values, &b.values)).then_some(Link { from, to, rows: Rows::One })
}

/// The same name, or `customer_id` for `customers.id`.
fn named(catalog: &Catalog, from: ColumnId, to: ColumnId) -> bool {
    let (a, b) = (parts(&catalog.column(from).name), parts(&catalog.column(to).name));
    let table: Vec<String> = parts(&catalog.table(to.table).name).iter().map(|p| stem(p)).collect();
    (a == b && b != ["id"]) || (b == ["id"] && a == [table, vec!["id".to_owned()]].concat())
}

fn names_rows_of(catalog: &Catalog, column: ColumnId) -> bool {
    names_its_rows(&catalog.table(column.table).name, &catalog.column(column).name)
}

/// `orders.order_id`, `orders.id`: the name says that it is the key of its own table.
pub(crate) fn names_its_rows(table: &str, column: &str) -> bool {
    let name = parts(column);
    let table: Vec<String> = parts(table).iter().map(|p| stem(p)).collect();
    name == ["id"] || name == [table, vec!["id".to_owned()]].concat()
}

/// Most values of the one are values of the other.
fn overlaps(from: &[String], to: &[String]) -> bool {
    let shared = from.iter().filter(|v| to.binary_search(v).is_ok()).count();
    from.len() >= 2 && shared * 5 >= from.len() * 4
}

/// A way from one table to another along links, each naming at most one row.
pub(crate) type Path = Vec<Link>;

/// Every way from `base` to `goal` of at most three steps; the empty one when they are the same.
pub(crate) fn paths(links: &[Link], base: TableId, goal: TableId) -> Vec<Path> {
    let mut found = Vec::new();
    let mut open: Vec<Path> = vec![Vec::new()];
    for _ in 0..=3 {
        let mut longer = Vec::new();
        for path in open {
            let here = path.last().map_or(base, |link: &Link| link.to.table);
            if here == goal {
                found.push(path);
                continue;
            }
            let visited = |t: TableId| t == base || path.iter().any(|l| l.to.table == t);
            for link in links.iter().filter(|l| l.from.table == here && !visited(l.to.table)) {
                longer.push([path.clone(), vec![*link]].concat());
            }
        }
        open = longer;
    }
    let shortest = found.iter().map(Vec::len).min().unwrap_or(0);
    found.retain(|path| path.len() == shortest);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdata::catalog;

    fn named_links() -> Vec<String> {
        let catalog = catalog();
        let mut all: Vec<String> =
            links(&catalog).iter().map(|l| format!("{} -> {}", catalog.label(l.from), catalog.label(l.to))).collect();
        all.sort();
        all
    }

    #[test]
    fn keys_are_found_and_accidents_are_not() {
        assert_eq!(
            named_links(),
            [
                "flights.carrier -> airlines.carrier",
                "flights.dest -> airports.faa",
                "flights.origin -> airports.faa",
                "flights.tailnum -> planes.tailnum",
                "order_items.order_id -> orders.order_id",
                "order_items.product_id -> products.product_id",
                "orders.customer_id -> customers.customer_id",
                "weather.origin -> airports.faa",
            ]
        );
    }

    #[test]
    fn a_key_with_doubles_is_known_to_have_them() {
        let catalog = catalog();
        let doubled =
            links(&catalog).into_iter().find(|l| catalog.label(l.from) == "order_items.order_id").expect("a link");
        assert_eq!(doubled.rows, Rows::Repeated);
    }
}

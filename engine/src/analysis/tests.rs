use arrow::datatypes::{DataType, Field};

use super::{ColumnLineage, Direct, Indirect, Use};
use crate::{
    Session,
    testing::{Bench, MemoryConnection, batch, schema},
};

/// orders(id, customer, total, at), customers(id, name, country), events(user, tags: list, info: struct).
fn session(bench: &Bench) -> Session {
    let mut session = bench.session();
    let int = |name| Field::new(name, DataType::Int64, true);
    let text = |name| Field::new(name, DataType::Utf8, true);
    session
        .add_empty("orders", schema(vec![int("id"), int("customer"), int("total"), text("at")]))
        .expect("a relation");
    session.add_empty("shop.customers", schema(vec![int("id"), text("name"), text("country")])).expect("a relation");
    let tags = Field::new_list("tags", Field::new_list_field(DataType::Utf8, true), true);
    let info = Field::new_struct("info", vec![int("a"), text("b")], true);
    session.add_empty("events", schema(vec![int("user"), tags, info])).expect("a relation");
    session
}

/// `column: source use, …; …` with one letter or word per use.
fn written(lineage: &[ColumnLineage]) -> String {
    let how = |how: Use| match how {
        Use::Direct(Direct::Identity) => "=",
        Use::Direct(Direct::Transformation) => "~",
        Use::Direct(Direct::Aggregation) => "Σ",
        Use::Indirect(Indirect::Filter) => "filter",
        Use::Indirect(Indirect::Join) => "join",
        Use::Indirect(Indirect::GroupBy) => "group",
        Use::Indirect(Indirect::Sort) => "sort",
        Use::Indirect(Indirect::Window) => "window",
        Use::Indirect(Indirect::Conditional) => "if",
    };
    let column = |one: &ColumnLineage| {
        let source = |it: &super::Influence| {
            let relation = match it.source.relation.as_str() {
                "orders" => "o",
                "shop.customers" => "c",
                "events" => "e",
                other => other,
            };
            format!("{relation}.{} {}", it.source.column, how(it.how))
        };
        format!("{}: {}", one.column, one.sources.iter().map(source).collect::<Vec<_>>().join(", "))
    };
    lineage.iter().map(column).collect::<Vec<_>>().join("; ")
}

const CASES: &[(&str, &str)] = &[
    ("SELECT id FROM orders", "id: o.id ="),
    ("SELECT id AS x, id AS y FROM orders", "x: o.id =; y: o.id ="),
    ("SELECT * FROM orders", "id: o.id =; customer: o.customer =; total: o.total =; at: o.at ="),
    ("SELECT orders.* FROM orders", "id: o.id =; customer: o.customer =; total: o.total =; at: o.at ="),
    ("SELECT total * 2 + id AS x FROM orders", "x: o.id ~, o.total ~"),
    ("SELECT CAST(total AS TEXT) AS x FROM orders", "x: o.total ~"),
    ("SELECT upper(at) AS x, 1 AS one, now() AS t FROM orders", "x: o.at ~; one: ; t: "),
    ("SELECT id FROM orders WHERE total > 5", "id: o.id =, o.total filter"),
    ("SELECT id FROM orders ORDER BY total LIMIT 3", "id: o.id =, o.total sort"),
    (
        "SELECT customer, sum(total) AS s FROM orders GROUP BY customer",
        "customer: o.customer =, o.customer group; s: o.customer group, o.total Σ",
    ),
    ("SELECT count(*) AS n FROM orders", "n: "),
    ("SELECT sum(total) FILTER (WHERE id > 1) AS s FROM orders", "s: o.id filter, o.total Σ"),
    (
        "SELECT sum(total) AS s FROM orders GROUP BY customer HAVING max(id) > 3",
        "s: o.customer group, o.id filter, o.total Σ",
    ),
    ("SELECT sum(total + id) * 2 AS s FROM orders", "s: o.id Σ, o.total Σ"),
    ("SELECT DISTINCT customer FROM orders", "customer: o.customer =, o.customer group"),
    (
        "SELECT DISTINCT ON (customer) id FROM orders ORDER BY customer, at",
        "id: o.at sort, o.customer group, o.customer sort, o.id =",
    ),
    (
        "SELECT o.total, c.name FROM orders o JOIN shop.customers c ON o.customer = c.id",
        "total: o.customer join, o.total =, c.id join; name: o.customer join, c.id join, c.name =",
    ),
    (
        "SELECT o.id AS a, c.id AS b FROM orders o LEFT JOIN shop.customers c ON o.customer = c.id AND c.country = 'DE'",
        "a: o.customer join, o.id =, c.country join, c.id join; b: o.customer join, c.country join, c.id =, c.id join",
    ),
    ("SELECT a.id FROM orders a JOIN orders b ON a.id = b.customer", "id: o.customer join, o.id =, o.id join"),
    (
        "SELECT id FROM orders WHERE customer IN (SELECT id FROM shop.customers WHERE country = 'DE')",
        "id: o.customer filter, o.id =, c.country filter, c.id filter",
    ),
    (
        "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM shop.customers c WHERE c.id = o.customer)",
        "id: o.customer filter, o.id =, c.id filter",
    ),
    ("SELECT id, (SELECT max(name) FROM shop.customers) AS m FROM orders", "id: o.id =; m: c.name Σ"),
    (
        "SELECT id, (SELECT max(name) FROM shop.customers c WHERE c.id = o.customer) AS m FROM orders o",
        "id: o.id =; m: o.customer filter, c.id filter, c.name Σ",
    ),
    ("SELECT id FROM orders UNION ALL SELECT id FROM shop.customers", "id: o.id =, c.id ="),
    (
        "SELECT at AS x FROM orders UNION SELECT name FROM shop.customers",
        "x: o.at =, o.at group, c.name =, c.name group",
    ),
    (
        "SELECT total AS a, id AS b FROM orders UNION ALL SELECT id, customer FROM orders",
        "a: o.id =, o.total =; b: o.customer =, o.id =",
    ),
    (
        "WITH big AS (SELECT customer, total * 2 AS t FROM orders WHERE id > 1) SELECT t FROM big b",
        "t: o.id filter, o.total ~",
    ),
    ("SELECT x.t FROM (SELECT total AS t, id FROM orders) x WHERE x.id = 1", "t: o.id filter, o.total ="),
    ("SELECT CASE WHEN customer = 1 THEN total ELSE id END AS v FROM orders", "v: o.customer if, o.id ~, o.total ~"),
    (
        "SELECT id FROM orders WHERE CASE WHEN customer = 1 THEN true ELSE total > 1 END",
        "id: o.customer filter, o.id =, o.total filter",
    ),
    ("SELECT coalesce(at, 'x') AS v FROM orders", "v: o.at ~"),
    (
        "SELECT row_number() OVER (PARTITION BY customer ORDER BY at) AS n FROM orders",
        "n: o.at window, o.customer window",
    ),
    (
        "SELECT sum(total) OVER (PARTITION BY customer) AS s, lag(id) OVER (ORDER BY at) AS l FROM orders",
        "s: o.customer window, o.total Σ; l: o.at window, o.id ~",
    ),
    (
        "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY customer ORDER BY at DESC) AS n FROM orders) WHERE n = 1",
        "id: o.at window, o.customer window, o.id =",
    ),
    ("SELECT user, unnest(tags) AS tag FROM events", "user: e.user =; tag: e.tags ~"),
    ("SELECT info['a'] AS a FROM events", "a: e.info ~"),
    (
        "SELECT customer, total, count(*) AS n FROM orders GROUP BY GROUPING SETS ((customer), (total))",
        "customer: o.customer =, o.customer group, o.total group; total: o.customer group, o.total =, o.total group; n: o.customer group, o.total group",
    ),
    (
        "WITH RECURSIVE r AS (SELECT id AS n, at AS t FROM orders UNION ALL SELECT n + 1, t FROM r WHERE n < 5) SELECT n, t FROM r",
        "n: o.id =, o.id ~, o.id filter; t: o.at =, o.id filter",
    ),
    (
        "SELECT o.id FROM orders o LEFT ANTI JOIN shop.customers c ON o.customer = c.id",
        "id: o.customer join, o.id =, c.id join",
    ),
    ("SELECT id FROM orders INTERSECT SELECT id FROM shop.customers", "id: o.id =, o.id join, o.id group, c.id join"),
    ("VALUES (1, 'a')", "column1: ; column2: "),
    ("SELECT 9223372036854775807 - total AS x, -id AS y FROM orders", "x: o.total ~; y: o.id ~"),
];

#[tokio::test]
async fn columns_are_followed_to_their_sources() {
    let bench = Bench::new();
    let session = session(&bench);
    let mut wrong = Vec::new();
    for (sql, expected) in CASES {
        let found = match session.analyze(sql).await {
            Ok(analysis) => written(&analysis.lineage),
            Err(error) => format!("{error}"),
        };
        if found != *expected {
            wrong.push(format!("{sql}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn views_resolve_to_what_they_read() {
    let bench = Bench::new();
    let mut session = session(&bench);
    session
        .add_view("german", "SELECT id AS Customer, name FROM shop.customers WHERE country = 'DE'")
        .await
        .expect("a view");
    session
        .add_view("sales", "SELECT g.name, o.total FROM orders o JOIN german g ON g.customer = o.customer")
        .await
        .expect("a view");
    let found = session.analyze("SELECT name, sum(total) AS s FROM sales GROUP BY name").await.expect("a query");
    assert_eq!(
        written(&found.lineage),
        "name: o.customer join, c.country filter, c.id join, c.name =, c.name group; \
         s: o.customer join, o.total Σ, c.country filter, c.id join, c.name group"
    );
}

#[tokio::test]
async fn what_stays_here_is_told_with_the_reason() {
    let bench = Bench::new();
    let rows = batch(vec![
        ("id", std::sync::Arc::new(arrow::array::Int64Array::from(vec![1])) as arrow::array::ArrayRef),
        ("total", std::sync::Arc::new(arrow::array::Int64Array::from(vec![1]))),
        ("spare", std::sync::Arc::new(arrow::array::Int64Array::from(vec![1]))),
    ]);
    let mut session = bench.session();
    session.add_table("t", MemoryConnection::new([("t", rows)]), "t", &[]).await.expect("a table");
    let sql = "SELECT id FROM t WHERE id = 1 AND total > 5 AND id + total > 7 AND total IS NOT NULL LIMIT 4";
    let facts = session.analyze(sql).await.expect("a query").pushdown;
    assert_eq!(facts.len(), 1);
    let scan = &facts[0];
    assert_eq!((scan.relation.as_str(), scan.kind.as_str(), scan.of_columns), ("t", "memory", 3));
    assert_eq!(scan.columns, ["id", "total"]);
    assert_eq!(scan.filters, ["id = 1", "total > 5"]);
    assert_eq!(scan.limit, None);
    let local: Vec<(&str, bool)> = scan.local.iter().map(|local| (local.what.as_str(), local.why.is_empty())).collect();
    assert!(local.contains(&("total > 5", false)), "{local:?}");
    assert!(local.contains(&("id + total > 7", false)), "{local:?}");
    assert!(local.contains(&("total IS NOT NULL", false)), "{local:?}");
    assert!(local.contains(&("LIMIT 4", false)), "{local:?}");
    assert!(!local.iter().any(|(what, _)| *what == "id = 1"), "{local:?}");
    let facts = session.analyze("SELECT id FROM t WHERE id = 1 LIMIT 4").await.expect("a query").pushdown;
    assert_eq!((facts[0].limit, facts[0].local.len()), (Some(4), 0));
}

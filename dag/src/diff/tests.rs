use super::*;
use crate::compile::{self, Compiled, Known, KnownConnection};

fn compiled(text: &str) -> Compiled {
    let shop = KnownConnection { kind: "files".into(), tables: None };
    let known = Known { connections: [("shop".to_owned(), shop)].into(), ..Known::default() };
    compile::read(text, &known).unwrap_or_else(|found| panic!("{found:#?}"))
}

const ONE: &str = "pipeline: p
description: one
triggers: [{cron: \"0 6 * * *\"}]
tasks:
  orders: {extract: {connection: shop, table: orders}}
  sums:
    sql: |
      SELECT country,
        sum(total) AS total
      FROM orders
      GROUP BY country
  gone: {shell: {command: echo}, needs: [sums]}
";

const TWO: &str = "pipeline: p
description: two
triggers: [{cron: \"0 7 * * *\"}]
tasks:
  orders: {extract: {connection: shop, table: orders}}
  sums:
    sql: |
      SELECT country,
        avg(total) AS total
      FROM orders
      GROUP BY country
    retries: 2
  fresh: {shell: {command: echo}, needs: [sums]}
";

fn compare(one: &str, two: &str, shapes: (Option<&Shape>, Option<&Shape>)) -> Diff {
    let (one, two) = (compiled(one), compiled(two));
    let (old, new) = (one.graph.edges(), two.graph.edges());
    let before = Side { pipeline: &one.pipeline, edges: Some(&old), shape: shapes.0 };
    let after = Side { pipeline: &two.pipeline, edges: Some(&new), shape: shapes.1 };
    diff(Some(before), after, Timestamp::from_millis(1_780_000_000_000))
}

#[test]
fn the_same_definition_differs_in_nothing() {
    let shape = Shape::default();
    let same = compare(ONE, &format!("# a remark\n{ONE}"), (Some(&shape), Some(&shape)));
    assert!(same.is_empty() && same.unknown.is_empty(), "{same:#?}");
    assert_eq!(same.schedule.after.len(), FIRES);
}

#[test]
fn tasks_edges_texts_settings_and_moments_are_compared() {
    let found = compare(ONE, TWO, (None, None));
    let tasks: Vec<(&str, What)> = found.tasks.iter().map(|task| (task.name.as_str(), task.what)).collect();
    assert_eq!(tasks, [("sums", What::Changed), ("fresh", What::Added), ("gone", What::Removed)]);
    let sums = &found.tasks[0].fields;
    let sql = sums.iter().find(|field| field.path == "sql").expect("the SQL changed");
    let text = sql.diff.as_deref().expect("lines");
    assert!(text.contains("-  sum(total) AS total\n+  avg(total) AS total\n"), "{text}");
    let retries = sums.iter().find(|field| field.path == "retries").expect("retries are new");
    assert_eq!((retries.what, retries.after.clone()), (What::Added, Some(serde_json::json!(2))));
    let edges: Vec<(What, &str, &str)> =
        found.edges.iter().map(|e| (e.what, e.edge.from.as_str(), e.edge.to.as_str())).collect();
    assert_eq!(edges, [(What::Added, "sums", "fresh"), (What::Removed, "sums", "gone")]);
    assert!(
        found.schedule.changed && found.schedule.before[0].contains("T06:") && found.schedule.after[0].contains("T07:")
    );
    let settings: Vec<&str> = found.settings.iter().map(|field| field.path.as_str()).collect();
    assert!(settings.contains(&"description") && settings.contains(&"triggers"), "{settings:?}");
    assert_eq!(found.unknown.len(), 1, "the columns of neither are known");
}

#[test]
fn columns_are_gained_lost_and_come_from_elsewhere() {
    let column = |name: &str, kind: &str, source: &str| ShapeColumn {
        name: name.into(),
        kind: kind.into(),
        nullable: true,
        sources: vec![source.into()],
        decided_by: Vec::new(),
    };
    let shape = |columns: Vec<ShapeColumn>| Shape { tasks: [("sums".to_owned(), columns)].into() };
    let old = shape(vec![
        column("country", "text", "orders.country"),
        column("total", "int64", "orders.total"),
        column("old", "text", "orders.a"),
    ]);
    let new = shape(vec![
        column("country", "text", "orders.land"),
        column("total", "int64", "orders.total"),
        column("new", "text", "orders.b"),
    ]);
    let found = compare(ONE, TWO, (Some(&old), Some(&new)));
    let columns: Vec<(&str, What)> = found.columns.iter().map(|c| (c.column.as_str(), c.what)).collect();
    assert_eq!(columns, [("country", What::Changed), ("new", What::Added), ("old", What::Removed)]);
    assert!(found.unknown.is_empty());
}

#[test]
fn without_a_version_before_everything_is_new() {
    let two = compiled(TWO);
    let edges = two.graph.edges();
    let found = diff(None, Side { pipeline: &two.pipeline, edges: Some(&edges), shape: None }, Timestamp::default());
    assert!(found.tasks.iter().all(|task| task.what == What::Added) && found.tasks.len() == 3);
    assert_eq!(found.edges.len(), 2);
    assert!(found.settings.is_empty() && found.schedule.before.is_empty());
}

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, StringArray},
    datatypes::DataType,
};
use tidemill_connectors::Connections;
use tidemill_dag::{
    compile::{self, Known, KnownConnection},
    diagnostic::Diagnostic,
    template::{Context, RunFacts},
};

use super::{Proof, prove};
use crate::testing::{Bench, MemoryConnection, NOW, batch};

const HEAD: &str = "pipeline: p\nparams:\n  min: {type: number, default: 3}\ntasks:\n";

fn connections() -> Connections {
    let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let number = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let orders = batch(vec![("id", number(vec![1])), ("Country", text(vec!["DE"])), ("total", number(vec![1]))]);
    let revenue = batch(vec![("country", text(vec!["DE"])), ("revenue", number(vec![1]))]);
    let shop = MemoryConnection::new([("orders", orders), ("revenue", revenue)]);
    Connections(BTreeMap::from([("shop".to_owned(), shop as Arc<dyn tidemill_connectors::Connection>)]))
}

async fn proof(tasks: &str) -> Result<Proof, Vec<Diagnostic>> {
    let shop = KnownConnection { kind: "memory".to_owned(), tables: None };
    let known = Known { connections: BTreeMap::from([("shop".to_owned(), shop)]), ..Known::default() };
    let compiled = Arc::new(compile::read(&format!("{HEAD}{tasks}"), &known)?);
    let params = serde_json::json!({"min": 3}).as_object().cloned().expect("a map");
    let facts = RunFacts { id: None, pipeline: "p".to_owned(), started: NOW };
    let sample = Context::new(&compiled.pipeline, params, facts);
    let bench = Bench::new();
    prove(&bench.engine, &compiled, &connections(), &sample).await
}

/// `line:column code path: message | help`, one per line.
fn told(found: &[Diagnostic]) -> String {
    let one = |it: &Diagnostic| {
        let help = it.help.as_deref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{}:{} {} {}: {}{help}", it.place.line, it.place.column, it.code, it.path, it.message)
    };
    found.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_whole_definition_is_proved_task_by_task() {
    let tasks = "
  orders:
    extract: {connection: shop, table: orders, columns: [Country, total]}
  revenue:
    sql: |
      SELECT country, sum(total) AS revenue FROM orders WHERE total > {{ params.min }} GROUP BY country
  sane:
    check: {input: revenue, expect: [{not_null: country}, {unique: country}, {between: {column: revenue, min: 0}}], on_fail: quarantine}
  publish:
    load: {input: sane, connection: shop, table: fresh, mode: append}
";
    let proof = proof(tasks).await.unwrap_or_else(|errors| panic!("{}", told(&errors)));
    assert!(proof.warnings.is_empty(), "{}", told(&proof.warnings));
    let revenue = &proof.tasks["revenue"];
    let schema = revenue.schema.as_ref().expect("columns");
    assert_eq!(schema.field(0).name(), "Country");
    assert_eq!(schema.field(1).data_type(), &DataType::Int64);
    assert_eq!(revenue.pushdown[0].columns, ["Country", "total"]);
    assert_eq!(revenue.lineage[1].sources.len(), 3, "{:?}", revenue.lineage[1]);
    assert_eq!(proof.tasks["orders"].lineage[0].sources[0].source.relation, "shop.orders");
    assert_eq!(proof.tasks["sane"].schema, proof.tasks["publish"].schema);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_with_its_place() {
    let tasks = "
  orders:
    extract: {connection: shop, table: orders, columns: [country, totl]}
  other:
    extract: {connection: shop, table: nope}
  wrong:
    sql: |
      SELECT id,
             totl
      FROM shop.orders WHERE total > {{ params.min }}
  types:
    sql: SELECT uper(\"Country\") AS c FROM shop.orders
  twice:
    sql: SELECT id, total AS id FROM shop.orders
  good:
    sql: SELECT id, country FROM shop.orders
  sane:
    check:
      input: good
      expect:
        - regex: {column: id, pattern: x}
        - not_null: contry
        - sql: SELECT * FROM good WHERE idd = 1
";
    let errors = proof(tasks).await.expect_err("errors");
    let told = told(&errors);
    for expected in [
        "TM0502 tasks.orders.extract.columns[0]: there is no column `country` | did you mean `Country`?",
        "TM0502 tasks.orders.extract.columns[1]: there is no column `totl` | did you mean `total`?",
        "TM0601 tasks.other.extract.table:",
        "13:14 TM0502 tasks.wrong.sql: there is no column `totl` | did you mean `total`?",
        "TM0504 tasks.types.sql: there is no function `uper` | did you mean `upper`?",
        "TM0509 tasks.twice.sql: two columns of the result are called `id`",
        "TM0511 tasks.sane.check.expect[0]: `regex` cannot be applied to column `id`: it is Int64, not text",
        "TM0502 tasks.sane.check.expect[1]: there is no column `contry` | did you mean `Country`?",
        "TM0502 tasks.sane.check.expect[2].sql: there is no column `idd` | did you mean `id`?",
    ] {
        assert!(told.contains(expected), "{expected} in\n{told}");
    }
    assert_eq!(errors.len(), 9, "{told}");
}

#[tokio::test]
async fn what_reads_a_broken_task_is_not_blamed() {
    let tasks = "
  broken:
    sql: SELECT nope FROM shop.orders
    materialize: dataset
  reader:
    sql: SELECT anything FROM broken
    materialize: dataset
  last:
    load: {input: reader, connection: shop, table: fresh, mode: append}
";
    let errors = proof(tasks).await.expect_err("errors");
    assert_eq!(errors.len(), 1, "{}", told(&errors));
}

#[tokio::test]
async fn what_only_a_run_knows_is_a_warning() {
    let tasks = "
  scored:
    python: {code: 'def run(): return []', returns: rows}
  reader:
    sql: SELECT anything FROM scored
  counted:
    python: {code: 'def run(): return 1'}
  late:
    sql: SELECT id FROM shop.orders WHERE id = {{ tasks.counted.result }}
";
    let proof = proof(tasks).await.unwrap_or_else(|errors| panic!("{}", told(&errors)));
    let warned = told(&proof.warnings);
    assert_eq!(proof.warnings.len(), 3, "{warned}");
    for path in ["tasks.scored.python", "tasks.reader.sql", "tasks.late.sql"] {
        assert!(warned.contains(&format!("TM0515 {path}: ")), "{path} in\n{warned}");
    }
    assert!(proof.tasks["scored"].schema.is_none());
}

#[tokio::test]
async fn loads_are_compared_with_their_table() {
    let tasks = "
  rows:
    sql: SELECT Country AS country, id AS day FROM shop.orders
  strict:
    load: {input: rows, connection: shop, table: revenue, mode: append, contract: strict}
  keyed:
    load: {input: rows, connection: shop, table: revenue, mode: merge, key: [dey]}
  fine:
    load: {input: rows, connection: shop, table: revenue, mode: replace}
";
    let errors = proof(tasks).await.expect_err("errors");
    let told = told(&errors);
    let strict = "TM0513 tasks.strict.load.contract: the rows do not fit table `revenue` (contract strict): column \
                  `revenue` is missing; column `day` is new | ";
    assert!(told.contains(strict), "{told}");
    assert!(
        told.contains("TM0514 tasks.keyed.load.key: the rows have no column `dey` | did you mean `day`?"),
        "{told}"
    );
    assert!(told.contains("TM0514 tasks.keyed.load.key: the table has no column `dey`"), "{told}");
    assert!(!told.contains("tasks.fine"), "{told}");
}

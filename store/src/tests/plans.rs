//! How SQLite walks: from the few rows of a batch along indexes, never over a table. (PostgreSQL is told so by its settings.)

use super::bed::Bed;
use crate::{
    collect,
    db::{Arg, Columns, Sql},
    desk, door, sweep,
};

#[tokio::test]
async fn every_statement_of_the_door_walks_an_index() {
    let bed = Bed::sqlite().await;
    let batches = [
        &door::load::STATEMENTS[..],
        &door::write::STATEMENTS,
        &desk::create::STATEMENTS,
        &[door::claims::UPSTREAM],
        &door::items::STATEMENTS,
        &crate::wakes::STATEMENTS,
        &door::limits::STATEMENTS,
        &crate::backfills::STATEMENTS,
        &crate::approvals::STATEMENTS,
        &desk::turns::STATEMENTS,
    ];
    let (collected, by_key) = collect::statements();
    for sql in batches.concat().into_iter().chain(collected) {
        walks(&bed, sql, &[Arg::from("[]")]).await;
    }
    for (sql, count) in sweep::STATEMENTS.into_iter().chain(by_key).chain(crate::outbox::STATEMENTS) {
        walks(&bed, sql, &vec![Arg::from(0_i64); usize::from(count)]).await;
    }
}

async fn walks(bed: &Bed, sql: Sql, args: &[Arg<'_>]) {
    let explain: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {}", sql.sqlite).into_boxed_str());
    let mut plan = Vec::new();
    for row in bed.store.desk.db.read("explain", explain, args).await.expect("a plan") {
        let mut columns = Columns::of(&row, "plan");
        for column in ["id", "parent", "unused"] {
            columns.next::<i64>(column).expect("a number");
        }
        plan.push(columns.next::<String>("detail").expect("text"));
    }
    let small = [
        "SCAN json_each",
        "SCAN i",
        "SCAN input",
        "SCAN each",
        "SCAN d",
        "SCAN CONSTANT",
        "SCAN sinks",
        "SCAN t USING INDEX tasks_leased",
    ];
    let scans = |line: &&String| line.starts_with("SCAN") && !small.iter().any(|name| line.starts_with(name));
    let bad: Vec<_> = plan.iter().filter(|line| scans(line) || line.contains("AUTOMATIC")).collect();
    assert!(bad.is_empty(), "{bad:?} in {plan:#?} of {}", sql.sqlite);
}

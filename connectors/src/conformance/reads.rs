//! Rules for describing and scanning.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::Int64Type,
};
use futures::StreamExt;
use tidemill_dag::spec::LoadMode::Replace;

use super::{Outcome, Subject, check, numbers, said};
use crate::{Comparison, Literal, Predicate, Pushdown, Scan};

const ROWS: i64 = 20_000;

async fn filled(subject: &Subject) -> Outcome {
    subject.fill("read", "read", Replace, numbers(0, ROWS)).await.map(drop)
}

fn scan(subject: &Subject) -> Scan {
    Scan::table(subject.table("read"))
}

pub async fn what_was_loaded_is_described(subject: &Subject) -> Outcome {
    filled(subject).await?;
    let table = subject.table("read");
    let tables = subject.connection.tables().await.map_err(said)?;
    check(tables.contains(&table), || format!("{table} is not among the tables {tables:?}"))?;
    check(tables.is_sorted(), || format!("the tables are not sorted: {tables:?}"))?;
    let info = subject.connection.describe(&table).await.map_err(said)?;
    let columns = info.columns();
    let columns: Vec<_> = columns.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    check(columns == [("n", "int64"), ("text", "utf8")], || format!("the columns are {columns:?}"))?;
    check(info.rows.is_none_or(|rows| rows == ROWS as u64), || format!("it has {:?} rows, not {ROWS}", info.rows))
}

pub async fn what_was_loaded_is_read(subject: &Subject) -> Outcome {
    filled(subject).await?;
    let found = subject.read(scan(subject)).await?;
    check(found == numbers(0, ROWS), || format!("{} rows came back, or changed ones", found.num_rows()))?;
    let info = subject.connection.describe(&subject.table("read")).await.map_err(said)?;
    check(found.schema() == info.schema, || format!("described {:?}, read {:?}", info.schema, found.schema()))
}

pub async fn only_wanted_columns_in_the_wanted_order(subject: &Subject) -> Outcome {
    filled(subject).await?;
    for wanted in [vec!["text"], vec!["text", "n"]] {
        let columns = Some(wanted.iter().map(|&name| name.to_owned()).collect());
        let found = subject.read(Scan { columns, ..scan(subject) }).await?;
        let names: Vec<_> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
        check(names == wanted, || format!("asked for {wanted:?}, got {names:?}"))?;
        check(found.num_rows() == ROWS as usize, || format!("{} rows", found.num_rows()))?;
    }
    Ok(())
}

pub async fn no_columns_still_count_rows(subject: &Subject) -> Outcome {
    filled(subject).await?;
    let mut rows = 0;
    let streams = subject.connection.scan(Scan { columns: Some(Vec::new()), ..scan(subject) }).await.map_err(said)?;
    for mut stream in streams {
        while let Some(batch) = stream.next().await {
            rows += batch.map_err(said)?.num_rows();
        }
    }
    check(rows == ROWS as usize, || format!("{rows} rows"))
}

pub async fn a_limit_holds_over_all_streams(subject: &Subject) -> Outcome {
    filled(subject).await?;
    for (limit, partitions) in [(0, 1), (7, 1), (9_000, 3), (30_000, 2)] {
        let found = subject.read(Scan { limit: Some(limit), partitions, ..scan(subject) }).await?;
        let expected = (limit as usize).min(ROWS as usize);
        check(found.num_rows() == expected, || format!("limit {limit}: {} rows", found.num_rows()))?;
    }
    Ok(())
}

pub async fn partitions_share_the_rows(subject: &Subject) -> Outcome {
    filled(subject).await?;
    for partitions in [0, 1, 4] {
        let streams = subject.connection.scan(Scan { partitions, ..scan(subject) }).await.map_err(said)?;
        let most = partitions.max(1);
        check(streams.len() <= most, || format!("{} streams for {most} partitions", streams.len()))?;
        let found = subject.read(Scan { partitions, ..scan(subject) }).await?;
        check(found == numbers(0, ROWS), || format!("{} rows from {partitions} partitions", found.num_rows()))?;
    }
    Ok(())
}

pub async fn filters_never_lose_rows(subject: &Subject) -> Outcome {
    filled(subject).await?;
    let at_least = |n| Predicate::Compare { column: "n".into(), op: Comparison::GtEq, literal: Literal::Int(n) };
    let text = |text: &str| Predicate::In { column: "text".into(), values: vec![Literal::Text(text.into())] };
    type Wanted = fn(&RecordBatch, usize) -> bool;
    let cases: [(Predicate, Wanted); 4] = [
        (at_least(19_000), |batch, row| number(batch, row) >= 19_000),
        (Predicate::IsNull("text".into()), |batch, row| batch.column(1).is_null(row)),
        (Predicate::Or(vec![at_least(50_000), text("row 5")]), |batch, row| number(batch, row) == 5),
        (Predicate::And(vec![at_least(50_000), text("row 5")]), |_, _| false),
    ];
    let all = numbers(0, ROWS);
    for (predicate, wanted) in cases {
        let exactness = subject.connection.pushdown(&subject.table("read"), &predicate);
        let found = subject.read(Scan { filters: vec![predicate.clone()], ..scan(subject) }).await?;
        let count = |batch: &RecordBatch| (0..batch.num_rows()).filter(|&row| wanted(batch, row)).count();
        let matching = if found.num_rows() == 0 { 0 } else { count(&found) };
        check(matching == count(&all), || format!("{predicate:?}: {matching} of {} rows came back", count(&all)))?;
        let more = found.num_rows() > matching && exactness == Pushdown::Exact;
        check(!more, || format!("{predicate:?} is exact, but other rows came back too"))?;
    }
    Ok(())
}

fn number(batch: &RecordBatch, row: usize) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(row)
}

pub async fn unknown_names_are_refused(subject: &Subject) -> Outcome {
    filled(subject).await?;
    let missing = subject.table("nowhere");
    check(subject.connection.describe(&missing).await.is_err(), || format!("{missing} was described"))?;
    check(subject.connection.scan(Scan::table(&missing)).await.is_err(), || format!("{missing} was read"))?;
    let columns = Some(vec!["nothing".to_owned()]);
    check(subject.connection.scan(Scan { columns, ..scan(subject) }).await.is_err(), || {
        "an unknown column was read".into()
    })
}

//! Rules for loading: all or nothing, once, in spite of everything.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch},
    datatypes::{DataType, Field},
};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use tidemill_dag::{
    id::Attempt,
    spec::{
        Contract,
        LoadMode::{Append, Replace},
    },
};
use tokio::sync::Notify;

use super::{Outcome, Subject, build, check, numbers, rows, said};
use crate::{BatchStream, CommitGuard, ConnectorError, LoadRequest, Scan, Unguarded};

/// Lets nothing through.
struct Never;

#[async_trait]
impl CommitGuard for Never {
    async fn may_commit(&self) -> bool {
        false
    }
}

pub async fn the_same_append_twice_is_one(subject: &Subject) -> Outcome {
    let first = subject.fill("twice", "twice", Append, numbers(0, 100)).await?;
    let second = subject.fill("twice", "twice", Append, numbers(0, 100)).await?;
    check(!first.already && first.rows == 100, || format!("the first receipt is {first:?}"))?;
    check(second.already && second.rows == 100, || format!("the second receipt is {second:?}"))?;
    subject.holds("twice", 0..100).await?;
    let request = subject.request("twice", "twice", Append, numbers(0, 1).schema());
    let later =
        subject.load(LoadRequest { fence: Attempt(9), ..request.clone() }, numbers(0, 100)).await.map_err(said)?;
    check(later.already, || format!("a later attempt wrote again: {later:?}"))?;
    subject.holds("twice", 0..100).await?;
    let found = subject.connection.find_load(&request.table, &request.load_id).await.map_err(said)?;
    check(found.is_some_and(|receipt| receipt.already && receipt.rows == 100), || "the load is not found".into())?;
    let other = crate::LoadId("another".into());
    let found = subject.connection.find_load(&request.table, &other).await.map_err(said)?;
    check(found.is_none(), || format!("a load that never was is found: {found:?}"))
}

pub async fn appends_add_up(subject: &Subject) -> Outcome {
    subject.fill("sum", "sum1", Append, numbers(0, 10)).await?;
    subject.fill("sum", "sum2", Append, numbers(10, 30)).await?;
    subject.holds("sum", 0..30).await
}

pub async fn a_replacement_takes_the_place(subject: &Subject) -> Outcome {
    subject.fill("swap", "swap1", Append, numbers(0, 10)).await?;
    subject.fill("swap", "swap2", Replace, numbers(50, 60)).await?;
    subject.holds("swap", 50..60).await?;
    subject.fill("swap", "swap3", Append, numbers(60, 70)).await?;
    subject.holds("swap", 50..70).await?;
    subject.fill("swap", "swap4", Replace, numbers(0, 3)).await?;
    subject.holds("swap", 0..3).await
}

pub async fn an_old_load_is_remembered_after_a_replacement(subject: &Subject) -> Outcome {
    subject.fill("old", "old1", Replace, numbers(0, 10)).await?;
    subject.fill("old", "old2", Replace, numbers(10, 20)).await?;
    let again = subject.fill("old", "old1", Replace, numbers(0, 10)).await?;
    check(again.already, || format!("it wrote again: {again:?}"))?;
    subject.holds("old", 10..20).await
}

/// Whatever the fault: the table is as before, the load is not recorded, and the next attempt does it.
async fn nothing_happened(subject: &Subject, table: &str, request: &LoadRequest) -> Outcome {
    subject.holds(table, 0..10).await?;
    let found = subject.connection.find_load(&request.table, &request.load_id).await.map_err(said)?;
    check(found.is_none(), || format!("the failed load is recorded: {found:?}"))?;
    let next = LoadRequest { fence: Attempt(request.fence.0 + 1), ..request.clone() };
    let receipt = subject.load(next, numbers(10, 20)).await.map_err(said)?;
    check(!receipt.already, || format!("the next attempt did nothing: {receipt:?}"))?;
    subject.holds(table, 0..20).await
}

pub async fn a_refused_commit_leaves_nothing(subject: &Subject) -> Outcome {
    subject.fill("guard", "guard1", Append, numbers(0, 10)).await?;
    let request = subject.request("guard", "guard2", Append, numbers(0, 1).schema());
    let refused = subject.load_guarded(request.clone(), numbers(10, 20), &Never).await;
    let right = matches!(refused, Err(ConnectorError::NotCurrent { .. }));
    check(right, || format!("a refused commit ended as {refused:?}"))?;
    nothing_happened(subject, "guard", &request).await
}

pub async fn a_failing_stream_leaves_nothing(subject: &Subject) -> Outcome {
    subject.fill("fault", "fault1", Append, numbers(0, 10)).await?;
    let request = subject.request("fault", "fault2", Append, numbers(0, 1).schema());
    let broken = ConnectorError::CutShort { doing: "this test".into() };
    let rows = stream::iter([Ok(numbers(10, 15)), Err(broken), Ok(numbers(15, 20))]).boxed();
    let failed = subject.connection.load(request.clone(), rows, &Unguarded).await;
    check(matches!(failed, Err(ConnectorError::CutShort { .. })), || format!("the error became {failed:?}"))?;
    nothing_happened(subject, "fault", &request).await
}

/// A stream of one batch that then waits; tells when it does.
fn stuck(first: RecordBatch, waits: Arc<Notify>, go: Arc<Notify>) -> BatchStream {
    let rest = stream::once(async move {
        waits.notify_one();
        go.notified().await;
    });
    stream::iter([Ok(first)]).chain(rest.filter_map(|()| async { None })).boxed()
}

pub async fn a_load_that_is_dropped_leaves_nothing(subject: &Subject) -> Outcome {
    subject.fill("drop", "drop1", Append, numbers(0, 10)).await?;
    let request = subject.request("drop", "drop2", Append, numbers(0, 1).schema());
    let waits = Arc::new(Notify::new());
    let rows = stuck(numbers(10, 20), Arc::clone(&waits), Arc::default());
    tokio::select! {
        ended = subject.connection.load(request.clone(), rows, &Unguarded) => {
            return Err(format!("a load whose rows never end ended: {ended:?}"));
        }
        () = waits.notified() => {}
    }
    nothing_happened(subject, "drop", &request).await
}

pub async fn an_overtaken_attempt_is_refused(subject: &Subject) -> Outcome {
    let request = subject.request("fence", "fence", Append, numbers(0, 1).schema());
    let (waits, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let second = LoadRequest { fence: Attempt(2), ..request.clone() };
    let rows = stuck(numbers(0, 10), Arc::clone(&waits), Arc::clone(&go));
    let second = subject.connection.load(second, rows, &Unguarded);
    let first = async {
        waits.notified().await;
        let refused = subject.load(request, numbers(0, 10)).await;
        go.notify_one();
        refused
    };
    let (second, first) = futures::join!(second, first);
    check(matches!(first, Err(ConnectorError::Fenced { .. })), || format!("the first attempt ended as {first:?}"))?;
    second.map_err(said)?;
    subject.holds("fence", 0..10).await
}

pub async fn two_writers_at_once_lose_nothing(subject: &Subject) -> Outcome {
    let appends = (0..4).map(|n| async move {
        subject.fill("race", &format!("race{n}"), Append, numbers(n * 100, n * 100 + 100)).await
    });
    for receipt in futures::future::join_all(appends).await {
        receipt?;
    }
    subject.holds("race", 0..400).await?;
    // The same load by two at once: both are told that it is done, and it is there once.
    let request = || subject.request("race", "both", Append, numbers(0, 1).schema());
    let (one, other) =
        futures::join!(subject.load(request(), numbers(400, 500)), subject.load(request(), numbers(400, 500)));
    let (one, other) = (one.map_err(said)?, other.map_err(said)?);
    check(one.already != other.already, || format!("the receipts are {one:?} and {other:?}"))?;
    subject.holds("race", 0..500).await
}

pub async fn readers_see_the_old_or_the_new(subject: &Subject) -> Outcome {
    subject.fill("seen", "seen0", Replace, numbers(0, 5_000)).await?;
    let streams = subject.connection.scan(Scan::table(subject.table("seen"))).await.map_err(said)?;
    subject.fill("seen", "seen1", Replace, numbers(5_000, 5_010)).await?;
    let mut count = 0;
    for mut stream in streams {
        while let Some(batch) = stream.next().await {
            count += batch.map_err(said)?.num_rows();
        }
    }
    check(count == 5_000, || format!("a reader that began before a replacement saw {count} of 5000 rows"))?;
    subject.holds("seen", 5_000..5_010).await
}

pub async fn a_load_without_rows_counts(subject: &Subject) -> Outcome {
    let request = || subject.request("none", "none", Replace, numbers(0, 1).schema());
    let receipt = subject.connection.load(request(), rows(Vec::new()), &Unguarded).await.map_err(said)?;
    check(!receipt.already && receipt.rows == 0, || format!("the receipt is {receipt:?}"))?;
    let info = subject.connection.describe(&subject.table("none")).await.map_err(said)?;
    check(info.columns().len() == 2, || format!("its columns are {:?}", info.columns()))?;
    let again = subject.connection.load(request(), rows(Vec::new()), &Unguarded).await.map_err(said)?;
    check(again.already, || format!("the second receipt is {again:?}"))?;
    subject.holds("none", 0..0).await
}

/// Rows `from..to` with the columns `n` and `extra`.
fn other_columns(from: i64, to: i64) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from_iter_values((from..to).map(|n| n as f64 / 2.0))),
        Arc::new(Int64Array::from_iter_values(from..to)),
    ];
    build(vec![Field::new("extra", DataType::Float64, true), Field::new("n", DataType::Int64, true)], columns)
}

async fn drifting(subject: &Subject, table: &str, contract: Contract) -> Result<Result<u64, ConnectorError>, String> {
    subject.fill(table, &format!("{table}1"), Append, numbers(0, 10)).await?;
    let batch = other_columns(10, 20);
    let request = subject.request(table, &format!("{table}2"), Append, batch.schema());
    Ok(subject.load(LoadRequest { contract, ..request }, batch).await.map(|receipt| receipt.rows))
}

pub async fn strict_wants_the_same_columns(subject: &Subject) -> Outcome {
    let refused = drifting(subject, "strict", Contract::Strict).await?;
    let right = matches!(&refused, Err(ConnectorError::Drift { problem, .. })
        if problem.contains("`extra`") && problem.contains("`text`"));
    check(right, || format!("other columns ended as {refused:?}"))?;
    subject.holds("strict", 0..10).await?;
    let request = subject.request("strict", "strict3", Append, numbers(0, 1).schema());
    subject.load(LoadRequest { contract: Contract::Strict, ..request }, numbers(10, 20)).await.map_err(said)?;
    subject.holds("strict", 0..20).await
}

pub async fn evolve_adds_columns(subject: &Subject) -> Outcome {
    drifting(subject, "evolve", Contract::Evolve).await?.map_err(said)?;
    let found = subject.whole("evolve").await?;
    let names: Vec<_> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
    check(names == ["n", "text", "extra"], || format!("the columns are {names:?}"))?;
    let empty = |column: usize, mut rows: std::ops::Range<usize>| rows.all(|row| found.column(column).is_null(row));
    check(empty(2, 0..10) && empty(1, 10..20), || "a missing value was made up".into())?;
    let text =
        build(vec![Field::new("n", DataType::Utf8, true)], vec![Arc::new(arrow::array::StringArray::from(vec!["x"]))]);
    let request = subject.request("evolve", "evolve3", Append, text.schema());
    let refused = subject.load(request, text).await;
    check(matches!(refused, Err(ConnectorError::Drift { .. })), || format!("text in a number column: {refused:?}"))?;
    subject.holds("evolve", 0..20).await
}

pub async fn ignore_leaves_new_columns_out(subject: &Subject) -> Outcome {
    drifting(subject, "ignore", Contract::Ignore).await?.map_err(said)?;
    let found = subject.whole("ignore").await?;
    let names: Vec<_> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
    check(names == ["n", "text"], || format!("the columns are {names:?}"))?;
    subject.holds("ignore", 0..20).await
}

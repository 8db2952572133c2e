//! What tasks print.

use std::collections::HashSet;

use tidemill_dag::{
    id::{Attempt, Ordinal, RunId},
    time::Timestamp,
};

use super::bed::{Bed, key};
use crate::{LogLine, LogQuery, LogStream, Store};

fn line(run: RunId, ordinal: u32, seq: u32, text: &str) -> LogLine {
    LogLine {
        task: key(run, ordinal),
        attempt: Attempt(1),
        seq,
        at: Timestamp(i64::from(seq)),
        stream: LogStream::Stdout,
        text: text.to_owned(),
    }
}

pub async fn lines_are_read_where_one_left_off(bed: &Bed) {
    let run = bed.run(&[&[], &[]]).await;
    bed.store.append_logs(&[]).await.expect("nothing to do");
    let lines = [line(run, 0, 1, "one"), line(run, 1, 1, "other"), line(run, 0, 2, "two\0")];
    bed.store.append_logs(&lines).await.expect("stored");
    bed.store.append_logs(&lines).await.expect("stored already");
    let query = LogQuery { run, ordinal: None, after: 0, limit: 2 };
    let first = bed.store.logs(query).await.expect("lines");
    assert_eq!(first.iter().map(|it| it.line.clone()).collect::<Vec<_>>(), lines[..2]);
    let rest = bed.store.logs(LogQuery { after: first[1].cursor, ..query }).await.expect("lines");
    assert_eq!(rest.iter().map(|it| it.line.text.as_str()).collect::<Vec<_>>(), ["two\u{fffd}"]);
    let one = LogQuery { ordinal: Some(Ordinal(1)), limit: 9, ..query };
    assert_eq!(bed.store.logs(one).await.expect("lines").len(), 1);
    let other = LogQuery { run: RunId(uuid::Uuid::nil()), ..query };
    assert!(bed.store.logs(other).await.expect("lines").is_empty());
}

pub async fn a_follower_misses_nothing(bed: &Bed) {
    let run = bed.run(&[&[], &[], &[], &[]]).await;
    let (other, _) = bed.another().await;
    let write = |store: Store, ordinal| async move {
        for seq in 1..=50 {
            store.append_logs(&[line(run, ordinal, seq, "x")]).await.expect("stored");
        }
    };
    let writers = futures::future::join_all(
        (0..4).map(|ordinal| write(if ordinal % 2 == 0 { bed.store.clone() } else { other.clone() }, ordinal)),
    );
    let follow = async {
        let mut seen = HashSet::new();
        let mut after = 0;
        while seen.len() < 200 {
            for line in bed.store.logs(LogQuery { run, ordinal: None, after, limit: 10 }).await.expect("lines") {
                assert!(line.cursor > after);
                after = line.cursor;
                assert!(seen.insert((line.line.task, line.line.seq)), "a line came twice");
            }
        }
    };
    let both = async { tokio::join!(writers, follow) };
    tokio::time::timeout(std::time::Duration::from_secs(120), both).await.expect("every line is seen");
}

//! What every place for blobs must do. Panics where one does not; for tests.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;

use super::{BlobError, Blobs};

/// Runs the whole suite against an empty place.
pub async fn run(blobs: &dyn Blobs) {
    whole_or_nothing(blobs).await;
    ranges(blobs).await;
    large(blobs).await;
    one_of_many_is_first(blobs).await;
    listing(blobs).await;
    deletion(blobs).await;
    names(blobs).await;
}

async fn whole_or_nothing(blobs: &dyn Blobs) {
    let mut writer = blobs.writer("runs/a/part-0").await.expect("a writer");
    writer.write(Bytes::from_static(b"hello ")).await.expect("a write");
    assert!(matches!(blobs.size("runs/a/part-0").await, Err(BlobError::NotFound(_))), "visible before it is finished");
    writer.write(Bytes::from_static(b"world")).await.expect("a write");
    assert_eq!(writer.finish().await.expect("an end"), 11);
    assert_eq!(blobs.size("runs/a/part-0").await.expect("a size"), 11);

    let mut dropped = blobs.writer("runs/a/part-1").await.expect("a writer");
    dropped.write(Bytes::from_static(b"lost")).await.expect("a write");
    drop(dropped);
    assert!(
        matches!(blobs.size("runs/a/part-1").await, Err(BlobError::NotFound(_))),
        "a dropped writer left something"
    );

    blobs.put("runs/a/part-0", Bytes::from_static(b"again")).await.expect("a replacement");
    assert_eq!(blobs.read_range("runs/a/part-0", 0..5).await.expect("bytes"), "again");
}

async fn ranges(blobs: &dyn Blobs) {
    blobs.put("r", Bytes::from_static(b"0123456789")).await.expect("a blob");
    assert_eq!(blobs.read_range("r", 3..6).await.expect("bytes"), "345");
    assert_eq!(blobs.read_range("r", 10..10).await.expect("nothing"), "");
    assert!(matches!(blobs.read_range("r", 5..11).await, Err(BlobError::Range { size: 10, .. })));
    assert!(matches!(blobs.read_range("nowhere", 0..1).await, Err(BlobError::NotFound(_))));
}

/// More than one part of whatever parts a place writes in, in pieces that fit none of them.
async fn large(blobs: &dyn Blobs) {
    const PIECE: usize = 1_000_003;
    const PIECES: usize = 21;
    let piece = |n: usize| -> Bytes { (0..PIECE).map(|at| (at * 31 + n * 7) as u8).collect() };
    let mut writer = blobs.writer("large/part-0").await.expect("a writer");
    for n in 0..PIECES {
        writer.write(piece(n)).await.expect("a write");
    }
    assert_eq!(writer.finish().await.expect("an end"), (PIECE * PIECES) as u64);
    assert_eq!(blobs.size("large/part-0").await.expect("a size"), (PIECE * PIECES) as u64);
    for n in 0..PIECES {
        let start = (n * PIECE) as u64;
        let found = blobs.read_range("large/part-0", start..start + PIECE as u64).await.expect("bytes");
        assert!(found == piece(n), "piece {n} differs");
    }
    let mut dropped = blobs.writer("large/part-1").await.expect("a writer");
    for n in 0..PIECES {
        dropped.write(piece(n)).await.expect("a write");
    }
    drop(dropped);
    assert!(matches!(blobs.size("large/part-1").await, Err(BlobError::NotFound(_))), "half a blob is visible");
    blobs.delete_prefix("large/").await.expect("a deletion");
    let mut empty = blobs.writer("empty").await.expect("a writer");
    empty.write(Bytes::new()).await.expect("nothing");
    assert_eq!(empty.finish().await.expect("an end"), 0);
    assert_eq!(blobs.size("empty").await.expect("a size"), 0);
    assert_eq!(blobs.read_range("empty", 0..0).await.expect("nothing"), "");
    blobs.delete_prefix("empty").await.expect("a deletion");
}

async fn one_of_many_is_first(blobs: &dyn Blobs) {
    if blobs.exclusive() {
        let all = (0..8).map(|n| async move { blobs.put_new("new/one", Bytes::from(format!("from {n}"))).await });
        let won = futures::future::join_all(all).await;
        let winners: Vec<usize> =
            won.into_iter().enumerate().filter(|(_, it)| *it.as_ref().expect("an answer")).map(|(n, _)| n).collect();
        assert_eq!(winners.len(), 1, "{winners:?} all won");
        let text = format!("from {}", winners[0]);
        assert_eq!(blobs.read_range("new/one", 0..text.len() as u64).await.expect("bytes"), text);
        assert!(!blobs.put_new("new/one", Bytes::from_static(b"later")).await.expect("an answer"));
        assert_eq!(blobs.size("new/one").await.expect("a size"), text.len() as u64, "the first one was replaced");
    }
    blobs.delete_prefix("new/").await.expect("a deletion");
    assert!(blobs.put_new("new/one", Bytes::from_static(b"x")).await.expect("an answer"), "free again");
    blobs.delete_prefix("new/").await.expect("a deletion");
}

async fn listed(blobs: &dyn Blobs, prefix: &str) -> BTreeMap<String, u64> {
    blobs.list(prefix).map_ok(|blob| (blob.name, blob.size)).try_collect().await.expect("a list")
}

async fn listing(blobs: &dyn Blobs) {
    for (name, text) in [("l/1/x", "x"), ("l/1/y/z", "yz"), ("l/10", "ten"), ("l/1.a", "dot")] {
        blobs.put(name, Bytes::from_static(text.as_bytes())).await.expect("a blob");
    }
    let mut unfinished = blobs.writer("l/1/unfinished").await.expect("a writer");
    unfinished.write(Bytes::from_static(b"...")).await.expect("a write");
    let all = [("l/1.a", 3), ("l/1/x", 1), ("l/1/y/z", 2), ("l/10", 3)].map(|(name, size)| (name.to_owned(), size));
    assert_eq!(listed(blobs, "l/").await, BTreeMap::from(all.clone()));
    assert_eq!(listed(blobs, "l/1/").await, BTreeMap::from([all[1].clone(), all[2].clone()]));
    assert!(listed(blobs, "").await.contains_key("l/1/y/z"), "everything is listed");
    assert!(listed(blobs, "nowhere/").await.is_empty());
    drop(unfinished);
    for prefix in ["l", "/", "../", "l//"] {
        let refused: Result<Vec<_>, _> = blobs.list(prefix).try_collect().await;
        assert!(matches!(refused, Err(BlobError::Name(_))), "{prefix:?} was listed");
    }
    blobs.delete_prefix("l/").await.expect("a deletion");
}

async fn deletion(blobs: &dyn Blobs) {
    for name in ["d/1/x", "d/1/y/z", "d/10"] {
        blobs.put(name, Bytes::from_static(b"x")).await.expect("a blob");
    }
    blobs.delete_prefix("d/1/").await.expect("a deletion");
    blobs.delete_prefix("d/1/").await.expect("the same again");
    for gone in ["d/1/x", "d/1/y/z"] {
        assert!(matches!(blobs.size(gone).await, Err(BlobError::NotFound(_))), "{gone} is still there");
    }
    assert_eq!(blobs.size("d/10").await.expect("a neighbour stays"), 1);
    blobs.delete_prefix("d/10").await.expect("one blob");
    assert!(matches!(blobs.size("d/10").await, Err(BlobError::NotFound(_))));
}

async fn names(blobs: &dyn Blobs) {
    for name in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/./b", "a\\b", "a/", "a\0b", "ä"] {
        assert!(matches!(blobs.put(name, Bytes::new()).await, Err(BlobError::Name(_))), "{name:?} was taken");
        assert!(matches!(blobs.read_range(name, 0..0).await, Err(BlobError::Name(_))), "{name:?} was read");
    }
    assert!(matches!(blobs.delete_prefix("../").await, Err(BlobError::Name(_))));
    assert!(matches!(blobs.delete_prefix("/").await, Err(BlobError::Name(_))));
}

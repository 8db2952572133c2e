//! What every place for blobs must do. Panics where one does not; for tests.

use bytes::Bytes;

use super::{BlobError, Blobs};

/// Runs the whole suite against an empty place.
pub async fn run(blobs: &dyn Blobs) {
    whole_or_nothing(blobs).await;
    ranges(blobs).await;
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

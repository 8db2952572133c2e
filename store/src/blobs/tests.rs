use bytes::Bytes;

use super::{Blobs, Folder, conformance};

#[tokio::test]
async fn a_folder_conforms() {
    let place = tempfile::TempDir::new().expect("a folder");
    conformance::run(&Folder::open(place.path().join("blobs")).await.expect("it opens")).await;
}

#[tokio::test]
async fn two_writers_of_one_name_leave_one_whole_blob() {
    let place = tempfile::TempDir::new().expect("a folder");
    let folder = Folder::open(place.path()).await.expect("it opens");
    let again = Folder::open(place.path()).await.expect("it opens twice");
    let mut one = folder.writer("x").await.expect("a writer");
    let mut two = again.writer("x").await.expect("another");
    one.write(Bytes::from_static(b"111")).await.expect("a write");
    two.write(Bytes::from_static(b"22")).await.expect("a write");
    one.finish().await.expect("an end");
    two.finish().await.expect("an end");
    assert_eq!(folder.read_range("x", 0..2).await.expect("bytes"), "22");
    let aside = std::fs::read_dir(place.path().join(".unfinished")).expect("it is there");
    assert_eq!(aside.count(), 0, "nothing unfinished stays");
    assert!(folder.put(".unfinished/x", Bytes::new()).await.is_err());
}

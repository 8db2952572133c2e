mod s3;

use bytes::Bytes;
use tidemill_dag::time::Timestamp;

use super::{Blobs, Claim, Folder, claim, conformance};

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

#[tokio::test]
async fn what_a_killed_process_was_writing_is_dropped_by_its_age() {
    let place = tempfile::TempDir::new().expect("a folder");
    let folder = Folder::open(place.path()).await.expect("it opens");
    std::fs::write(place.path().join(".unfinished/left-behind"), "half").expect("a file");
    assert_eq!(folder.drop_unfinished(Timestamp(0)).await.expect("a look"), 0, "it is younger than that");
    assert_eq!(folder.drop_unfinished(Timestamp(i64::MAX)).await.expect("a look"), 1);
    assert_eq!(folder.drop_unfinished(Timestamp(i64::MAX)).await.expect("a look"), 0);
}

#[tokio::test]
async fn a_place_belongs_to_who_came_first() {
    let place = tempfile::TempDir::new().expect("a folder");
    let folder = Folder::open(place.path()).await.expect("it opens");
    belongs_to_who_came_first(&folder).await;
}

/// Eight come at once; all of them agree on who it is.
pub(super) async fn belongs_to_who_came_first(blobs: &dyn Blobs) {
    let names: Vec<String> = (0..8).map(|n| format!("installation-{n}")).collect();
    let claims = futures::future::join_all(names.iter().map(|name| claim(blobs, name))).await;
    let claims: Vec<Claim> = claims.into_iter().map(|it| it.expect("an answer")).collect();
    let ours = claims.iter().position(|it| *it == Claim::Ours).expect("somebody has it");
    for (n, found) in claims.iter().enumerate() {
        let expected = if n == ours { Claim::Ours } else { Claim::Others(names[ours].clone()) };
        assert_eq!(*found, expected, "{n}");
    }
    assert_eq!(claim(blobs, &names[ours]).await.expect("an answer"), Claim::Ours, "and it stays so");
}

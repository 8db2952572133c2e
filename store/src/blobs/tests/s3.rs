//! Blobs in a real S3 server, well and not so well.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tidemill_dag::time::Timestamp;
use tidemill_testkit::{Conditions, S3Fault, S3Server};

use crate::blobs::{BlobError, Blobs, Keys, S3, S3Config, S3Error, conformance};

fn config(server: &S3Server) -> S3Config {
    let (access, secret) = S3Server::KEYS;
    S3Config {
        bucket: S3Server::BUCKET.to_owned(),
        prefix: "some/where".to_owned(),
        region: None,
        endpoint: Some(server.endpoint()),
        path_style: true,
        keys: Some(Keys { access: access.to_owned(), secret: secret.to_owned(), session: None }),
    }
}

async fn opened(conditions: Conditions) -> (S3Server, S3) {
    let server = S3Server::start(conditions);
    let s3 = S3::open(config(&server)).await.expect("it opens");
    (server, s3)
}

#[tokio::test]
async fn a_bucket_conforms() {
    let (server, s3) = opened(Conditions::Kept).await;
    assert!(s3.exclusive(), "the probe sees that conditions are kept");
    conformance::run(&s3).await;
    all_given_up(&server).await;
    println!("counted: {} requests of the conformance suite of S3", server.requests());
}

#[tokio::test]
async fn a_server_that_ignores_conditions_is_found_out_and_conforms() {
    let (server, s3) = opened(Conditions::Ignored).await;
    assert!(!s3.exclusive(), "the probe sees that conditions are ignored");
    conformance::run(&s3).await;
    let again = S3::open(config(&server)).await.expect("it opens again");
    assert!(!again.exclusive());
}

#[tokio::test]
async fn a_bucket_belongs_to_who_came_first() {
    let (_server, s3) = opened(Conditions::Kept).await;
    super::belongs_to_who_came_first(&s3).await;
}

#[tokio::test]
async fn prefixes_of_one_bucket_do_not_see_each_other() {
    let (server, s3) = opened(Conditions::Kept).await;
    let other = S3::open(S3Config { prefix: String::new(), ..config(&server) }).await.expect("it opens");
    s3.put("x", Bytes::from_static(b"ours")).await.expect("a blob");
    assert!(matches!(other.size("x").await, Err(BlobError::NotFound(_))));
    assert_eq!(other.size("some/where/x").await.expect("from above it is there"), 4);
}

/// A dropped writer gives up in the background.
async fn all_given_up(server: &S3Server) {
    let since = Instant::now();
    while server.open_uploads() > 0 {
        assert!(since.elapsed() < Duration::from_secs(30), "{} uploads stay", server.open_uploads());
        tokio::task::yield_now().await;
    }
}

const PIECE: usize = 1 << 20;

fn piece(n: usize) -> Bytes {
    (0..PIECE).map(|at| (at * 17 + n) as u8).collect()
}

async fn write(s3: &S3, name: &str, pieces: usize) -> Result<u64, BlobError> {
    let mut writer = s3.writer(name).await?;
    for n in 0..pieces {
        writer.write(piece(n)).await?;
    }
    writer.finish().await
}

async fn is_whole(s3: &S3, name: &str, pieces: usize) {
    assert_eq!(s3.size(name).await.expect("it is there"), (pieces * PIECE) as u64);
    for n in 0..pieces {
        let start = (n * PIECE) as u64;
        assert!(s3.read_range(name, start..start + PIECE as u64).await.expect("bytes") == piece(n), "piece {n}");
    }
}

#[tokio::test]
async fn a_large_blob_goes_in_parts_of_which_few_are_in_memory() {
    let (server, s3) = opened(Conditions::Kept).await;
    server.fail_next("PUT", [S3Fault::Slow(Duration::from_millis(100)); 6]);
    assert_eq!(write(&s3, "large", 60).await.expect("written"), 60 << 20);
    is_whole(&s3, "large", 60).await;
    assert_eq!(server.most_parts_at_once(), 2, "two on their way and one being filled");
    println!("counted: {} parts at once for 60 MiB", server.most_parts_at_once());
}

#[tokio::test]
async fn answers_that_say_later_are_asked_again() {
    let (server, s3) = opened(Conditions::Kept).await;
    for method in ["POST", "PUT", "PUT", "PUT", "POST"] {
        server.fail_next(method, [S3Fault::Busy, S3Fault::Busy]);
    }
    assert_eq!(write(&s3, "busy", 20).await.expect("written"), 20 << 20);
    server.fail_next("GET", [S3Fault::Busy, S3Fault::Busy]);
    server.fail_next("HEAD", [S3Fault::Busy]);
    assert_eq!(s3.read_range("busy", 5..10).await.expect("bytes"), piece(0).slice(5..10));
    assert_eq!(s3.size("busy").await.expect("a size"), 20 << 20);
    assert_eq!(server.faults_left(), 0, "every planned fault was met");
    is_whole(&s3, "busy", 20).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_fetched_on_from_there() {
    let (server, s3) = opened(Conditions::Kept).await;
    write(&s3, "cut", 3).await.expect("written");
    server.fail_next("GET", [S3Fault::Cut(1), S3Fault::Cut(100_000), S3Fault::Busy, S3Fault::Cut(500_000)]);
    let found = s3.read_range("cut", 10..2_000_000).await.expect("bytes");
    let whole: Vec<u8> = [piece(0), piece(1)].concat();
    assert!(found == whole[10..2_000_000], "something is missing or twice");
    assert_eq!(server.faults_left(), 0);
    server.fail_next("GET", [S3Fault::Cut(1); 20]);
    let error = s3.read_range("cut", 0..1_000).await.expect_err("it has an end");
    assert!(matches!(error, BlobError::Io { action: "read", .. }), "{error:?}");
    assert_eq!(server.faults_left(), 11, "fetched once, and on eight times");
}

#[tokio::test]
async fn lost_answers_do_not_matter() {
    let (server, s3) = opened(Conditions::Kept).await;
    server.fail_next("PUT", [S3Fault::LoseAnswer]);
    assert!(s3.put_new("once", Bytes::from_static(b"mine")).await.expect("an answer"), "it was ours, told twice");
    assert!(!s3.put_new("once", Bytes::from_static(b"other")).await.expect("an answer"));
    assert!(!s3.put_new("once", Bytes::from_static(b"mine and more")).await.expect("an answer"));
    let mut writer = s3.writer("lost").await.expect("a writer");
    server.fail_next("PUT", [S3Fault::LoseAnswer]);
    for n in 0..20 {
        writer.write(piece(n)).await.expect("a write");
    }
    // The upload ends at the first telling; the second one meets an upload that is gone.
    server.fail_next("POST", [S3Fault::LoseAnswer]);
    assert_eq!(writer.finish().await.expect("an end"), 20 << 20);
    assert_eq!(server.faults_left(), 0);
    is_whole(&s3, "lost", 20).await;
}

#[tokio::test]
async fn a_write_that_fails_leaves_nothing() {
    let (server, s3) = opened(Conditions::Kept).await;
    server.fail_next("PUT", [S3Fault::Busy; 40]);
    let error = write(&s3, "failed", 20).await.expect_err("the server never gets better");
    assert!(matches!(&error, BlobError::Io { action: "write", .. }), "{error:?}");
    let text = std::error::Error::source(&error).expect("why").to_string();
    assert!(text.contains("503 SlowDown"), "{text}");
    assert!(matches!(s3.size("failed").await, Err(BlobError::NotFound(_))));
    all_given_up(&server).await;
}

#[tokio::test]
async fn uploads_of_killed_processes_are_dropped_by_their_age() {
    let (server, s3) = opened(Conditions::Kept).await;
    let mut writer = s3.writer("killed").await.expect("a writer");
    for n in 0..10 {
        writer.write(piece(n)).await.expect("a write");
    }
    // As if the process had been killed: nobody says goodbye.
    std::mem::forget(writer);
    assert_eq!(server.open_uploads(), 1);
    assert_eq!(s3.drop_unfinished(Timestamp(0)).await.expect("a look"), 0, "it is younger than that");
    let later = Timestamp::from_millis(4_000_000_000_000);
    assert_eq!(s3.drop_unfinished(later).await.expect("a look"), 1);
    assert_eq!(server.open_uploads(), 0);
}

#[tokio::test]
async fn a_link_is_read_by_anybody_until_its_time_is_over() {
    let (server, s3) = opened(Conditions::Kept).await;
    s3.put("linked", Bytes::from_static(b"for everybody")).await.expect("a blob");
    let link = s3.presigned("linked", Duration::from_secs(60)).await.expect("an answer").expect("a link");
    assert!(link.starts_with(&server.endpoint()) && !link.contains(S3Server::KEYS.1), "{link}");
    let client = reqwest::Client::new();
    let answer = client.get(&link).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.text().await.expect("text")), (200, "for everybody".to_owned()));
    let unsigned = link.split('?').next().expect("an address");
    let closed = client.get(unsigned).send().await.expect("an answer");
    assert_eq!(closed.status().as_u16(), 403, "without the signature it is closed");
    let week = Duration::from_secs(8 * 24 * 3600);
    assert!(s3.presigned("linked", week).await.is_err(), "S3 allows a week");
}

#[tokio::test]
async fn what_keeps_a_bucket_from_being_used_is_named() {
    let server = S3Server::start(Conditions::Kept);
    let open = |change: fn(&mut S3Config)| {
        let mut config = config(&server);
        change(&mut config);
        async { S3::open(config).await.map(drop).expect_err("it cannot be used") }
    };
    let wrong_key = open(|it| it.keys.as_mut().expect("keys").secret = "wrong-secret-value".to_owned()).await;
    assert!(matches!(wrong_key, S3Error::Denied { .. }), "{wrong_key:?}");
    assert!(!format!("{wrong_key} {wrong_key:?}").contains("wrong-secret-value"));
    let no_bucket = open(|it| it.bucket = "nowhere".to_owned()).await;
    assert!(matches!(no_bucket, S3Error::NoBucket { .. }), "{no_bucket:?}");
    let nobody = open(|it| it.endpoint = Some("http://127.0.0.1:9".to_owned())).await;
    assert!(matches!(nobody, S3Error::Unreachable { .. }), "{nobody:?}");
    for change in [
        (|it| it.endpoint = Some("minio:9000".to_owned())) as fn(&mut S3Config),
        |it| it.bucket = String::new(),
        |it| it.bucket = "a/b".to_owned(),
        |it| it.prefix = "../x".to_owned(),
    ] {
        let error = open(change).await;
        assert!(matches!(error, S3Error::Setting { .. }), "{error:?}");
        assert_eq!(error.code(), "TM1420");
    }
    assert!(!format!("{:?}", config(&server)).contains(S3Server::KEYS.1), "the secret key is not printed");
}

use std::time::Instant;

use tidemill_testkit::{Redis, RedisOptions as Kind, Sentinel};

use super::*;
use crate::transport::conformance;

/// A transport over the shared server, with keys of its own.
fn over(server: &Redis, prefix: &str) -> RedisTransport {
    let options = RedisOptions {
        authority: server.certificates().map(|files| std::fs::read(&files.authority).expect("a certificate")),
        prefix: prefix.to_owned(),
        ..RedisOptions::new(server.url())
    };
    RedisTransport::new(&options).expect("an address")
}

fn tickets(ordinals: std::ops::Range<u32>) -> Vec<Ticket> {
    let task = |ordinal| TaskKey { run: RunId(uuid::Uuid::nil()), ordinal: Ordinal(ordinal) };
    ordinals.map(|ordinal| Ticket { task: task(ordinal), attempt: Attempt(1) }).collect()
}

fn queue() -> Vec<String> {
    vec!["q".to_owned()]
}

async fn publish(transport: &RedisTransport, tickets: &[Ticket]) -> Result<(), TransportError> {
    transport.publish("q", Priority::Normal, tickets).await
}

const SET: &str = "{%}:ready:q:1";

fn set(prefix: &str) -> String {
    SET.replace('%', prefix)
}

/// Waits for something that needs a moment.
async fn until(mut what: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !what().await {
        assert!(since.elapsed() < Duration::from_secs(30), "it does not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn redis_conforms() {
    conformance::run(&over(Redis::shared(), "conforms")).await;
}

#[tokio::test]
async fn redis_with_tls_and_a_password_conforms() {
    let kind = Kind { password: Some("p@ss word".into()), tls: true, ..Kind::default() };
    let server = Redis::start(kind).expect("a server");
    let authority = server.certificates().map(|files| std::fs::read(&files.authority).expect("a certificate"));
    let url = format!("rediss://:p%40ss%20word@localhost:{}", server.port());
    let options = RedisOptions { authority: authority.clone(), ..RedisOptions::new(url) };
    conformance::run(&RedisTransport::new(&options).expect("an address")).await;
    let wrong = format!("rediss://:hidden@localhost:{}", server.port());
    for (url, authority) in [(wrong, authority), (options.url, None)] {
        let transport = RedisTransport::new(&RedisOptions { authority, ..RedisOptions::new(url) }).expect("an address");
        let error = transport.condition().await.expect_err("a stranger is let in");
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    }
}

#[tokio::test]
async fn a_failover_loses_no_more_than_tickets() {
    let all = Sentinel::start(Some("pw")).expect("a sentinel");
    let place = all.address().replace("redis://", "redis+sentinel://:pw@");
    let options = RedisOptions::new(format!("{place}/{}", Sentinel::MASTER));
    let transport = RedisTransport::new(&options).expect("an address");
    conformance::run(&transport).await;
    let before = transport.condition().await.expect("it answers").epoch;
    all.first.stop();
    until(async || publish(&transport, &tickets(0..2)).await.is_ok()).await;
    let mut taken = Vec::new();
    until(async || {
        taken.extend(transport.take(&queue(), 9).await.unwrap_or_default());
        !taken.is_empty()
    })
    .await;
    assert_eq!(taken, tickets(0..2));
    assert_ne!(transport.condition().await.expect("it answers").epoch, before, "the sweep must look after it");
}

#[tokio::test]
async fn what_is_offered_again_is_there_once() {
    let transport = over(Redis::shared(), "once");
    for _ in 0..3 {
        publish(&transport, &tickets(0..5)).await.expect("it publishes");
    }
    assert_eq!(Redis::shared().ask(&["ZCARD", &set("once")]).expect("a number"), "5");
    assert_eq!(transport.take(&queue(), 9).await.expect("tickets"), tickets(0..5));
}

#[tokio::test]
async fn a_queue_stays_short_and_says_when_it_is_full() {
    let transport = over(Redis::shared(), "short");
    assert_eq!(transport.condition().await.expect("it answers").full, Vec::<String>::new());
    publish(&transport, &tickets(0..8_000)).await.expect("it publishes");
    publish(&transport, &tickets(8_000..20_000)).await.expect("it publishes");
    assert_eq!(Redis::shared().ask(&["ZCARD", &set("short")]).expect("a number"), CAPACITY.to_string());
    assert_eq!(transport.condition().await.expect("it answers").full, queue());
    let first = transport.take(&queue(), 100).await.expect("tickets");
    assert_eq!(first, tickets(0..100), "the oldest stay");
}

#[tokio::test]
async fn what_is_no_ticket_is_dropped() {
    let transport = over(Redis::shared(), "nonsense");
    for nonsense in ["", "0123456789012345678901234", "too long for a ticket, far too long", "short"] {
        Redis::shared().ask(&["ZADD", &set("nonsense"), "0", nonsense]).expect("it is there");
    }
    publish(&transport, &tickets(7..8)).await.expect("it publishes");
    assert_eq!(transport.take(&queue(), 9).await.expect("tickets"), tickets(7..8));
}

#[tokio::test]
async fn who_stops_leaves_nothing_behind() {
    let transport = over(Redis::shared(), "stops");
    let waiting = tokio::time::timeout(Duration::from_millis(50), transport.take(&queue(), 9)).await;
    assert!(waiting.is_err(), "nothing is there");
    publish(&transport, &tickets(0..3)).await.expect("it publishes");
    until(async || Redis::shared().ask(&["ZCARD", &set("stops")]).expect("a number") == "0").await;
    assert_eq!(transport.stop_taking().await, tickets(0..3), "the command that waited took them");
    let waiting = tokio::time::timeout(Duration::from_millis(50), transport.take(&queue(), 9)).await;
    assert!(waiting.is_err(), "nothing is there");
    assert_eq!(transport.stop_taking().await, Vec::new());
    publish(&transport, &tickets(3..4)).await.expect("it publishes");
    assert_eq!(Redis::shared().ask(&["ZCARD", &set("stops")]).expect("a number"), "1", "nobody takes any more");
}

#[tokio::test]
async fn trouble_passes() {
    let server = Redis::start(Kind::default()).expect("a server");
    let transport = over(&server, "trouble");
    let epoch = async || transport.condition().await.expect("it answers").epoch;
    let first = epoch().await;
    assert_eq!(epoch().await, first);

    server.ask(&["FLUSHALL"]).expect("it forgets");
    let flushed = epoch().await;
    assert_ne!(flushed, first, "a flush shows");

    publish(&transport, &tickets(0..1)).await.expect("it publishes");
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).ok();
    publish(&transport, &tickets(1..2)).await.expect("a broken connection is replaced");
    assert_eq!(transport.take(&queue(), 9).await.expect("tickets"), tickets(0..2));

    let waiting = tokio::time::timeout(Duration::from_millis(50), transport.take(&queue(), 9)).await;
    assert!(waiting.is_err(), "nothing is there");
    server.stop();
    assert!(transport.take(&queue(), 9).await.is_err());
    assert!(publish(&transport, &tickets(2..3)).await.is_err());
    server.again().expect("it comes back");
    publish(&transport, &tickets(3..4)).await.expect("it publishes again");
    assert_eq!(transport.take(&queue(), 9).await.expect("tickets"), tickets(3..4));
    assert_ne!(epoch().await, flushed, "a restart shows");

    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).expect("it is set");
    let error = publish(&transport, &tickets(4..5)).await.expect_err("there is no room");
    assert!(format!("{error:?}").contains("OOM"), "{error:?}");
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]).expect("it is set");
    publish(&transport, &tickets(4..5)).await.expect("there is room");
    assert_eq!(transport.take(&queue(), 9).await.expect("tickets"), tickets(4..5));
}

#[test]
fn tickets_survive_the_wire() {
    for ticket in tickets(0..3) {
        assert_eq!(decode(&encode(ticket)), Some(ticket));
    }
    let mut other = encode(tickets(0..1)[0]);
    other[0] = 9;
    assert_eq!(decode(&other), None);
}

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tidemill_testkit::KafkaServer;

use super::*;

const TOPICS: [&str; 3] = ["pipeline.events", "audit.events", "metrics.events"];

fn sink(server: &KafkaServer) -> Arc<Kafka> {
    let [pipeline, audit, metrics] = TOPICS.map(str::to_owned);
    let config =
        KafkaConfig { brokers: server.address(), pipeline_topic: pipeline, audit_topic: audit, metrics_topic: metrics };
    Arc::new(Kafka::new(config).expect("a producer"))
}

/// What a topic holds, as `at_least` messages of key and value.
fn read(server: &KafkaServer, topic: &str, at_least: usize) -> Vec<(String, Value)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", server.address())
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("a partition");
    consumer.assign(&list).expect("assigned");
    let (since, mut found) = (Instant::now(), Vec::new());
    while found.len() < at_least {
        assert!(since.elapsed() < Duration::from_secs(60), "{topic}: {} of {at_least}", found.len());
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
            let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
            let value = serde_json::from_slice(message.payload().unwrap_or_default()).expect("JSON");
            found.push((key, value));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_late_gets_everything() {
    let bed = Bed::new().await;
    let server = KafkaServer::away();
    let relay = bed.relay(sink(&server));
    assert_eq!(relay.look().await.expect("a look"), Looked::Idle, "it begins now");
    let runs = [bed.run().await, bed.run().await];
    let looked = relay.look().await.expect("a look");
    assert!(matches!(looked, Looked::Failed(_)), "nobody listens yet: {looked:?}");
    assert_eq!(bed.store.sinks().await.expect("sinks")[0].behind, 10, "nothing is lost");
    server.come_up();
    TOPICS.iter().for_each(|topic| server.topic(topic));
    bed.clock.advance(Duration::from_secs(60));
    let since = Instant::now();
    while bed.store.sinks().await.expect("sinks")[0].behind > 0 {
        assert!(since.elapsed() < Duration::from_secs(90), "the broker does not get them");
        relay.look().await.expect("a look");
        bed.clock.advance(Duration::from_secs(60));
    }
    let told = read(&server, TOPICS[0], 10);
    let ids: BTreeSet<&str> = told.iter().map(|(_, value)| value["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), 10);
    for run in runs {
        let of_run: Vec<&Value> = told.iter().filter(|(key, _)| *key == run.to_string()).map(|(_, it)| it).collect();
        assert_eq!(of_run.last().expect("an end")["type"], "run.succeeded", "a run is told in order");
        assert!(of_run.iter().all(|it| it["version"] == 1 && it["run"] == run.to_string()));
    }
    let audit = read(&server, TOPICS[1], 10);
    assert!(audit.iter().all(|(key, value)| *key == value["id"].as_str().expect("an id")));
    assert!(audit.iter().any(|(_, value)| value["actor"] == "w"));
    let kinds: Vec<Value> =
        read(&server, TOPICS[2], 6).into_iter().map(|(_, it)| it["measured"]["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "task").count(), 2);
}

/// The process ends between the delivery and the note of it: the next one tells the same again, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_sending_and_noting_repeats_and_loses_nothing() {
    let bed = Bed::new().await;
    let server = KafkaServer::start();
    TOPICS.iter().for_each(|topic| server.topic(topic));
    let relay = bed.relay(sink(&server));
    relay.look().await.expect("a look");
    let run = bed.run().await;
    let me = WorkerId("relay".to_owned());
    let state = bed.store.lease_sink("kafka", Start::Now, &me, LEASE).await.expect("an answer").expect("ours");
    let events = bed.store.unread_events(state.cursor, 3).await.expect("events");
    assert_eq!(sink(&server).deliver(&events).await, Ok(3), "sent, and then the process is gone");
    bed.clock.advance(2 * LEASE);
    let next = Relay::new(bed.store.clone(), sink(&server), WorkerId("next".to_owned()));
    assert_eq!(next.drain().await.expect("a look"), Looked::Idle);
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for (_, value) in read(&server, TOPICS[0], 8) {
        *times.entry(value["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    let all = bed.store.events(run, 0, 100).await.expect("events");
    for (n, event) in all.iter().enumerate() {
        let expected = if n < 3 { 2 } else { 1 };
        assert_eq!(times.get(&format!("evt_{}", event.id)), Some(&expected), "event {n}");
    }
    println!("counted: {} events, {} messages after a crash", all.len(), times.values().sum::<u32>());
}

#[test]
fn a_broker_must_be_named() {
    let config = KafkaConfig {
        brokers: " ".to_owned(),
        pipeline_topic: String::new(),
        audit_topic: String::new(),
        metrics_topic: String::new(),
    };
    assert!(Kafka::new(config).is_err());
}

//! What every transport must do. Panics where one does not; for tests.

use std::time::Duration;

use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket},
    spec::Priority,
};
use uuid::Uuid;

use super::Transport;

/// Longer than any transport may need to hand over what is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the whole suite against an empty transport.
pub async fn run(transport: &dyn Transport) {
    higher_priorities_come_first(transport).await;
    queues_are_apart(transport).await;
    taking_waits(transport).await;
    a_dropped_take_loses_nothing(transport).await;
    what_is_there_is_taken_at_once(transport).await;
}

fn tickets(ordinals: std::ops::Range<u32>) -> Vec<Ticket> {
    let task = |ordinal| TaskKey { run: RunId(Uuid::nil()), ordinal: Ordinal(ordinal) };
    ordinals.map(|ordinal| Ticket { task: task(ordinal), attempt: Attempt(1) }).collect()
}

async fn publish(transport: &dyn Transport, queue: &str, priority: Priority, ordinals: std::ops::Range<u32>) {
    transport.publish(queue, priority, &tickets(ordinals)).await.expect("it publishes");
}

/// Takes until so many have come.
async fn take(transport: &dyn Transport, queue: &str, count: usize) -> Vec<Ticket> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let queues = [queue.to_owned()];
        let some = transport.take(&queues, count - taken.len());
        let some = tokio::time::timeout(PATIENCE, some).await.expect("it comes").expect("it takes");
        assert!(!some.is_empty() && some.len() <= count - taken.len(), "{} tickets", some.len());
        taken.extend(some);
    }
    taken
}

async fn higher_priorities_come_first(transport: &dyn Transport) {
    publish(transport, "a", Priority::Low, 20..22).await;
    publish(transport, "a", Priority::Normal, 10..12).await;
    publish(transport, "a", Priority::High, 0..2).await;
    let order: Vec<u32> = take(transport, "a", 6).await.iter().map(|ticket| ticket.task.ordinal.0).collect();
    assert_eq!(order, [0, 1, 10, 11, 20, 21]);
}

async fn queues_are_apart(transport: &dyn Transport) {
    publish(transport, "a", Priority::Normal, 0..1).await;
    publish(transport, "b", Priority::Normal, 1..2).await;
    assert_eq!(take(transport, "b", 1).await, tickets(1..2));
    assert_eq!(take(transport, "a", 1).await, tickets(0..1));
}

async fn taking_waits(transport: &dyn Transport) {
    let later = async {
        tokio::task::yield_now().await;
        publish(transport, "a", Priority::Normal, 5..6).await;
    };
    let (taken, ()) = tokio::join!(take(transport, "a", 1), later);
    assert_eq!(taken, tickets(5..6));
}

async fn a_dropped_take_loses_nothing(transport: &dyn Transport) {
    let queue = ["a".to_owned()];
    for _ in 0..10 {
        let nothing = tokio::time::timeout(Duration::from_millis(1), transport.take(&queue, 1)).await;
        assert!(nothing.is_err(), "it took what nobody published");
    }
    publish(transport, "a", Priority::Normal, 0..3).await;
    assert_eq!(take(transport, "a", 3).await.len(), 3);
}

async fn what_is_there_is_taken_at_once(transport: &dyn Transport) {
    let now = async |queues: &[&str], max| {
        let queues: Vec<String> = queues.iter().map(|queue| (*queue).to_owned()).collect();
        tokio::time::timeout(PATIENCE, transport.take_now(&queues, max))
            .await
            .expect("it does not wait")
            .expect("it takes")
    };
    assert_eq!(now(&["a", "b"], 5).await, []);
    publish(transport, "a", Priority::Normal, 0..3).await;
    publish(transport, "b", Priority::High, 7..8).await;
    assert_eq!(now(&["a", "b"], 1).await, tickets(7..8), "the highest class first");
    assert_eq!(now(&["a"], 2).await, tickets(0..2));
    assert_eq!(take(transport, "a", 1).await, tickets(2..3), "what is left is there for whoever waits");
    assert_eq!(now(&["a", "b"], 5).await, []);
}

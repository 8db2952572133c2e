use std::sync::Arc;

use tidemill_testkit::{ManualClock, Redis, RedisOptions};

use super::{CacheState, Never, answer, ask, caller, hit, learn, missed};
use crate::cache::{AnswerCache, CacheSection};
use crate::hooks::Cache;
use crate::secret::Place;

fn shared(redis: &Redis, prefix: &str) -> AnswerCache {
    let section =
        CacheSection { redis: Some(Place(redis.url())), prefix: prefix.to_owned(), ..CacheSection::default() };
    AnswerCache::open(section, Arc::new(ManualClock::default()), Arc::new(Never)).expect("opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_share_exact_and_near_answers() {
    let redis = Redis::shared();
    let (one, other) = (shared(redis, "cache-share"), shared(redis, "cache-share"));
    learn(&one, &caller(), "Show the top 10 customers", "ten").await;
    assert_eq!(hit(&other, &caller(), "Show the top 10 customers").await, Some((CacheState::Exact, "ten".to_owned())));
    let third = shared(redis, "cache-share");
    assert_eq!(
        hit(&third, &caller(), "please show the top ten customers").await,
        Some((CacheState::Semantic, "ten".to_owned()))
    );
    let stranger = shared(redis, "cache-other");
    assert_eq!(hit(&stranger, &caller(), "Show the top 10 customers").await, None);
    let kept = redis.ask(&["KEYS", "cache-share:answer:*"]).expect("answers");
    let left = redis.ask(&["PTTL", kept.trim()]).expect("answers");
    let left: i64 = left.trim().parse().expect("milliseconds");
    assert!(left > 0 && left <= 24 * 3600 * 1000, "answers end by themselves: {left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_or_dies_costs_a_miss() {
    let redis = Redis::start(RedisOptions::default()).expect("starts");
    let cache = shared(&redis, "cache-down");
    learn(&cache, &caller(), "q", "one").await;
    redis.pause();
    assert!(hit(&cache, &caller(), "q").await.is_some(), "memory still answers");
    let (ticket, _) = missed(cache.lookup(&caller(), &ask("another")).await);
    cache.store(ticket, &caller(), &ask("another"), &answer("two")).await;
    assert!(hit(&cache, &caller(), "another").await.is_some());
    redis.resume();
    redis.stop();
    missed(cache.lookup(&caller(), &ask("a third")).await);
    assert!(cache.stats().failures >= 2);
}

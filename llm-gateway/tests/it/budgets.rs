//! A thousand calls at once never spend more than they may: in one process, in three over Redis, and when one is killed
//! between reservation and settlement.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill_llm_gateway::limits::{Amount, Ledger, Limit, Measure, MemoryLedger, Meter, RedisLedger, Scope};
use tidemill_llm_gateway::secret::Place;
use tidemill_testkit::{ManualClock, Redis, SeededChance};

use crate::stage::{RealClock, Stage, config, question};
use crate::upstream::{Step, Upstream, answer, json_answer, plain};

const CALLS: usize = 1_000;
/// What each call may take at most: 100 tokens of answer and the bound of its prompt.
const BUDGET: u64 = 40_000;

/// Takes as many tokens of answer as it may, the worst there can be, after a moment.
async fn greedy() -> Upstream {
    Upstream::start(|seen| {
        let most = seen.body["max_tokens"].as_u64().expect("a cap is passed on");
        let mut steps = vec![Step::Wait(Duration::from_millis(seen.number as u64 % 7))];
        match seen.number % 10 {
            3 => steps.extend(plain(500, "text/plain", "", b"")),
            // A cut answer: nobody knows what it took, so all of it counts.
            6 => steps.push(Step::Send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"cho".to_vec())),
            _ => steps.extend(json_answer(200, &answer("Hi", 40, most))),
        }
        steps
    })
    .await
}

fn limits(redis: Option<&str>, prefix: &str) -> Value {
    let mut ledger = json!({"prefix": prefix});
    if let Some(url) = redis {
        ledger["redis"] = url.into();
    }
    json!({
        "ledger": ledger,
        "tiers": {"free": {"limits": [{"tokens": BUDGET, "per": "1h"}, {"money": "1000"}]}},
        "tenants": {"default": {"tier": "free"}},
        "limits": {"run": [{"requests": 100_000}]},
        "prices": [{"model": "m-1", "input": 1, "output": 2}],
        "deployments": {"m": {"concurrency": 64, "queue": 100_000}},
        // The breaker is not what is tested here.
        "breaker": {"failures": 1_000_000},
    })
}

/// Sends calls at once; how many came back with which code, and the tokens that answers told.
async fn storm(stage: &Stage, calls: usize) -> HashMap<String, usize> {
    let headers = [("x-tidemill-run", "run_1")];
    let body = question(json!({})).to_string();
    let sent = (0..calls).map(|_| stage.send("POST", "/v1/chat/completions", &headers, body.clone()));
    let mut codes: HashMap<String, usize> = HashMap::new();
    for response in futures::future::join_all(sent).await {
        let code = if response.status == 200 { "ok".to_owned() } else { response.code() };
        if code == "TM1107" {
            assert_eq!(response.status, 429);
        }
        *codes.entry(code).or_default() += 1;
    }
    codes
}

/// The most that was spent, as the upstream knows it: whole answers told 140 tokens, cut ones may have taken as many.
fn spent(upstream: &Upstream) -> u64 {
    let seen = upstream.seen.lock().expect("sound");
    seen.iter()
        .filter(|seen| seen.number % 10 != 3)
        .map(|seen| 40 + seen.body["max_tokens"].as_u64().expect("a cap"))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_in_one_process_never_overspend() {
    let upstream = greedy().await;
    let stage = Stage::of(config(&upstream.url(), limits(None, "x"))).await;
    let codes = storm(&stage, CALLS).await;
    let spent = spent(&upstream);
    println!("counted: one process: {codes:?}, {spent} of {BUDGET} tokens spent");
    assert!(spent <= BUDGET, "{spent} of {BUDGET}");
    assert!(spent > BUDGET * 8 / 10, "the budget is used: {spent} of {BUDGET}");
    assert_eq!(codes.values().sum::<usize>(), CALLS);
    assert!(codes["TM1107"] > 0 && codes["ok"] > 0);
    // And nothing stays reserved.
    let left = stage.ask(json!({"max_tokens": 1})).await;
    let used = BUDGET - left.header("x-ratelimit-remaining-tokens").map_or(0, |n| n.parse::<u64>().expect("a number"));
    assert!(left.code() == "TM1107" || used <= BUDGET, "{}", left.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_tell_what_is_left_and_when_to_come_back() {
    let upstream = Upstream::start(|_| json_answer(200, &answer("Hi", 40, 10))).await;
    let more = json!({
        "tiers": {"free": {"limits": [{"requests": 3, "per": "1m"}, {"money": "0.001"}]}},
        "tenants": {"default": {"tier": "free"}},
        "prices": [{"model": "m-1", "input": 1, "output": 2}],
    });
    let stage = Stage::before(&upstream.url(), more).await;
    let first = stage.ask(json!({})).await;
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("3"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("2"));
    assert_eq!(first.header("x-tidemill-cost"), Some("0.000060"));
    stage.clock.advance(Duration::from_secs(30));
    stage.ask(json!({})).await;
    stage.ask(json!({})).await;
    let refused = stage.ask(json!({})).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "TM1107"));
    assert!(refused.text().contains("requests per 1m"), "{}", refused.text());
    let after: u64 = refused.header("retry-after").expect("a hint").parse().expect("a number");
    assert!((30..=31).contains(&after), "{after}");
    stage.clock.advance(Duration::from_secs(after));
    assert_eq!(stage.ask(json!({})).await.status, 200, "the hint was right");
    // A call that can never fit says so: no hint.
    stage.clock.advance(Duration::from_secs(120));
    let dear =
        stage.ask(json!({"max_tokens": 100, "messages": [{"role": "user", "content": "x".repeat(2_000)}]})).await;
    assert_eq!((dear.code().as_str(), dear.header("retry-after")), ("TM1107", None), "{}", dear.text());
}

fn redis_ledger(url: &str, prefix: &str, seed: u64) -> Arc<Ledger> {
    let url = Place(url.to_owned()).read().expect("plain text");
    let ledger = RedisLedger::connect(&url, prefix, Arc::new(SeededChance::new(seed))).expect("an address");
    Arc::new(Ledger::Redis(ledger))
}

fn limit(cap: u64, per: Option<Duration>) -> Arc<[Limit]> {
    let meter = Meter { scope: Scope::Run, tenant: "t".into(), name: "r".into(), per, measure: Measure::Tokens };
    [Limit { meter, cap }].into()
}

const LEASE: Duration = Duration::from_secs(60);

/// The same steps on both ledgers give the same answers.
#[tokio::test(flavor = "multi_thread")]
async fn both_ledgers_count_alike() {
    let memory = Arc::new(Ledger::Memory(MemoryLedger::new(Arc::new(ManualClock::default()))));
    for ledger in [memory, redis_ledger(&Redis::shared().url(), "alike", 1)] {
        for per in [None, Some(Duration::from_secs(3_600))] {
            let limits = limit(100, per);
            let take = async |tokens: u64| {
                let amount = Amount { requests: 1, tokens, micros: 0 };
                ledger.reserve(limits.clone(), amount, LEASE).await
            };
            let (first, standing) = take(60).await.expect("it fits");
            assert_eq!((standing[0].cap, standing[0].left), (100, 40));
            assert_eq!(take(41).await.expect_err("reserved counts").code(), "TM1107");
            first.settle(Amount { tokens: 10, ..Amount::default() });
            let second = loop {
                // Redis settles beside the path.
                match take(90).await {
                    Ok((hold, _)) => break hold,
                    Err(error) => assert_eq!(error.code(), "TM1107"),
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            };
            assert!(take(1).await.is_err());
            drop(second);
            // Dropped without a settlement it is spent, for ever where there is no window.
            let mut error = take(1).await.expect_err("all is spent");
            for _ in 0..500 {
                let settled = match (per, error.retry_after()) {
                    (None, hint) => hint.is_none(),
                    (Some(_), hint) => hint.is_some_and(|after| after > Duration::from_secs(1)),
                };
                if settled {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
                error = take(1).await.expect_err("all is spent");
            }
            assert!(error.to_string().contains("100 of 100"), "{error}");
            assert_eq!(error.retry_after().is_some(), per.is_some(), "{error}");
        }
    }
}

/// A reservation of a process that died ends with its lease, not before.
#[tokio::test(flavor = "multi_thread")]
async fn leases_give_back_what_the_dead_reserved() {
    let ledger = redis_ledger(&Redis::shared().url(), "leases", 2);
    let limits = limit(100, None);
    let amount = Amount { requests: 1, tokens: 100, micros: 0 };
    let (hold, _) = ledger.reserve(limits.clone(), amount, Duration::from_millis(400)).await.expect("it fits");
    // As a killed process: neither settled nor dropped.
    std::mem::forget(hold);
    assert!(ledger.reserve(limits.clone(), amount, LEASE).await.is_err());
    let began = std::time::Instant::now();
    while ledger.reserve(limits.clone(), amount, LEASE).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "the lease never ends");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_ledger_nothing_is_spent() {
    let upstream = greedy().await;
    let mut more = limits(Some("redis://127.0.0.1:1"), "x");
    more["timeouts"] = json!({"total": "20s"});
    let stage = Stage::of(config(&upstream.url(), more)).await;
    let response = stage.ask(json!({})).await;
    assert_eq!((response.status, response.code().as_str()), (503, "TM1125"), "{}", response.text());
    assert_eq!(upstream.calls(), 0);
}

/// Not a test of its own: a gateway process for the tests below, which start this binary with its address.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn gateway_process() {
    let (Ok(upstream), Ok(redis), Ok(calls)) = (
        std::env::var("GATE_UPSTREAM"),
        std::env::var("GATE_REDIS"),
        std::env::var("GATE_CALLS").map(|calls| calls.parse::<usize>().expect("a number")),
    ) else {
        panic!("it is started by other tests");
    };
    let seed = u64::from(std::process::id());
    let clock = ManualClock::default();
    let outside = tidemill_llm_gateway::Outside::plain(Arc::new(RealClock), Arc::new(SeededChance::new(seed)));
    let mut more = limits(Some(&redis), &std::env::var("GATE_PREFIX").expect("a prefix"));
    more["timeouts"] = json!({"total": std::env::var("GATE_TOTAL").unwrap_or_else(|_| "60s".to_owned())});
    let stage = Stage::with(config(&upstream, more), outside, clock).await;
    let codes = storm(&stage, calls).await;
    println!("codes: {}", serde_json::to_string(&codes).expect("JSON"));
    stage.gateway.settled().await;
}

fn process(upstream: &Upstream, prefix: &str, calls: usize) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args(["--ignored", "--exact", "budgets::gateway_process", "--nocapture"])
        .env("GATE_UPSTREAM", upstream.url())
        .env("GATE_REDIS", Redis::shared().url())
        .env("GATE_PREFIX", prefix)
        .env("GATE_CALLS", calls.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process")
}

async fn finished(child: Child) -> HashMap<String, usize> {
    let output =
        tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("no panic").expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split_once("codes: ").map(|(_, codes)| codes.to_owned()));
    serde_json::from_str(&line.unwrap_or_else(|| panic!("it told nothing: {text}"))).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_over_redis_never_overspend() {
    let upstream = greedy().await;
    let children: Vec<Child> = (0..3).map(|_| process(&upstream, "three", CALLS / 3 + 1)).collect();
    let mut answered = 0;
    for child in children {
        answered += finished(child).await.get("ok").copied().unwrap_or(0);
    }
    let spent = spent(&upstream);
    println!("counted: three processes: {answered} answers, {spent} of {BUDGET} tokens spent");
    assert!(spent <= BUDGET, "{spent} of {BUDGET}");
    assert!(spent > BUDGET * 8 / 10, "the budget is used: {spent} of {BUDGET}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_between_reservation_and_settlement_does_not_break_the_budget() {
    // The first calls hang: their process is killed while they are reserved.
    let upstream = Upstream::start(|seen| match seen.number {
        0..40 => vec![Step::UntilGone],
        _ => json_answer(200, &answer("Hi", 40, seen.body["max_tokens"].as_u64().expect("a cap"))),
    })
    .await;
    let mut doomed = process(&upstream, "killed", 40);
    crate::stage::until("the calls arrive", || upstream.calls() >= 40).await;
    doomed.kill().expect("it ran");
    doomed.wait().expect("it ended");
    let codes = finished(process(&upstream, "killed", CALLS)).await;
    let seen = upstream.seen.lock().expect("sound");
    let spent: u64 = seen.iter().skip(40).map(|seen| 40 + seen.body["max_tokens"].as_u64().expect("a cap")).sum();
    // What the dead one reserved is still held: 40 calls with their bounds are not there to spend.
    let held: u64 = seen.iter().take(40).map(|seen| 40 + seen.body["max_tokens"].as_u64().expect("a cap")).sum();
    println!("counted: after a kill: {codes:?}, {spent} spent beside {held} and more still held, of {BUDGET}");
    assert!(spent + held <= BUDGET, "{spent} + {held} of {BUDGET}");
    assert!(codes["ok"] > 0 && codes["TM1107"] > 0);
}

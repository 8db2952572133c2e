mod pairs;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tidemill_dag::time::{Chance, Span};
use tidemill_testkit::{ManualClock, SeededChance};

use super::bound::{Pair, Watched, calibrate, lower, upper};
use super::{AnswerCache, CacheSection, Keys, SemanticMode, agree};
use crate::answer::{Answer, Finish};
use crate::caller::Caller;
use crate::embed::{EmbeddingSection, EndpointSection};
use crate::hooks::{Cache, Lookup, Ticket};
use crate::request::{Format, Message, Part, Request, Role, Tool};
use crate::usage::{CacheState, Usage};

fn caller() -> Caller {
    Caller { cache_namespace: Some("plans".into()), tables: Some("v1".into()), ..Caller::of("acme") }
}

fn ask(question: &str) -> Request {
    let mut request = Request::ask("auto", question);
    request.sampling.temperature = Some(0.0);
    request
}

fn answer(text: &str) -> Answer {
    Answer {
        id: "a".into(),
        model: "m".into(),
        parts: vec![Part::Text(text.into())],
        finish: Finish::Stop,
        usage: Usage { input: 10, output: 5, ..Usage::default() },
    }
}

struct Never;

impl Chance for Never {
    fn draw(&self) -> f64 {
        1.0
    }

    fn bits(&self) -> u128 {
        0
    }
}

struct Always;

impl Chance for Always {
    fn draw(&self) -> f64 {
        0.0
    }

    fn bits(&self) -> u128 {
        0
    }
}

fn open(section: CacheSection) -> (AnswerCache, ManualClock) {
    let clock = ManualClock::default();
    let cache = AnswerCache::open(section, Arc::new(clock.clone()), Arc::new(Never)).expect("opens");
    (cache, clock)
}

fn with_mode(mode: SemanticMode) -> CacheSection {
    let mut section = CacheSection::default();
    section.semantic.mode = mode;
    section
}

fn missed(lookup: Lookup) -> (Ticket, Option<String>) {
    match lookup {
        Lookup::Miss { ticket, example } => (ticket, example.map(|e| e.answer)),
        Lookup::Hit { answer, state, .. } => panic!("a {} hit: {}", state.name(), answer.text()),
        Lookup::Off => panic!("not looked up"),
    }
}

async fn learn(cache: &AnswerCache, caller: &Caller, question: &str, text: &str) {
    let request = ask(question);
    let (ticket, _) = missed(cache.lookup(caller, &request).await);
    cache.store(ticket, caller, &request, &answer(text)).await;
}

/// The state and text of a hit.
async fn hit(cache: &AnswerCache, caller: &Caller, question: &str) -> Option<(CacheState, String)> {
    match cache.lookup(caller, &ask(question)).await {
        Lookup::Hit { answer, state, .. } => Some((state, answer.text())),
        Lookup::Miss { .. } | Lookup::Off => None,
    }
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_until_its_time_is_over() {
    let (cache, clock) = open(CacheSection::default());
    learn(&cache, &caller(), "Which orders are late?", "none").await;
    clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(hit(&cache, &caller(), "Which orders are late?").await, Some((CacheState::Exact, "none".to_owned())));
    clock.advance(Duration::from_secs(1));
    assert_eq!(hit(&cache, &caller(), "Which orders are late?").await, None);
}

#[tokio::test]
async fn a_stream_gets_what_a_whole_answer_left() {
    let (cache, _) = open(CacheSection::default());
    learn(&cache, &caller(), "q", "text").await;
    let streamed = Request { stream: true, include_usage: true, ..ask("q") };
    assert!(matches!(cache.lookup(&caller(), &streamed).await, Lookup::Hit { state: CacheState::Exact, .. }));
}

/// Everything that changes the right answer is in the key.
#[test]
fn each_part_of_a_request_changes_its_key() {
    let base =
        || Request { messages: vec![Message::text(Role::System, "s"), Message::text(Role::User, "q")], ..ask("") };
    let key = |caller: &Caller, request: &Request| Keys::of(caller, request, 0).expect("may be kept");
    let mut changed: Vec<(&str, Caller, Request)> = vec![
        ("tenant", Caller { tenant: "other".into(), ..caller() }, base()),
        ("namespace", Caller { cache_namespace: Some("other".into()), ..caller() }, base()),
        ("tables", Caller { tables: Some("v2".into()), ..caller() }, base()),
        ("model", caller(), Request { model: "other".into(), ..base() }),
        ("format", caller(), Request { format: Format::JsonObject, ..base() }),
        ("max_tokens", caller(), Request { max_tokens: Some(7), ..base() }),
        ("parallel", caller(), Request { parallel_tools: Some(false), ..base() }),
    ];
    let tool = |description: &str| Tool {
        name: "t".into(),
        description: Some(description.into()),
        parameters: serde_json::json!({}),
        strict: None,
    };
    let mut with = |name, edit: &dyn Fn(&mut Request)| {
        let mut request = base();
        edit(&mut request);
        changed.push((name, caller(), request));
    };
    with("system", &|r| r.messages[0] = Message::text(Role::System, "another"));
    with("role", &|r| r.messages[0].role = Role::User);
    with("question", &|r| r.messages[1] = Message::text(Role::User, "another"));
    with("turn", &|r| r.messages.insert(1, Message::text(Role::User, "before")));
    with("tool", &|r| r.tools = vec![tool("a")]);
    with("tool text", &|r| r.tools = vec![tool("b")]);
    with("top_p", &|r| r.sampling.top_p = Some(0.5));
    with("top_k", &|r| r.sampling.top_k = Some(5));
    with("seed", &|r| r.sampling.seed = Some(0));
    with("stop", &|r| r.sampling.stop = vec!["x".into()]);
    with("extra", &|r| drop(r.extra.insert("logit_bias".into(), 1.into())));
    let mut keys = vec![key(&caller(), &base())];
    for (name, caller, request) in &changed {
        let keys_of = key(caller, request);
        assert!(keys.iter().all(|k| k.exact != keys_of.exact), "{name} does not change the key");
        if *name != "question" {
            let near = |k: &Keys| k.near.as_ref().map(|n| n.0);
            assert_ne!(near(&keys[0]), near(&keys_of), "{name} does not change the context");
        }
        keys.push(keys_of);
    }
    assert_ne!(Keys::of(&caller(), &base(), 1), Keys::of(&caller(), &base(), 0), "the epoch");
    println!("counted: parts of a request that change its cache key: {}", changed.len() + 1);
}

#[test]
fn the_order_of_json_fields_does_not_matter() {
    let with = |text: &str| {
        let schema = serde_json::from_str(text).expect("is JSON");
        Keys::of(
            &caller(),
            &Request { format: Format::JsonSchema { name: "n".into(), schema, strict: None }, ..ask("q") },
            0,
        )
    };
    assert_eq!(with(r#"{"a": 1, "b": {"c": 2, "d": []}}"#), with(r#"{"b": {"d": [], "c": 2}, "a": 1}"#));
    assert_ne!(with(r#"{"a": [1, 2]}"#), with(r#"{"a": [2, 1]}"#));
}

#[tokio::test]
async fn what_may_not_be_kept_is_not_looked_up() {
    let (cache, _) = open(CacheSection::default());
    let warm = Request { sampling: Default::default(), ..ask("q") };
    let nameless = Caller { cache_namespace: None, ..caller() };
    let empty = Caller { cache_namespace: Some("".into()), ..caller() };
    assert!(matches!(cache.lookup(&caller(), &warm).await, Lookup::Off));
    assert!(matches!(cache.lookup(&nameless, &ask("q")).await, Lookup::Off));
    assert!(matches!(cache.lookup(&empty, &ask("q")).await, Lookup::Off));
    let declared = Caller { idempotent: true, ..caller() };
    assert!(matches!(cache.lookup(&declared, &warm).await, Lookup::Miss { .. }));
    assert_eq!(cache.stats().off, 3);
}

#[tokio::test]
async fn cut_refused_empty_and_calling_answers_are_not_kept() {
    let (cache, _) = open(CacheSection::default());
    let call = Part::ToolCall { id: "1".into(), name: "drop".into(), arguments: "{}".into() };
    let bad = [
        Answer { finish: Finish::Length, ..answer("cut") },
        Answer { finish: Finish::Refused, ..answer("no") },
        answer("  "),
        Answer { parts: vec![call.clone()], finish: Finish::ToolCalls, ..answer("") },
        Answer { parts: vec![call], ..answer("") },
    ];
    for answer in bad {
        let (ticket, _) = missed(cache.lookup(&caller(), &ask("q")).await);
        cache.store(ticket, &caller(), &ask("q"), &answer).await;
    }
    assert_eq!(hit(&cache, &caller(), "q").await, None);
    assert_eq!(cache.stats().kept, 0);
}

#[tokio::test]
async fn near_requests_are_served_only_if_the_guard_agrees() {
    let (cache, _) = open(with_mode(SemanticMode::Both));
    learn(&cache, &caller(), "Show the top 10 customers by revenue", "ten").await;
    let semantic = hit(&cache, &caller(), "Please display the top ten customers by revenue").await;
    assert_eq!(semantic, Some((CacheState::Semantic, "ten".to_owned())));
    let (_, example) = missed(cache.lookup(&caller(), &ask("Show the top 100 largest customers by revenue")).await);
    assert_eq!(example, None, "too far to be an example");
    let (_, example) = missed(
        cache
            .lookup(&caller(), &ask("Load orders from staging to production and show the top 10 customers by revenue"))
            .await,
    );
    assert_eq!(example, None);

    let long = "Copy the paid orders of each customer with their invoices and payments from staging to production every day at 6am";
    learn(&cache, &caller(), long, "plan").await;
    let (_, example) = missed(cache.lookup(&caller(), &ask(&long.replace("6am", "6pm"))).await);
    assert_eq!(example.as_deref(), Some("plan"), "near, but another time: an example");
    let (_, example) = missed(
        cache.lookup(&caller(), &ask(&long.replace("from staging to production", "from production to staging"))).await,
    );
    assert_eq!(example.as_deref(), Some("plan"));
    let stats = cache.stats();
    assert_eq!((stats.semantic, stats.examples, stats.guarded), (1, 2, 2));
}

#[tokio::test]
async fn near_never_crosses_tenants_tables_system_prompts_or_earlier_turns() {
    let (cache, _) = open(CacheSection::default());
    learn(&cache, &caller(), "Show the top 10 customers", "ten").await;
    let near = "please show the top 10 customers";
    assert!(hit(&cache, &caller(), near).await.is_some());
    for other in [
        Caller { tenant: "b".into(), ..caller() },
        Caller { cache_namespace: Some("b".into()), ..caller() },
        Caller { tables: Some("v2".into()), ..caller() },
    ] {
        assert_eq!(hit(&cache, &other, near).await, None);
    }
    let mut talk = ask(near);
    talk.messages.insert(0, Message::text(Role::User, "Only German ones."));
    talk.messages.insert(1, Message::text(Role::Assistant, "Yes."));
    assert!(matches!(cache.lookup(&caller(), &talk).await, Lookup::Miss { example: None, .. }));
}

#[tokio::test]
async fn near_requests_can_be_examples_only_or_off() {
    let long = "Copy the paid orders of each customer with their invoices from staging to production every day";
    let near = format!("please {}", long.replace("every day", "daily"));
    for (mode, example) in [(SemanticMode::Examples, Some("plan")), (SemanticMode::Off, None)] {
        let (cache, _) = open(with_mode(mode));
        learn(&cache, &caller(), long, "plan").await;
        let (_, found) = missed(cache.lookup(&caller(), &ask(&near)).await);
        assert_eq!(found.as_deref(), example);
    }
}

#[tokio::test]
async fn identical_requests_at_once_make_one_call() {
    let (cache, _) = open(CacheSection::default());
    let cache = Arc::new(cache);
    let (ticket, _) = missed(cache.lookup(&caller(), &ask("q")).await);
    let others: Vec<_> = (0..50)
        .map(|_| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { hit(&cache, &caller(), "q").await })
        })
        .collect();
    tokio::task::yield_now().await;
    cache.store(ticket, &caller(), &ask("q"), &answer("one")).await;
    for other in others {
        assert_eq!(other.await.expect("ends"), Some((CacheState::Exact, "one".to_owned())));
    }
    println!("counted: 51 identical requests at once: 1 call, {} waited for it", cache.stats().joined);
    assert_eq!(cache.stats().misses, 1);
}

#[tokio::test]
async fn those_who_wait_for_a_call_that_fails_go_out_themselves() {
    let (cache, _) = open(CacheSection::default());
    let cache = Arc::new(cache);
    let (ticket, _) = missed(cache.lookup(&caller(), &ask("q")).await);
    let other = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { hit(&cache, &caller(), "q").await })
    };
    tokio::task::yield_now().await;
    drop(ticket);
    assert_eq!(other.await.expect("ends"), None);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_section_says() {
    let (cache, _) = open(CacheSection { wait: Span(Duration::from_millis(20)), ..CacheSection::default() });
    let (_ticket, _) = missed(cache.lookup(&caller(), &ask("q")).await);
    assert_eq!(hit(&cache, &caller(), "q").await, None, "it goes out itself though the first call is still on its way");
}

#[tokio::test]
async fn memory_stays_bounded() {
    let (cache, _) = open(CacheSection { max_bytes: 400_000, max_entries: 10_000, ..CacheSection::default() });
    let text = "x".repeat(500);
    for n in 0..2_000 {
        learn(&cache, &caller(), &format!("question {n} about table t{n}"), &text).await;
    }
    let stats = cache.stats();
    println!(
        "counted: answers kept of 2000 in 400 kB: {} entries, {} bytes, {} evicted",
        stats.entries, stats.bytes, stats.evicted
    );
    assert!(stats.bytes <= 400_000 && stats.entries > 100 && stats.evicted > 1_000);
    assert!(hit(&cache, &caller(), "question 1999 about table t1999").await.is_some());
    assert_eq!(hit(&cache, &caller(), "question 0 about table t0").await, None);
}

#[tokio::test]
async fn shadow_calls_measure_and_tighten() {
    let clock = Arc::new(ManualClock::default());
    let cache = AnswerCache::open(CacheSection::default(), clock, Arc::new(Always)).expect("opens");
    learn(&cache, &caller(), "Show the top 10 customers", r#"{"limit": 10}"#).await;
    let near = "please show the top ten customers";
    let Lookup::Hit { shadow: Some(ticket), state: CacheState::Semantic, .. } =
        cache.lookup(&caller(), &ask(near)).await
    else {
        panic!("a near hit with a shadow call")
    };
    cache.store(ticket, &caller(), &ask(near), &answer(r#"{"limit":10}"#)).await;
    assert_eq!(cache.stats().false_hit_rate(), Some(0.0));

    let other = "please display the top ten customers";
    let Lookup::Hit { shadow: Some(ticket), .. } = cache.lookup(&caller(), &ask(other)).await else {
        panic!("a near hit")
    };
    cache.store(ticket, &caller(), &ask(other), &answer(r#"{"limit": 11}"#)).await;
    let stats = cache.stats();
    assert_eq!((stats.shadows, stats.false_hits, stats.tightened), (2, 1, 1));
    assert_eq!(
        hit(&cache, &caller(), "hello, show the top ten customers").await,
        None,
        "even the same words are no longer near enough"
    );
    let elsewhere = Caller { cache_namespace: Some("other".into()), ..caller() };
    learn(&cache, &elsewhere, "Show the top 10 customers", "x").await;
    assert!(hit(&cache, &elsewhere, near).await.is_some(), "other namespaces keep their bound");
}

#[test]
fn answers_agree_by_what_they_say() {
    let agrees = |a: &str, b: &str| agree(&answer(a), &answer(b));
    assert!(agrees("There are 12 late orders.", "There  are 12 late orders."));
    assert!(agrees(r#"{"a": 1, "b": [2]}"#, "```json\n{\"b\":[2],\"a\":1}\n```"));
    assert!(!agrees(r#"{"a": 1}"#, r#"{"a": 2}"#));
    assert!(!agrees("There are 12 late orders.", "There are 13 late orders."));
    assert!(agrees("There are 12 late orders in total.", "In total, there are 12 late orders."));
    assert!(!agrees("Drop the table and restore it", "A subscription ends with its period"));
}

#[test]
fn a_bound_belongs_to_its_embedding() {
    let opened = |edit: &dyn Fn(&mut CacheSection)| {
        let mut section = CacheSection::default();
        edit(&mut section);
        AnswerCache::open(section, Arc::new(ManualClock::default()), Arc::new(SeededChance::new(1)))
    };
    let code = |result: Result<AnswerCache, crate::GatewayError>| result.err().map(|error| error.code());
    assert_eq!(code(opened(&|s| s.semantic.serve_above = Some(0.95))), Some("TM1153"));
    let foreign = |s: &mut CacheSection| {
        (s.semantic.serve_above, s.semantic.calibrated_for) = (Some(0.95), Some("minilm-x".into()))
    };
    assert_eq!(code(opened(&foreign)), Some("TM1153"));
    let own = |s: &mut CacheSection| {
        (s.semantic.serve_above, s.semantic.calibrated_for) = (Some(0.95), Some("ngrams-512".into()))
    };
    assert!(opened(&own).is_ok());
    assert_eq!(
        code(opened(&|s| s.semantic.embedding = EmbeddingSection::Minilm("/nonexistent".into()))),
        Some("TM1152")
    );
    assert_eq!(code(opened(&|s| s.ttl = Span(Duration::ZERO))), Some("TM1127"));
    assert_eq!(code(opened(&|s| s.semantic.shadow = 2.0)), Some("TM1127"));
}

#[tokio::test]
async fn an_embedding_without_a_measured_bound_serves_nothing_and_one_that_is_down_is_a_miss() {
    let mut section = CacheSection::default();
    let url = "http://127.0.0.1:9/v1".to_owned();
    section.semantic.embedding =
        EmbeddingSection::Endpoint(EndpointSection { url, model: "m".into(), key: None, timeout: Span::seconds(2) });
    let (cache, _) = open(section);
    assert_eq!((&*cache.embedding(), cache.serve_above), ("endpoint-m", None));
    learn(&cache, &caller(), "q", "exact still works").await;
    assert!(hit(&cache, &caller(), "q").await.is_some());
    assert_eq!(cache.stats().failures, 1);
}

#[test]
fn calibration_finds_the_strictest_bound_that_loses_nothing() {
    let pair = |similarity: f32, guard: bool, same: bool| Pair { similarity, guard, same };
    let traps = |n: usize, served: usize, at: f32| (0..n).map(move |i| pair(at, i < served, false));
    let hits = (0u8..50).map(|n| pair(0.93 + f32::from(n) * 0.001, true, true));
    let clean: Vec<Pair> = hits.clone().chain(traps(200, 0, 0.99)).collect();
    assert_eq!(calibrate(&clean, 0.85, 0.02, 1.0).map(|b| (b * 100.0).round()), Some(92.0));
    let leaky: Vec<Pair> = hits.clone().chain(traps(200, 20, 0.95)).collect();
    assert_eq!(calibrate(&leaky, 0.85, 0.02, 1.0).map(|b| (b * 100.0).round()), Some(95.0));
    let hopeless: Vec<Pair> = hits.chain(traps(200, 20, 0.999)).collect();
    assert_eq!(calibrate(&hopeless, 0.85, 0.02, 1.0), None, "no bound helps: nothing is served");
    assert_eq!(calibrate(&clean[..60], 0.85, 0.02, 1.0), None, "too few traps to be sure");
}

#[test]
fn intervals_are_those_of_wilson() {
    assert!((upper(0, 150) - 0.0177).abs() < 0.0005, "{}", upper(0, 150));
    assert!((upper(10, 100) - 0.1615).abs() < 0.002 && (lower(10, 100) - 0.0601).abs() < 0.002);
    assert_eq!((upper(0, 0), lower(0, 0)), (1.0, 0.0));
}

proptest! {
    /// Whatever shadow calls find, the bound only rises, and after a wrong answer it is above that answer's similarity.
    #[test]
    fn a_bound_only_tightens(found in proptest::collection::vec((0.85f32..=1.0, any::<bool>()), 0..200)) {
        let mut watched = Watched::new(0.9);
        for (similarity, agreed) in found {
            let next = watched.observe(similarity, agreed, 0.02);
            prop_assert!(next.bound >= watched.bound && next.bound <= 1.0);
            prop_assert!(agreed || next.bound >= similarity);
            prop_assert!(!agreed || next.bound == watched.bound);
            watched = next;
        }
        if lower(watched.wrong, watched.trials) > 0.5 && watched.wrong > 1 {
            prop_assert_eq!(watched.bound, 1.0);
        }
    }
}

#[test]
fn too_many_wrong_answers_end_near_hits() {
    let mut watched = Watched::new(0.9);
    for n in 0..40 {
        watched = watched.observe(0.9, n % 10 != 0, 0.02);
    }
    assert_eq!((watched.trials, watched.wrong, watched.bound), (40, 4, 1.0));
    let mut rare = Watched::new(0.9);
    for n in 0..1_000 {
        rare = rare.observe(0.9, n != 500, 0.02);
    }
    assert!((rare.bound - 0.95).abs() < 1e-6, "one in a thousand only moves the bound: {}", rare.bound);
}

#[tokio::test]
async fn an_exact_hit_takes_microseconds() {
    let (cache, _) = open(CacheSection::default());
    let question = "Load the orders of each customer into the lake. ".repeat(20);
    learn(&cache, &caller(), &question, &"answer ".repeat(80)).await;
    let (caller, request) = (caller(), ask(&question));
    let rounds = 2_000;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        assert!(matches!(cache.lookup(&caller, &request).await, Lookup::Hit { .. }));
    }
    println!(
        "timed: exact hit of a request of {} bytes: {:?} (build without optimisation)",
        question.len(),
        start.elapsed() / rounds
    );
}

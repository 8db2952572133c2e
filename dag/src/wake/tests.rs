use proptest::prelude::*;

use super::*;
use crate::{
    spec::{AllOf, AnyOf},
    time::Span,
};

fn trigger(dataset: Watched, debounce: u64, max_wait: Option<u64>) -> DatasetTrigger {
    let span = |seconds: u64| (seconds > 0).then(|| Span::seconds(seconds));
    DatasetTrigger { name: None, dataset, debounce: span(debounce), max_wait: max_wait.and_then(span) }
}

fn one() -> Watched {
    Watched::One("w.*".to_owned())
}

fn all() -> Watched {
    Watched::All(AllOf { all: vec!["w.a".to_owned(), "w.b*".to_owned()] })
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

fn updates(list: &[(&str, i64)]) -> Vec<Update> {
    let update = |(id, (dataset, seconds)): (i64, &(&str, i64))| Update {
        id,
        dataset: (*dataset).to_owned(),
        run: RunId::from_parts(at(*seconds), 7),
        task: "publish".to_owned(),
        rows: Some(3),
        chain: u32::try_from(id).unwrap_or(0),
        at: at(*seconds),
    };
    (0..).zip(list).map(update).collect()
}

#[test]
fn patterns_fit_what_they_say() {
    for (pattern, dataset, fit) in [
        ("w.public.orders", "w.public.orders", true),
        ("w.public.orders", "w.public.orders2", false),
        ("w.public.*", "w.public.orders", true),
        ("w.public.*", "w.publicorders", false),
        ("*.orders", "w.public.orders", true),
        ("w.*.orders", "w.a.b.orders", true),
        ("w.*orders*old", "w.orders_2_old", true),
        ("w.a*a", "w.a", false),
        ("w.a*a", "w.aa", true),
        ("*", "anything", true),
        ("w.*b*b", "w.b", false),
        ("", "w.a", false),
    ] {
        assert_eq!(fits(pattern, dataset), fit, "{pattern} {dataset}");
    }
}

#[test]
fn triggers_wait_as_long_as_they_say() {
    let any = Watched::Any(AnyOf { any: vec!["w.a".to_owned(), "w.b".to_owned()] });
    let (a, b) = (("w.a", 10), ("w.b", 25));
    for (dataset, debounce, max_wait, seen, now, expected) in [
        (one(), 0, None, vec![], 100, Decision::Incomplete),
        (one(), 0, None, vec![a], 10, Decision::Fire(1)),
        (any.clone(), 0, None, vec![a, b], 25, Decision::Fire(2)),
        (any, 30, None, vec![a], 39, Decision::Wait(at(40))),
        (one(), 30, None, vec![a], 40, Decision::Fire(1)),
        // Another load begins the quiet time anew, but not for ever.
        (one(), 30, None, vec![a, b], 54, Decision::Wait(at(55))),
        (one(), 30, Some(40), vec![a, b], 49, Decision::Wait(at(50))),
        (one(), 30, Some(40), vec![a, b], 50, Decision::Fire(2)),
        (one(), 30, None, vec![a, ("w.c", 309)], 309, Decision::Wait(at(310))),
        // All of them: the wait begins when the last one that was missing has come.
        (all(), 0, None, vec![a, ("w.a", 20)], 99, Decision::Incomplete),
        (all(), 0, None, vec![a, ("w.b2", 25)], 25, Decision::Fire(2)),
        (all(), 30, Some(40), vec![a, b, ("w.a", 60)], 64, Decision::Wait(at(65))),
        (all(), 30, Some(40), vec![a, b, ("w.a", 60)], 65, Decision::Fire(3)),
    ] {
        let trigger = trigger(dataset, debounce, max_wait);
        assert_eq!(decide(&trigger, &updates(&seen), at(now)), expected, "{trigger:?} {seen:?} at {now}");
    }
    let many = updates(&vec![a; 2_500]);
    assert_eq!(decide(&trigger(one(), 0, None), &many, at(99)), Decision::Fire(MAX_UPDATES));
}

#[test]
fn chains_are_counted() {
    let data = trigger_data("fresh", &updates(&[("w.a", 1), ("w.b", 2), ("w.c", 3)]));
    assert_eq!((chain_of(&data), data["updates"][1]["dataset"].as_str()), (3, Some("w.b")));
    assert_eq!(chain_of(&json!({"webhook": "x", "chain": 9})), 0, "what a webhook sends counts for nothing");
    assert_eq!(chain_of(&Value::Null), 0);
}

fn sleeper(name: &str, loads: &[&str], watched: &[&str]) -> Sleeper {
    let set = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    Sleeper { name: name.to_owned(), loads: set(loads), watched: set(watched) }
}

#[test]
fn circles_are_found() {
    let line = [sleeper("a", &["w.a"], &[]), sleeper("b", &["w.b"], &["w.a"]), sleeper("c", &[], &["w.*"])];
    assert!(circles(&line).is_empty());
    let round = [
        sleeper("c", &["w.c"], &["w.b"]),
        sleeper("a", &["w.a"], &["w.c"]),
        sleeper("b", &["w.b"], &["w.a"]),
        sleeper("own", &["x.1"], &["x.*"]),
    ];
    assert_eq!(circles(&round), [vec!["a", "b", "c"], vec!["own"]]);
}

proptest! {
    /// A glob of one star is a start and an end.
    #[test]
    fn one_star_is_a_start_and_an_end(start in "[ab.]{0,3}", end in "[ab.]{0,3}", text in "[ab.]{0,8}") {
        let whole = start.len() + end.len() <= text.len() && text.starts_with(&start) && text.ends_with(&end);
        prop_assert_eq!(fits(&format!("{start}*{end}"), &text), whole);
    }
}

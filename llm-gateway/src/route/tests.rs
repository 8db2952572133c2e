use proptest::prelude::*;

use super::*;
use crate::config::{RuleSection, WhenSection};
use crate::request::Request;

fn choice(name: &'static str) -> Choice<'static> {
    Choice { name, model: name, provider: "p", context: 1_000, embeds: false, tags: &[], cost: 5, rests: None }
}

fn share(deployment: &str, weight: u32) -> Share {
    Share { deployment: deployment.to_owned(), weight }
}

fn route(shares: Vec<Share>, fallbacks: &[&str]) -> BTreeMap<String, RouteSection> {
    let fallbacks = fallbacks.iter().map(|name| (*name).to_owned()).collect();
    BTreeMap::from([("auto".to_owned(), RouteSection { shares, fallbacks, ..RouteSection::default() })])
}

fn ask(caller: &Caller) -> Ask<'_> {
    Ask { model: "auto", embeds: false, tokens: (10, 5), caller, allowed: None }
}

fn names(choices: &[Choice<'static>], plan: &Plan) -> Vec<&'static str> {
    plan.order.iter().map(|place| choices[*place].name).collect()
}

#[test]
fn weights_share_calls_and_zero_waits_for_the_others() {
    let choices = [choice("a"), choice("b"), choice("c"), choice("d")];
    let routes = route(vec![share("c", 0), share("a", 3), share("b", 1)], &["d", "a"]);
    let caller = Caller::of("t");
    let mut first = 0;
    let chance = tidemill_testkit::SeededChance::new(7);
    for _ in 0..4_000 {
        let draw = || tidemill_dag::time::Chance::draw(&chance);
        let plan = plan(&choices, &routes, &ask(&caller), Signals::default, draw).expect("a plan");
        let names = names(&choices, &plan);
        assert_eq!(names[2..], ["c", "d"]);
        first += usize::from(names[0] == "a");
    }
    assert!((2_800..=3_200).contains(&first), "a came first {first} times of 4,000");
}

#[test]
fn the_first_rule_that_holds_chooses_and_others_keep_the_default() {
    let choices = [choice("small"), choice("large")];
    let mut routes = route(vec![share("small", 1)], &[]);
    let rule = |name: &str, when: WhenSection| RuleSection {
        name: name.into(),
        when,
        shares: vec![share("large", 1)],
        tagged: Vec::new(),
    };
    let when = |tokens| WhenSection { min_tokens: Some(tokens), ..WhenSection::default() };
    let coded = WhenSection { code: Some(true), task: vec!["sql".into()], ..WhenSection::default() };
    routes.get_mut("auto").expect("it").rules = vec![rule("code", coded), rule("long", when(100))];
    let go = |question: &str, tokens: u64, task: Option<&str>| {
        let caller = Caller { task: task.map(Into::into), ..Caller::of("t") };
        let request = Request::ask("auto", question);
        let ask = Ask { tokens: (tokens, tokens), ..ask(&caller) };
        let plan = plan(&choices, &routes, &ask, || Signals::of(&request, tokens), || 0.5).expect("a plan");
        (plan.rule.clone().unwrap_or_default(), names(&choices, &plan)[0])
    };
    assert_eq!(go("hello", 5, None), (String::new(), "small"));
    assert_eq!(go("```x```", 5, None), (String::new(), "small"), "both conditions must hold");
    assert_eq!(go("```x```", 5, Some("sql")), ("code".into(), "large"));
    assert_eq!(go("hello", 100, Some("sql")), ("long".into(), "large"));
}

#[test]
fn a_rule_may_ask_for_what_a_deployment_is_good_at() {
    let tags = |tags: &[&str]| -> &'static [String] { Vec::leak(tags.iter().map(|tag| (*tag).to_owned()).collect()) };
    let mut choices = [choice("plain"), choice("sql"), choice("both"), choice("all")];
    choices[1].tags = tags(&["sql"]);
    choices[2].tags = tags(&["german", "sql"]);
    choices[3].tags = tags(&["german", "sql", "law"]);
    choices[2].cost = 1;
    let mut routes = route(vec![share("plain", 1)], &["plain"]);
    let route = routes.get_mut("auto").expect("it");
    route.order = Order::Cheapest;
    route.rules = vec![RuleSection { tagged: vec!["sql".into(), "german".into()], ..RuleSection::default() }];
    let caller = Caller::of("t");
    let plan = plan(&choices, &routes, &ask(&caller), Signals::default, || 0.5).expect("a plan");
    assert_eq!(names(&choices, &plan), ["both", "all", "plain"]);
}

#[test]
fn what_does_not_fit_is_left_out_with_a_reason() {
    let mut choices = [choice("tiny"), choice("rests"), choice("vectors"), choice("foreign"), choice("good")];
    choices[0].context = 4;
    choices[1].rests = Some(Duration::from_secs(3));
    choices[2].embeds = true;
    choices[3].provider = "elsewhere";
    let routes = route(vec![share("tiny", 1)], &["rests", "vectors", "foreign", "good"]);
    let caller = Caller::of("t");
    let allowed = ["p".to_owned()];
    let ask = Ask { allowed: Some(&allowed), ..ask(&caller) };
    let chosen = plan(&choices, &routes, &ask, Signals::default, || 0.5).expect("a plan");
    assert_eq!(names(&choices, &chosen), ["good"]);
    let left: Vec<&str> = chosen.skipped.iter().map(|skipped| skipped.deployment.as_str()).collect();
    assert_eq!(left, ["tiny", "rests", "vectors", "foreign"]);

    let error = |model: &str| {
        let ask = Ask { model, ..ask };
        plan(&choices, &routes, &ask, Signals::default, || 0.5).expect_err("an error").code()
    };
    assert_eq!(error("nothing"), "TM1105");
    assert_eq!(error("tiny"), "TM1109");
    assert_eq!(error("rests"), "TM1106");
    assert_eq!(error("vectors"), "TM1102");
    assert_eq!(error("foreign"), "TM1104");
}

#[test]
fn the_cheapest_goes_first_where_that_is_asked() {
    let mut choices = [choice("dear"), choice("cheap")];
    choices[0].cost = 9;
    let mut routes = route(vec![share("dear", 5), share("cheap", 1)], &[]);
    routes.get_mut("auto").expect("it").order = Order::Cheapest;
    let caller = Caller::of("t");
    let plan = plan(&choices, &routes, &ask(&caller), Signals::default, || 0.5).expect("a plan");
    assert_eq!(names(&choices, &plan), ["cheap", "dear"]);
}

proptest! {
    /// Whatever the weights and breakers: each deployment is tried or named with a reason, and none twice.
    #[test]
    fn nobody_is_lost(weights in prop::collection::vec(0_u32..5, 4), resting in prop::collection::vec(any::<bool>(), 4), draws in prop::collection::vec(0.0_f64..1.0, 4)) {
        let mut choices = [choice("a"), choice("b"), choice("c"), choice("d")];
        for (choice, rests) in choices.iter_mut().zip(&resting) {
            choice.rests = rests.then_some(Duration::from_secs(1));
        }
        let shares = choices.iter().zip(&weights).map(|(choice, weight)| share(choice.name, *weight)).collect();
        let caller = Caller::of("t");
        let mut draws = draws.into_iter();
        let found = plan(&choices, &route(shares, &["a"]), &ask(&caller), Signals::default, || draws.next().unwrap_or(0.5));
        match found {
            Ok(plan) => {
                let mut all: Vec<String> = names(&choices, &plan).into_iter().map(str::to_owned).collect();
                all.extend(plan.skipped.into_iter().map(|skipped| skipped.deployment));
                all.sort();
                prop_assert_eq!(all, ["a", "b", "c", "d"]);
            }
            Err(error) => prop_assert!(resting.iter().all(|r| *r) && error.code() == "TM1106"),
        }
    }
}

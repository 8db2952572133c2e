use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;
use tidemill_dag::codes::tm11;

use super::detect::{Finding, Kind, detect};
use super::mask::Masks;
use super::policy::{Action, PolicySection, PrivacySection, Shield};
use crate::caller::Caller;
use crate::error::GatewayError;
use crate::hooks::Privacy;
use crate::request::{Message, Part, Request, Role};

/// The set that the detectors were made with, and one that was written afterwards and never led to a change.
const KNOWN: &str = include_str!("../../tests/data/privacy.txt");
const HELD_OUT: &str = include_str!("../../tests/data/privacy_held.txt");

/// A line of the set: its text, and what is marked in it as `⟦KIND:value⟧`.
fn labelled(line: &str) -> (String, Vec<(usize, usize, String)>) {
    let line = line.replace("\\n", "\n");
    let (mut text, mut marks, mut rest) = (String::new(), Vec::new(), line.as_str());
    while let Some((before, after)) = rest.split_once('⟦') {
        let (mark, tail) = after.split_once('⟧').expect("a mark ends");
        let (kind, value) = mark.split_once(':').expect("a mark has a kind");
        text.push_str(before);
        marks.push((text.len(), text.len() + value.len(), kind.to_owned()));
        text.push_str(value);
        rest = tail;
    }
    text.push_str(rest);
    (text, marks)
}

/// Prints what is found and missed in a set, and gives recall and precision.
fn measured(name: &str, set: &str) -> (f64, f64) {
    let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let (mut lines, mut dull) = (0, 0);
    for line in set.lines() {
        let (text, marks) = labelled(line);
        let found = detect(&text, false);
        lines += 1;
        dull += usize::from(marks.is_empty());
        for (start, end, kind) in &marks {
            // Nothing of the value may be left over; which family it was taken for does not matter for that.
            let covered = found.iter().any(|f| f.range.start <= *start && *end <= f.range.end);
            let entry = counts.entry(kind.clone()).or_default();
            entry[usize::from(!covered)] += 1;
            if !covered {
                println!("missed: {line}");
            }
        }
        for f in &found {
            if !marks.iter().any(|(start, end, _)| f.range.start < *end && *start < f.range.end) {
                counts.entry(f.kind.label().to_owned()).or_default()[2] += 1;
                println!("false alarm ({}): {line}", f.shape);
            }
        }
    }
    let sum = counts.values().fold([0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
    for (kind, [hit, missed, false_alarm]) in &counts {
        println!("counted: privacy, {name} set, {kind}: {hit} found, {missed} missed, {false_alarm} false alarms");
    }
    let (recall, precision) = (sum[0] as f64 / (sum[0] + sum[1]) as f64, sum[0] as f64 / (sum[0] + sum[2]) as f64);
    println!(
        "counted: privacy, {name} set of {lines} lines ({dull} with nothing to find): recall {recall:.3}, precision {precision:.3}"
    );
    (recall, precision)
}

#[test]
fn recall_and_precision_on_labelled_sets() {
    let (recall, precision) = measured("known", KNOWN);
    assert!(recall >= 0.98 && precision >= 0.98, "known: recall {recall}, precision {precision}");
    let (recall, precision) = measured("held-out", HELD_OUT);
    assert!(recall >= 0.95 && precision >= 0.95, "held-out: recall {recall}, precision {precision}");
}

#[test]
fn a_value_comes_back_where_its_placeholder_stands() {
    let text = "SELECT * FROM u WHERE email = 'bob@x.io' OR email = 'eve@x.io' OR backup = 'bob@x.io'";
    let mut masks = Masks::new([text].into_iter());
    let masked = masks.apply(text, &detect(text, false));
    assert_eq!(
        masked,
        "SELECT * FROM u WHERE email = 'MASKED_EMAIL_1' OR email = 'MASKED_EMAIL_2' OR backup = 'MASKED_EMAIL_1'"
    );
    assert_eq!(masks.restore(&masked), text);
    assert_eq!(masks.restore("masked_email_2 is new"), "eve@x.io is new", "models change the case");
    assert_eq!(masks.restore("MASKED_EMAIL_3 is invented"), "MASKED_EMAIL_3 is invented");
    assert!(matches!(masks.restore("nothing here"), Cow::Borrowed(_)));
}

#[test]
fn placeholders_never_meet_words_of_the_text() {
    let text = "what does masked_email_1 mean, bob@x.io?";
    let mut masks = Masks::new([text].into_iter());
    let masked = masks.apply(text, &detect(text, false));
    assert_eq!(masked, "what does masked_email_1 mean, MASKED2_EMAIL_1?");
    assert_eq!(masks.restore(&masked), text);
}

#[test]
fn what_would_break_json_stays_masked() {
    let text = "-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----";
    let mut masks = Masks::new([text].into_iter());
    let masked = masks.apply(text, &detect(text, false));
    assert_eq!(masked, "MASKED_SECRET_1");
    assert_eq!(masks.restore("{\"key\": \"MASKED_SECRET_1\"}"), "{\"key\": \"MASKED_SECRET_1\"}");
}

/// What a stream does with the hooks: hold back what may become a placeholder, restore the rest.
fn streamed(masks: &Masks, pieces: &[&str]) -> String {
    let (mut out, mut held) = (String::new(), String::new());
    for piece in pieces {
        held.push_str(piece);
        let cut = masks.open_end(&held).unwrap_or(held.len());
        out.push_str(&masks.restore(&held[..cut]));
        held.drain(..cut);
    }
    out + &masks.restore(&held)
}

proptest! {
    /// Any text, cut anywhere: a stream gives what the whole gives.
    #[test]
    fn a_stream_restores_across_any_cut(cuts in proptest::collection::vec(0usize..120, 0..12), many in 1usize..14) {
        let people: Vec<String> = (0..many).map(|n| format!("p{n}@example.org")).collect();
        let text = people.join(" and ");
        let mut masks = Masks::new([text.as_str()].into_iter());
        let answer = format!("Ünder: {} MASKED_ end", masks.apply(&text, &detect(&text, false)));
        let mut places: Vec<usize> = cuts.into_iter().filter(|c| *c < answer.len() && answer.is_char_boundary(*c)).collect();
        places.extend([0, answer.len()]);
        places.sort_unstable();
        let pieces: Vec<&str> = places.windows(2).map(|w| &answer[w[0]..w[1]]).collect();
        prop_assert_eq!(streamed(&masks, &pieces), masks.restore(&answer).into_owned());
    }

    /// No text makes the detector fail, and what it finds is inside the text, in order and apart.
    #[test]
    fn findings_are_in_order_and_apart(text in "(\\PC|[0-9@.:/=+() -]|password=|AKIA|-----BEGIN PRIVATE KEY|Mr |://|DE){0,60}") {
        let found = detect(&text, true);
        let mut from = 0;
        for f in &found {
            prop_assert!(f.range.start >= from && f.range.end > f.range.start && text.get(f.range.clone()).is_some());
            from = f.range.end;
        }
        let mut masks = Masks::new([text.as_str()].into_iter());
        let masked = masks.apply(&text, &found);
        if found.iter().all(|f| f.shape != "private_key" && !text[f.range.clone()].contains(['"', '\\'])) {
            prop_assert_eq!(masks.restore(&masked), text);
        }
    }
}

fn request(text: &str) -> Request {
    Request {
        messages: vec![Message::text(Role::System, "Answer."), Message::text(Role::User, text)],
        ..Request::default()
    }
}

fn section(personal: Action, secrets: Action) -> PrivacySection {
    PrivacySection {
        default: PolicySection { personal, secrets, ..PolicySection::default() },
        ..PrivacySection::default()
    }
}

#[test]
fn each_tenant_has_its_policy() {
    let mut policies = section(Action::Mask, Action::Block);
    policies.tenants.insert(
        "open".to_owned(),
        PolicySection { personal: Action::Off, secrets: Action::Off, ..PolicySection::default() },
    );
    let shield = Shield::new(policies);
    let text = "mail bob@x.io";

    let mut masked = request(text);
    assert!(shield.mask(&Caller::of("a"), &mut masked).expect("is masked").is_some());
    assert_eq!(masked.question(), Some("mail MASKED_EMAIL_1"));

    let mut open = request(text);
    assert!(shield.mask(&Caller::of("open"), &mut open).expect("passes").is_none());
    assert_eq!(open, request(text));

    let secret = "deploy with ghp_0123456789abcdefghijABCDEFGHIJ012345 now";
    let error = shield.mask(&Caller::of("a"), &mut request(secret)).err().expect("is refused");
    assert_eq!(error.code(), tm11::PRIVATE_DATA);
    assert!(!error.to_string().contains("ghp_0"), "{error}");
    assert!(error.to_string().contains("github_token (1)"), "{error}");
}

#[test]
fn an_exception_lets_one_kind_pass() {
    let default = PolicySection { except: vec![super::policy::KindName::Email], ..PolicySection::default() };
    let shield = Shield::new(PrivacySection { default, ..PrivacySection::default() });
    let mut asked = request("bob@x.io has +1 415 555 0132");
    shield.mask(&Caller::of("a"), &mut asked).expect("is masked");
    assert_eq!(asked.question(), Some("bob@x.io has MASKED_PHONE_1"));
}

#[test]
fn tools_and_their_results_are_masked_with_the_same_placeholders() {
    let shield = Shield::new(PrivacySection::default());
    let mut asked = request("who is bob@x.io?");
    asked.messages.push(Message {
        role: Role::Assistant,
        parts: vec![Part::ToolCall {
            id: "1".into(),
            name: "find".into(),
            arguments: "{\"email\":\"bob@x.io\"}".into(),
        }],
    });
    asked.messages.push(Message {
        role: Role::Tool,
        parts: vec![Part::ToolResult {
            id: "1".into(),
            text: "bob@x.io is Bob, sues via eve@x.io".into(),
            failed: false,
        }],
    });
    let masks = shield.mask(&Caller::of("a"), &mut asked).expect("is masked").expect("something was found");
    let texts: Vec<&str> = asked.texts().collect();
    assert_eq!(
        texts[1..],
        ["who is MASKED_EMAIL_1?", "{\"email\":\"MASKED_EMAIL_1\"}", "MASKED_EMAIL_1 is Bob, sues via MASKED_EMAIL_2"]
    );
    assert_eq!(masks.restore("ask MASKED_EMAIL_2"), "ask eve@x.io");
}

#[test]
fn a_detector_that_fails_lets_nothing_out() {
    fn broken(_: &str, _: bool) -> Vec<Finding> {
        panic!("on purpose: the detector of this test fails");
    }
    let shield = Shield::with_detector(PrivacySection::default(), broken);
    let error: GatewayError = shield.mask(&Caller::of("a"), &mut request("anything")).err().expect("is refused");
    assert_eq!(error.code(), tm11::DETECTOR_FAILED);
}

#[test]
fn nothing_sensitive_is_printed() {
    let text = "bob@x.io";
    let mut masks = Masks::new([text].into_iter());
    masks.apply(text, &detect(text, false));
    let printed = format!("{masks:?}");
    assert!(!printed.contains("bob") && printed.contains("Email"), "{printed}");
}

#[test]
fn names_are_found_only_on_demand() {
    let text = "Dear Mr Holm, my name is Ada Lovelace; ask Peter Smith in London about the Great Western.";
    assert!(detect(text, false).is_empty());
    let names: Vec<&str> =
        detect(text, true).into_iter().filter(|f| f.kind == Kind::Name).map(|f| &text[f.range]).collect();
    assert_eq!(names, ["Holm", "Ada Lovelace", "Peter Smith"]);
}

#[test]
fn a_request_of_a_kilobyte_is_searched_in_microseconds() {
    let text = "Load orders from Postgres into Parquet every day at 06:30, keep rows with total > 1234.56 and customer_id 48213. ".repeat(9);
    let start = std::time::Instant::now();
    let rounds = 200;
    let found: usize = (0..rounds).map(|_| detect(&text, false).len()).sum();
    println!(
        "timed: privacy on {} bytes: {:?} each (build without optimisation)",
        text.len(),
        start.elapsed() / rounds
    );
    assert_eq!(found, 0);
}

use serde_json::json;

use super::*;
use crate::{
    compile::{Known, read as compile},
    spec::Trigger,
    time::Timestamp,
};

const NOW: Timestamp = Timestamp(1_531_420_618_000_000);

fn pipeline(webhook: &str) -> Pipeline {
    let text = format!(
        "
pipeline: p
params:
  order: {{type: integer, default: 0}}
  who: {{type: string, default: nobody}}
triggers:
  - webhook: {{{webhook}}}
tasks:
  a: {{sql: SELECT 1}}
"
    );
    compile(&text, &Known::default()).unwrap_or_else(|found| panic!("{webhook}: {found:#?}")).pipeline
}

fn hook(of: &Pipeline) -> &Webhook {
    let [Trigger::Webhook(it)] = of.triggers.as_slice() else { panic!("one webhook") };
    &it.webhook
}

fn headers<const N: usize>(list: [(&str, &str); N]) -> Headers {
    list.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What becomes of a body under a webhook's settings.
fn told(webhook: &str, head: &Headers, body: &[u8]) -> Result<Answer, Unusable> {
    let pipeline = pipeline(webhook);
    let message = read(hook(&pipeline), head, body)?;
    answer(&pipeline, hook(&pipeline), &message, body)
}

const SECRET: &str = "secret: \"${env:S}\"";

#[test]
fn each_scheme_signs_its_own_text() {
    let hex = "00ff";
    for (webhook, head, signed) in [
        ("preset: github", headers([("x-hub-signature-256", "sha256=00ff")]), "{}"),
        ("preset: stripe", headers([("stripe-signature", "t=1531420618,v1=00ff,v0=11")]), "1531420618.{}"),
        (
            "preset: slack",
            headers([("x-slack-signature", "v0=00ff"), ("x-slack-request-timestamp", "1531420618")]),
            "v0:1531420618:{}",
        ),
        ("preset: generic", headers([("x-signature", hex)]), "{}"),
        (
            "preset: generic, signature: {header: X-Sig, encoding: base64, prefix: \"s=\"}, timestamp: X-Time",
            headers([("x-sig", "s=AP8="), ("x-time", "2018-07-12T18:36:58Z")]),
            "2018-07-12T18:36:58Z.{}",
        ),
    ] {
        let pipeline = pipeline(&format!("{webhook}, {SECRET}"));
        let claim = claim(hook(&pipeline), &head, b"{}", NOW).unwrap_or_else(|why| panic!("{webhook}: {why}"));
        assert_eq!(String::from_utf8_lossy(&claim.signed), signed, "{webhook}");
        assert_eq!(claim.signatures, [vec![0x00, 0xff]], "{webhook}");
    }
}

#[test]
fn what_is_signed_here_is_what_is_claimed_there() {
    for webhook in [
        "preset: github",
        "preset: stripe",
        "preset: slack",
        "preset: generic",
        "preset: generic, signature: {header: X-Sig, encoding: base64, prefix: \"s=\"}, timestamp: X-Time",
    ] {
        let pipeline = pipeline(&format!("{webhook}, {SECRET}"));
        let signed = sign(hook(&pipeline), b"body", NOW);
        let head = signed.headers(hook(&pipeline), &[1, 2, 250]);
        let claim = claim(hook(&pipeline), &head, b"body", NOW).expect("a claim");
        assert_eq!((claim.signed, claim.signatures), (signed.text, vec![vec![1, 2, 250]]), "{webhook}");
    }
}

#[test]
fn what_cannot_be_genuine_is_refused() {
    let slack =
        |signature: &str, time: &str| headers([("x-slack-signature", signature), ("x-slack-request-timestamp", time)]);
    for (webhook, head, why) in [
        ("preset: github", headers([]), Refusal::NoSignature),
        ("preset: github", headers([("x-hub-signature-256", "00ff")]), Refusal::Malformed),
        ("preset: github", headers([("x-hub-signature-256", "sha256=0")]), Refusal::Malformed),
        ("preset: github", headers([("x-hub-signature-256", "sha256=")]), Refusal::Malformed),
        ("preset: github", headers([("x-hub-signature-256", "sha256=zz")]), Refusal::Malformed),
        ("preset: stripe", headers([("stripe-signature", "v1=00ff")]), Refusal::NoTime),
        ("preset: stripe", headers([("stripe-signature", "t=1531420618")]), Refusal::NoSignature),
        ("preset: stripe", headers([("stripe-signature", "t=soon,v1=00ff")]), Refusal::NoTime),
        ("preset: slack", headers([("x-slack-signature", "v0=00ff")]), Refusal::NoTime),
        ("preset: slack", slack("v0=00ff", "1531420317"), Refusal::Stale),
        ("preset: slack", slack("v0=00ff", "1531420919"), Refusal::Stale),
        ("preset: slack", slack("v0=00ff", "9223372036854775807"), Refusal::NoTime),
        ("preset: slack, tolerance: 10s", slack("v0=00ff", "1531420607"), Refusal::Stale),
        ("preset: generic, timestamp: X-Time", headers([("x-signature", "00ff")]), Refusal::NoTime),
    ] {
        let pipeline = pipeline(&format!("{webhook}, {SECRET}"));
        assert_eq!(claim(hook(&pipeline), &head, b"{}", NOW), Err(why), "{webhook} {head:?}");
    }
    let pipeline = pipeline(&format!("preset: slack, {SECRET}"));
    for time in ["1531420318", "1531420918"] {
        assert!(claim(hook(&pipeline), &slack("v0=00ff", time), b"{}", NOW).is_ok(), "{time}");
    }
}

#[test]
fn payloads_become_parameters() {
    let body = json!({"order": {"id": "17", "lines": [1, 2]}, "by": "Ann"}).to_string();
    let webhook = format!(
        "preset: generic, {SECRET}, params: {{order: /order/id, who: \"{{{{ payload.by }}}} of {{{{ headers['x-team'] }}}}\"}}"
    );
    let Ok(Answer::Start { params, event }) = told(&webhook, &headers([("x-team", "red")]), body.as_bytes()) else {
        panic!("it starts a run")
    };
    assert_eq!(Value::Object(params), json!({"order": "17", "who": "Ann of red"}));
    assert_eq!(event.lasts, SAME_BODY);
    let webhook = format!("preset: generic, {SECRET}, params: {{order: \"{{{{ payload.order.lines | sum }}}}\"}}");
    let Ok(Answer::Start { params, .. }) = told(&webhook, &headers([]), body.as_bytes()) else { panic!("it starts") };
    assert_eq!(Value::Object(params), json!({"order": 3}), "a lone expression keeps its type");
    let webhook = format!("preset: generic, {SECRET}, params: {{order: /nowhere}}");
    let Ok(Answer::Start { params, .. }) = told(&webhook, &headers([]), body.as_bytes()) else { panic!("it starts") };
    assert!(params.is_empty(), "the default stands");
}

#[test]
fn filters_let_through_what_they_should() {
    let webhook = format!(
        "preset: github, {SECRET}, when: \"payload.action == 'opened' and headers['x-github-event'] == 'issues'\""
    );
    let told = |event: &str, action: &str| {
        let body = json!({ "action": action }).to_string();
        told(&webhook, &headers([("x-github-event", event)]), body.as_bytes()).expect("sound")
    };
    assert!(matches!(told("issues", "opened"), Answer::Start { .. }));
    assert_eq!(told("issues", "closed"), Answer::Filtered);
    assert_eq!(told("push", "opened"), Answer::Filtered);
}

#[test]
fn events_have_names() {
    let delivery = headers([("x-github-delivery", "72d3162e"), ("x-request-id", "r-1")]);
    let long = "x".repeat(300);
    for (webhook, body, key) in [
        ("preset: github", json!({}), "id/72d3162e".to_owned()),
        ("preset: stripe", json!({"id": "evt_1"}), "id/evt_1".to_owned()),
        ("preset: slack", json!({"event_id": "Ev01"}), "id/Ev01".to_owned()),
        ("preset: generic, key: {header: X-Request-Id}", json!({}), "id/r-1".to_owned()),
        ("preset: generic, key: {payload: /a/0}", json!({"a": [7]}), "id/7".to_owned()),
        (
            "preset: generic, key: {payload: /a}",
            json!({"a": long}),
            format!("id/{}", blake3::hash(long.as_bytes()).to_hex()),
        ),
        ("preset: slack", json!({"a": 1}), format!("body/{}", blake3::hash(b"{\"a\":1}").to_hex())),
        ("preset: generic", json!({"a": 1}), format!("body/{}", blake3::hash(b"{\"a\":1}").to_hex())),
    ] {
        let Ok(Answer::Start { event, .. }) =
            told(&format!("{webhook}, {SECRET}"), &delivery, body.to_string().as_bytes())
        else {
            panic!("{webhook} starts a run")
        };
        assert_eq!(event.key, key, "{webhook}");
    }
    for webhook in ["preset: generic, key: {header: X-None}", "preset: generic, key: {payload: /none}"] {
        let why = told(&format!("{webhook}, {SECRET}"), &delivery, b"{}").expect_err(webhook);
        assert_eq!(why.code, tm12::NO_EVENT_KEY);
    }
}

#[test]
fn what_a_delivery_lacks_is_said() {
    let mapping = format!("preset: generic, {SECRET}, params: {{order: /id, who: \"{{{{ payload.by }}}}\"}}");
    for (webhook, body, code, reason) in [
        (mapping.as_str(), "{", tm12::BAD_PAYLOAD, "not JSON"),
        (&mapping, "{}", tm12::MAPPING_FAILED, "`who`"),
        (&mapping, r#"{"id": "many", "by": "x"}"#, tm12::MAPPING_FAILED, "whole number"),
        (
            &format!("preset: generic, {SECRET}, when: \"{{{{ payload.a.b }}}}\""),
            "{}",
            tm12::FILTER_FAILED,
            "not there",
        ),
        (
            &format!("preset: generic, {SECRET}, when: \"{{{{ payload.a }}}}\""),
            r#"{"a": 1}"#,
            tm12::FILTER_FAILED,
            "neither",
        ),
    ] {
        let why = told(webhook, &headers([]), body.as_bytes()).expect_err(body);
        assert!(why.code == code && why.reason.contains(reason), "{body}: {why:?}");
    }
}

#[test]
fn slack_gets_its_challenge_back() {
    let webhook = format!("preset: slack, {SECRET}, when: \"payload.event.type == 'message'\"");
    let body = json!({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"}).to_string();
    assert_eq!(told(&webhook, &headers([]), body.as_bytes()), Ok(Answer::Echo("3eZbrw1a".to_owned())));
}

#[test]
fn forms_are_read_too() {
    let form = headers([("content-type", "application/x-www-form-urlencoded; charset=utf-8")]);
    let pipeline = pipeline(&format!("preset: slack, {SECRET}"));
    let read = |body: &str| read(hook(&pipeline), &form, body.as_bytes()).expect("sound").payload;
    assert_eq!(read("command=%2Fgo&text=a+b%zz&user="), json!({"command": "/go", "text": "a b%zz", "user": ""}));
    assert_eq!(read("payload=%7B%22a%22%3A1%7D"), json!({"a": 1}));
}

#[test]
fn headers_with_secrets_are_not_shown() {
    let pipeline = pipeline(&format!("preset: generic, {SECRET}, signature: {{header: X-Mine}}"));
    let all = headers([
        ("x-mine", "1"),
        ("x-hub-signature", "2"),
        ("authorization", "3"),
        ("cookie", "4"),
        ("x-api-key", "5"),
        ("x-gitlab-token", "6"),
        ("proxy-authorization", "7"),
        ("x-github-event", "push"),
    ]);
    assert_eq!(shown(&all, hook(&pipeline)), headers([("x-github-event", "push")]));
}

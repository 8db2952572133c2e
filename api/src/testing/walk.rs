//! Walks the OpenAPI document: every operation, every way in which a request can be wrong.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tidemill_dag::compile::MAX_BYTES;

use super::bed::{Answer, Bed};
use super::example::{Example, Request};
use crate::auth::Role;
use crate::problem::MEDIA;
use crate::{openapi, routes};

/// An operation as the document has it.
struct Operation {
    id: String,
    method: String,
    path: String,
    value: Value,
}

impl Operation {
    /// The role that it needs; none where it is open.
    fn role(&self) -> Option<Role> {
        self.value.pointer("/security/0/token/0")?.as_str()?.parse().ok()
    }

    fn takes_body(&self) -> bool {
        self.value.get("requestBody").is_some()
    }

    fn declares(&self, status: StatusCode) -> bool {
        self.value["responses"].get(status.as_str()).is_some()
    }
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(openapi::text()).expect("JSON");
    let mut all = Vec::new();
    // Deliveries of webhooks are recognised by their signatures instead of tokens; they have tests of their own.
    let of_callers = |(path, _): &(&String, &Value)| !path.starts_with("/hooks/");
    for (path, item) in document["paths"].as_object().expect("paths").iter().filter(of_callers) {
        for (method, value) in item.as_object().expect("operations") {
            let id = value["operationId"].as_str().expect("an id").to_owned();
            all.push(Operation { id, method: method.to_uppercase(), path: path.clone(), value: value.clone() });
        }
    }
    all
}

fn example(operation: &Operation) -> Example {
    let found = routes::examples().into_iter().find(|example| example.operation == operation.id);
    found.unwrap_or_else(|| panic!("operation `{}` has no example", operation.id))
}

#[track_caller]
fn is_problem(answer: &Answer, expected: (u16, &str), what: &str) {
    let body = answer.json();
    let text = String::from_utf8_lossy(&answer.bytes);
    assert_eq!(answer.status.as_u16(), expected.0, "{what}: {text}");
    assert_eq!(answer.header("content-type"), MEDIA, "{what}");
    assert_eq!(body["status"], expected.0, "{what}");
    assert_eq!(body["code"], expected.1, "{what}: {text}");
    assert!(!answer.header("x-request-id").is_empty(), "{what}");
}

#[test]
fn every_operation_has_an_example_and_every_example_an_operation() {
    let of_document: BTreeSet<String> = operations().into_iter().map(|operation| operation.id).collect();
    let all = operations().len();
    assert_eq!(of_document.len(), all, "operation ids are unique");
    let of_examples: BTreeSet<String> = routes::examples().iter().map(|e| e.operation.to_owned()).collect();
    assert_eq!(of_document, of_examples);
    println!("counted: {all} operations of the API, each with an example and its refusals");
}

#[tokio::test]
async fn every_example_is_answered_as_documented_once_and_again() {
    for operation in operations() {
        let (bed, example) = (Bed::new().await, example(&operation));
        let answer = bed.send(&example.request, Some(&bed.tokens[2])).await;
        let text = String::from_utf8_lossy(&answer.bytes);
        if let Some(expected) = example.fails {
            is_problem(&answer, expected, &operation.id);
            assert!(operation.declares(answer.status), "{}: {} is not documented", operation.id, answer.status);
            continue;
        }
        assert!(answer.status.is_success(), "{}: {} {text}", operation.id, answer.status);
        assert!(operation.declares(answer.status), "{}: {} is not documented", operation.id, answer.status);
        let again = bed.send(&example.request, Some(&bed.tokens[2])).await;
        let expected = example.again.map_or(again.status.is_success(), |status| again.status.as_u16() == status);
        assert!(expected, "{} again: {}", operation.id, again.status);
        assert!(operation.declares(again.status), "{} again: {} is not documented", operation.id, again.status);
    }
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_its_code() {
    let (mut refusals, mut wrong) = (0, Vec::new());
    for operation in operations() {
        let (bed, example) = (Bed::new().await, example(&operation));
        bed.send(&example.request, Some(&bed.tokens[2])).await;
        for refusal in &example.refusals {
            let answer = bed.send(&refusal.request, Some(&bed.tokens[2])).await;
            let (status, body) = (answer.status.as_u16(), answer.json());
            let as_said = (status, body["code"].as_str()) == (refusal.status, Some(refusal.code));
            if !as_said || answer.header("content-type") != MEDIA || !operation.declares(answer.status) {
                let asked = &refusal.request.path;
                wrong.push(format!("{}: {} ({asked}): {status} {body}", operation.id, refusal.why));
            }
            refusals += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("counted: {refusals} refusals that operations declare");
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_of_the_right_role() {
    let bed = Bed::new().await;
    let revoked = crate::auth::create(&bed.api.store, ("gone", Role::Admin), None, (&*bed.api.clock, &*bed.api.chance));
    let revoked = revoked.await.expect("a token").0.reveal();
    bed.api.store.revoke_token("gone").await.expect("revoked");
    let forged = format!("{}{}", &bed.tokens[2][..16], "0".repeat(64));
    for operation in operations() {
        let example = example(&operation);
        let Some(role) = operation.role() else {
            let answer = bed.send(&example.request, None).await;
            assert!(answer.status.is_success(), "{} is open", operation.id);
            continue;
        };
        for token in [None, Some(""), Some("tm_x"), Some(forged.as_str()), Some(revoked.as_str())] {
            let answer = bed.send(&example.request, token).await;
            is_problem(&answer, (401, "TM1303"), &operation.id);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        for (weaker, token) in Role::ALL.iter().zip(&bed.tokens).filter(|(weaker, _)| **weaker < role) {
            let answer = bed.send(&example.request, Some(token)).await;
            is_problem(&answer, (403, "TM1304"), &format!("{} as {}", operation.id, weaker.name()));
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_too_large_or_of_another_type_are_refused() {
    let bed = Bed::new().await;
    for operation in operations().into_iter().filter(Operation::takes_body) {
        let example = example(&operation);
        let admin = Some(bed.tokens[2].as_str());
        let yaml = example.request.headers.iter().any(|(_, value)| value == "application/yaml");
        let with = |body: String| Request { body: Some(body), ..example.request.clone() };
        let answer = bed.send(&with("{".to_owned()), admin).await;
        let expected = if yaml { 422 } else { 400 };
        assert_eq!(answer.status.as_u16(), expected, "{}", operation.id);
        let answer = bed.send(&with("[".repeat(4 * MAX_BYTES + 1)), admin).await;
        is_problem(&answer, (413, "TM0919"), &operation.id);
        let mut other = example.request.clone();
        other.headers.retain(|(name, _)| name != "content-type");
        other.headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        is_problem(&bed.send(&other, admin).await, (415, "TM1306"), &operation.id);
    }
}

#[tokio::test]
async fn addresses_and_queries_that_are_nonsense_are_refused() {
    let bed = Bed::new().await;
    for operation in operations() {
        let example = example(&operation);
        let admin = Some(bed.tokens[2].as_str());
        let bare = example.request.path.split('?').next().unwrap_or_default().to_owned();
        if operation.role().is_some() && operation.value["parameters"].to_string().contains("\"query\"") {
            let unknown = Request { path: format!("{bare}?no_such_parameter=1"), ..example.request.clone() };
            is_problem(&bed.send(&unknown, admin).await, (400, "TM0917"), &operation.id);
        }
        if operation.path.contains('{') {
            for nonsense in
                ["%00", "%F0%9F%8C%8A", "..%2F..%2Fetc%2Fpasswd", "%FF", &"x".repeat(9_000), "'%20OR%201%3D1"]
            {
                let path = fill(&operation.path, nonsense);
                let request = Request { path, ..example.request.clone() };
                let answer = bed.send(&request, admin).await;
                let fine = answer.status.is_success() || answer.header("content-type") == MEDIA;
                assert!(fine && answer.status.as_u16() < 500, "{} with {nonsense}: {}", operation.id, answer.status);
            }
        }
        let methods: BTreeSet<String> =
            operations().iter().filter(|o| o.path == operation.path).map(|o| o.method.clone()).collect();
        let wrong = ["GET", "PUT", "POST", "DELETE", "PATCH"].into_iter().find(|method| !methods.contains(*method));
        let request =
            Request { method: wrong.expect("some method is not taken"), path: bare, ..example.request.clone() };
        let answer = bed.send(&request, admin).await;
        is_problem(&answer, (405, "TM1307"), &operation.id);
        assert!(!answer.header("allow").is_empty(), "{}", operation.id);
    }
}

/// The address with every part replaced.
fn fill(path: &str, with: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { with.to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_get_of_json_is_conditional() {
    let bed = Bed::new().await;
    let mut checked = 0;
    for operation in operations().into_iter().filter(|operation| operation.method == "GET") {
        let example = example(&operation);
        let first = bed.send(&example.request, Some(&bed.tokens[2])).await;
        if first.header("content-type") != "application/json" {
            continue;
        }
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"'), "{} has no ETag", operation.id);
        let mut again = example.request.clone();
        again.headers.push(("if-none-match".to_owned(), tag.clone()));
        let second = bed.send(&again, Some(&bed.tokens[2])).await;
        assert_eq!((second.status, second.bytes.len()), (StatusCode::NOT_MODIFIED, 0), "{}", operation.id);
        assert_eq!(second.header("etag"), tag);
        checked += 1;
    }
    println!("counted: {checked} operations that answer 304 to whoever has seen the answer");
}

#[tokio::test]
async fn what_holds_for_every_request() {
    let bed = Bed::new().await;
    is_problem(&bed.ask("GET", "/nowhere", &[], None).await, (404, "TM0918"), "nowhere");
    is_problem(&bed.ask("GET", "/api/v2/runs", &[], None).await, (404, "TM0918"), "another version");
    let given = bed.ask("GET", "/api/v1/runs", &[("x-request-id", "abc-1")], None).await;
    assert_eq!(given.header("x-request-id"), "abc-1");
    let strange = bed.ask("GET", "/api/v1/runs", &[("x-request-id", "a b")], None).await;
    assert_eq!(strange.header("x-request-id").len(), 32, "an id of our own");
    assert!(given.header("ratelimit").starts_with("\"requests\";r=5"), "{}", given.header("ratelimit"));
    let zipped = bed.ask("GET", "/api/v1/openapi.json", &[("accept-encoding", "gzip")], None).await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    assert!(zipped.bytes.len() * 3 < openapi::text().len(), "{} bytes", zipped.bytes.len());
    let foreign = Bed::with(crate::Settings { access: crate::Access::Local, ..crate::Settings::default() }).await;
    let request = |headers: &[(&str, &str)]| Request {
        method: "GET",
        path: "/api/v1/runs".to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: None,
    };
    assert!(foreign.send(&request(&[("host", "localhost:1")]), None).await.status.is_success());
    for header in [("host", "evil.example"), ("origin", "https://evil.example")] {
        is_problem(&foreign.send(&request(&[header]), None).await, (403, "TM0920"), header.0);
    }
    is_problem(&foreign.send(&request(&[]), Some("tm_wrong")).await, (401, "TM1303"), "a wrong token is not ignored");
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_again() {
    let bed = Bed::with(crate::Settings { requests_per_minute: 3, ..crate::Settings::default() }).await;
    for _ in 0..3 {
        assert!(bed.ask("GET", "/api/v1/runs", &[], None).await.status.is_success());
    }
    let refused = bed.ask("GET", "/api/v1/runs", &[], None).await;
    is_problem(&refused, (429, "TM1305"), "the fourth");
    assert_eq!(refused.header("retry-after"), "20");
    let other = bed.send(&Example::get("list_runs", "/api/v1/runs").request, Some(&bed.tokens[0])).await;
    assert!(other.status.is_success(), "each token has its own");
    bed.clock.advance(std::time::Duration::from_secs(20));
    assert!(bed.ask("GET", "/api/v1/runs", &[], None).await.status.is_success());
}

#[tokio::test]
async fn pages_are_stable_while_runs_come() {
    let bed = Bed::new().await;
    let start = async || {
        let made = bed.ask("POST", "/api/v1/runs", &[], Some(r#"{"pipeline": "sums"}"#)).await;
        assert_eq!(made.status, StatusCode::CREATED);
        bed.clock.advance(std::time::Duration::from_millis(5));
        made.json()["id"].clone()
    };
    for _ in 0..5 {
        start().await;
    }
    let all = bed.get("/api/v1/runs").await["runs"].as_array().expect("runs").clone();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = bed.get(&format!("/api/v1/runs?limit=3{cursor}")).await;
        seen.extend(page["runs"].as_array().expect("runs").iter().map(|run| run["id"].clone()));
        start().await;
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let before: Vec<Value> = all.iter().map(|run| run["id"].clone()).collect();
    assert_eq!(seen, before, "new runs neither repeat nor hide a row");
}

#[tokio::test]
async fn a_pipeline_is_planned_applied_guarded_compared_and_rolled_back() {
    let bed = Bed::new().await;
    let shown = bed.ask("GET", "/api/v1/pipelines/revenue", &[], None).await;
    let tag = shown.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", shown.json()["version"].as_str().expect("a version")));
    let edited = super::REVENUE.replace("sum(total) AS revenue", "avg(total) AS revenue, count(*) AS n");
    let plan = bed.ask("PUT", "/api/v1/pipelines/revenue?dry_run=true", &[], Some(&edited)).await.json();
    assert_eq!((&plan["applied"], &plan["changed"], &plan["number"]), (&json!(false), &json!(true), &Value::Null));
    let columns: Vec<&str> =
        plan["diff"]["columns"].as_array().expect("columns").iter().filter_map(|c| c["column"].as_str()).collect();
    assert!(columns.contains(&"n"), "{columns:?}");
    assert!(plan["diff"]["tasks"][0]["fields"][0]["diff"].as_str().expect("lines").contains("+SELECT"), "{plan}");
    assert_eq!(bed.get("/api/v1/pipelines/revenue/versions").await["versions"].as_array().map(Vec::len), Some(2));
    let mine = bed.ask("PUT", "/api/v1/pipelines/revenue", &[("if-match", &tag)], Some(&edited)).await;
    assert_eq!((mine.status, mine.json()["number"].clone()), (StatusCode::OK, json!(3)));
    let theirs = bed.ask("PUT", "/api/v1/pipelines/revenue", &[("if-match", &tag)], Some(super::REVENUE)).await;
    is_problem(&theirs, (412, "TM1301"), "the second of two people");
    let compared = bed.get("/api/v1/pipelines/revenue/diff?from=2&to=3").await;
    assert_eq!(compared["diff"]["tasks"][0]["name"], "per_country");
    let back = bed.ask("PUT", "/api/v1/pipelines/revenue/versions/2/state", &[], Some(r#"{"state": "active"}"#)).await;
    assert_eq!((back.status, back.json()["state"].clone()), (StatusCode::OK, json!("active")));
    let history = bed.get("/api/v1/pipelines/revenue/history?limit=2").await;
    assert_eq!(
        (&history["moves"][0]["event"], &history["moves"][0]["actor"]),
        (&json!("activate"), &json!("api:admin"))
    );
    assert_eq!(history["moves"][1]["event"], "supersede");
    let new = bed
        .ask(
            "PUT",
            "/api/v1/pipelines/fresh",
            &[("if-none-match", "*")],
            Some("pipeline: fresh\ntasks:\n  a: {shell: {command: \"true\"}}\n"),
        )
        .await;
    assert_eq!(new.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_set_is_applied_whole_or_not_at_all() {
    let bed = Bed::new().await;
    let shell = |name: &str| format!("pipeline: {name}\ntasks:\n  a: {{shell: {{command: \"true\"}}}}\n");
    let body = |entries: &[(&str, String)]| {
        let list: Vec<Value> = entries.iter().map(|(name, source)| json!({"name": name, "source": source})).collect();
        json!({ "definitions": list }).to_string()
    };
    let wrong = body(&[
        ("a.yaml", shell("one")),
        ("b.yaml", "pipeline: b\ntasks:\n  x: {sql: SELECT 1 FROM nobody}\n".into()),
        ("c.yaml", "tasks: 1".into()),
    ]);
    let answer = bed.ask("POST", "/api/v1/apply", &[], Some(&wrong)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = answer.json()["errors"].clone();
    let names: BTreeSet<&str> =
        errors.as_array().expect("errors").iter().filter_map(|e| e["definition"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(["b.yaml", "c.yaml"]), "every error of every definition");
    let there = bed.ask("GET", "/api/v1/pipelines/one", &[], None).await;
    assert_eq!(there.status, StatusCode::NOT_FOUND, "nothing was applied");
    let right = body(&[("a.yaml", shell("one")), ("b.yaml", shell("two"))]);
    let answer = bed.ask("POST", "/api/v1/apply", &[], Some(&right)).await.json();
    assert_eq!((&answer["applied"], &answer["changes"][1]["changed"]), (&json!(true), &json!(true)));
    let again = bed.ask("POST", "/api/v1/apply", &[], Some(&right)).await.json();
    assert_eq!(again["changes"][0]["changed"], false);
}

#[tokio::test]
async fn data_sets_are_listed_and_looked_into() {
    let bed = Bed::new().await;
    let list = bed.get("/api/v1/runs/{done}/artifacts").await;
    assert_eq!((&list["artifacts"][0]["task"], &list["artifacts"][0]["rows"]), (&json!("second"), &json!(3)));
    assert!(!list.to_string().contains("runs/r/t/1"), "where files lie is nobody's business");
    let preview = bed.get("/api/v1/runs/{done}/artifacts/second/preview?rows=2").await;
    assert_eq!(preview["rows"], json!([{"n": 1, "name": "a"}, {"n": null, "name": "b"}]));
    assert_eq!((&preview["columns"][0]["type"], &preview["total"]), (&json!("Int64"), &json!(3)));
}

#[tokio::test]
async fn lines_are_followed_and_taken_up_where_one_left_off() {
    let bed = Bed::new().await;
    let text = |answer: &Answer| String::from_utf8(answer.bytes.clone()).expect("text");
    let all = bed.ask("GET", "/api/v1/runs/{done}/logs/live", &[], None).await;
    assert_eq!(all.header("content-type"), "text/event-stream");
    assert_eq!(text(&all).matches("event: line").count(), 2, "{}", text(&all));
    assert!(text(&all).trim_end().ends_with("data: succeeded"), "{}", text(&all));
    let id = text(&all).lines().find_map(|line| line.strip_prefix("id: ").map(str::to_owned)).expect("an id");
    let rest = bed.ask("GET", "/api/v1/runs/{done}/logs/live", &[("last-event-id", &id)], None).await;
    assert_eq!(text(&rest).matches("event: line").count(), 1, "the first is not told again");
    let wrong = bed.ask("GET", "/api/v1/runs/{done}/logs/live", &[("last-event-id", "1")], None).await;
    is_problem(&wrong, (422, "TM1308"), "an id of another stream");
    // A run that goes on keeps its stream open until the server stops.
    let stop = bed.api.stopping.clone();
    let (open, ()) = tokio::join!(bed.ask("GET", "/api/v1/runs/{run}/logs/live", &[], None), async move {
        tokio::task::yield_now().await;
        stop.cancel();
    });
    assert!(text(&open).contains("event: line") && text(&open).contains("event: stop"), "{}", text(&open));
}

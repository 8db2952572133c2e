//! `tidemill dev`: the API, the watcher, the schedules.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::place::{Place, REVENUE, Running, shell, until};

struct Server {
    process: Running,
    address: String,
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Server {
    fn start(place: &Place) -> Self {
        let mut process = place.start(&["dev", "--listen", "127.0.0.1:0", "--json"]);
        let line = process.first_line();
        let hello: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in {line}"));
        let address = hello["url"].as_str().expect("a URL").trim_start_matches("http://").to_owned();
        Self { process, address }
    }

    fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        let host = if headers.iter().any(|h| h.starts_with("Host:")) {
            String::new()
        } else {
            format!("Host: {}\r\n", self.address)
        };
        let extra: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\n{host}{extra}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        // A body that is refused early may not be read to its end.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        Answer { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, &[], "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    fn wait_for(&self, run: &str, state: &str) -> Value {
        let path = format!("/api/v1/runs/{run}");
        until(&format!("{run} is {state}"), || Some(self.get(&path)).filter(|run| run["state"] == state))
    }

    /// Waits until a pipeline has an active version.
    fn wait_for_pipeline(&self, name: &str) {
        until(&format!("{name} is applied"), || {
            let all = self.get("/api/v1/pipelines");
            let found = all["pipelines"].as_array()?.iter().any(|p| p["name"] == name && !p["active"].is_null());
            found.then_some(())
        });
    }

    fn stop(self) {
        self.process.signal(libc::SIGTERM);
        self.process.end().exits(0);
    }
}

#[test]
fn runs_are_made_and_followed_over_http() {
    let place = Place::new();
    let server = Server::start(&place);
    assert_eq!(server.get("/healthz")["status"], "ok");
    assert_eq!(server.get("/readyz")["status"], "ready");
    let put = server.send("PUT", "/api/v1/pipelines/revenue", &[], REVENUE);
    assert_eq!((put.status, put.body["applied"].clone()), (201, json!(true)), "{}", put.body);
    let again = server.send("PUT", "/api/v1/pipelines/revenue", &[], REVENUE);
    assert_eq!((again.status, again.body["changed"].clone()), (200, json!(false)));
    assert_eq!(server.get("/api/v1/pipelines")["pipelines"][0]["name"], "revenue");
    let key = ["Idempotency-Key: one"];
    let made = server.send("POST", "/api/v1/pipelines/revenue/runs", &key, "{}");
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let same = server.send("POST", "/api/v1/pipelines/revenue/runs", &key, "");
    assert_eq!((same.status, same.body["id"].as_str()), (201, Some(id.as_str())), "the same answer");
    assert!(same.head.contains("idempotent-replayed: true") && made.head.contains("idempotent-replayed: false"));
    let other = server.send("POST", "/api/v1/pipelines/revenue/runs", &key, r#"{"params": {"x": 1}}"#);
    assert_eq!(
        (other.status, other.body["code"].as_str()),
        (422, Some("TM0208")),
        "what is wrong in itself is said first"
    );
    server.wait_for(&id, "succeeded");
    let tasks = server.get(&format!("/api/v1/runs/{id}/tasks"));
    assert_eq!(tasks["tasks"].as_array().map(Vec::len), Some(3));
    let events = server.get(&format!("/api/v1/runs/{id}/events?limit=2"));
    assert_eq!(events["events"].as_array().map(Vec::len), Some(2));
    let next = events["next"].as_str().expect("a cursor");
    let more = server.get(&format!("/api/v1/runs/{id}/events?cursor={next}"));
    assert!(more["events"].as_array().is_some_and(|e| !e.is_empty()));
    let other = server.send("POST", "/api/v1/runs", &[], r#"{"pipeline": "revenue"}"#);
    assert_eq!(other.status, 201, "{}", other.body);
    server.wait_for(other.body["id"].as_str().expect("an id"), "succeeded");
    let runs = server.get("/api/v1/runs?limit=1");
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1));
    let next = runs["next"].as_str().expect("another page");
    assert_eq!(server.get(&format!("/api/v1/runs?cursor={next}"))["runs"][0]["id"], id);
    server.stop();
}

#[test]
fn what_is_wrong_comes_as_a_problem_document() {
    let place = Place::new();
    let server = Server::start(&place);
    let wrong = |method: &str, path: &str, body: &str| {
        let answer = server.send(method, path, &[], body);
        assert!(answer.head.contains("application/problem+json"), "{path}: {}", answer.head);
        assert_eq!(answer.body["status"], answer.status, "{path}");
        (answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(wrong("GET", "/nowhere", ""), (404, "TM0918".into()));
    assert_eq!(wrong("DELETE", "/api/v1/runs", ""), (405, "TM1307".into()));
    assert_eq!(wrong("GET", "/api/v1/runs/run_1", ""), (404, "TM0918".into()));
    assert_eq!(wrong("GET", "/api/v1/runs?limit=many", "").0, 400);
    assert_eq!(wrong("POST", "/api/v1/runs", "{").0, 400);
    assert_eq!(wrong("POST", "/api/v1/pipelines/none/runs", "{}").0, 404);
    assert_eq!(wrong("PUT", "/api/v1/pipelines/other", REVENUE), (422, "TM0922".into()));
    assert_eq!(wrong("PUT", "/api/v1/pipelines/x", &"#".repeat(6_000_000)), (413, "TM0919".into()));
    let invalid =
        server.send("PUT", "/api/v1/pipelines/x", &[], "pipeline: x\ntasks:\n  a: {sql: SELECT * FROM b}\n  c: {}\n");
    assert_eq!(invalid.status, 422);
    assert_eq!(invalid.body["errors"].as_array().map(Vec::len), Some(2), "{}", invalid.body);
    for header in ["Host: evil.example", "Origin: https://evil.example"] {
        assert_eq!(server.send("POST", "/api/v1/runs", &[header], "{}").status, 403, "{header}");
    }
    assert_eq!(server.get("/api/v1/pipelines")["pipelines"], json!([]));
    server.stop();
}

#[test]
fn runs_are_cancelled_and_resumed_over_http() {
    let place = Place::new();
    place.write("pipelines/s.yaml", &shell("s", "echo here; touch started.txt; [ -e go.txt ] || exec sleep 600"));
    let server = Server::start(&place);
    server.wait_for_pipeline("s");
    let made = server.send("POST", "/api/v1/runs", &[], r#"{"pipeline": "s"}"#);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    place.wait_for("started.txt");
    assert_eq!(server.get(&format!("/api/v1/runs/{id}/explain"))["state"], "running");
    assert_eq!(server.send("POST", &format!("/api/v1/runs/{id}/cancel"), &[], "").status, 200);
    server.wait_for(&id, "cancelled");
    place.write("go.txt", "");
    assert_eq!(server.send("POST", &format!("/api/v1/runs/{id}/resume"), &[], "").status, 200);
    server.wait_for(&id, "succeeded");
    let logs = until("the line is stored", || {
        let logs = server.get(&format!("/api/v1/runs/{id}/logs?task=step"));
        logs["lines"].get(0).is_some().then_some(logs)
    });
    assert_eq!(logs["lines"][0]["text"], "here");
    server.stop();
}

#[test]
fn definitions_are_applied_when_they_change_and_schedules_fire() {
    let place = Place::new();
    place.write("pipelines/tick.yaml", &format!("triggers: [{{cron: \"* * * * * *\"}}]\n{}", shell("tick", "true")));
    place.write("pipelines/broken.yaml", "pipeline: broken\ntasks: {}\n");
    let server = Server::start(&place);
    let run = until("a schedule fired", || {
        let runs = server.get("/api/v1/runs?pipeline=tick&state=succeeded");
        runs["runs"].get(0).cloned()
    });
    assert_eq!(run["trigger"], "cron");
    assert!(run["interval"]["start"].as_str() < run["interval"]["end"].as_str(), "{run}");
    place.write("pipelines/late.yaml", &shell("late", "true"));
    server.wait_for_pipeline("late");
    server.stop();
    // One run per moment, although scheduler and watcher looked many times.
    let runs = place.run(&["runs", "--pipeline", "tick", "-n", "1000", "--json"]).exits(0).json();
    let mut keys: Vec<&str> = runs.as_array().expect("runs").iter().filter_map(|r| r["trigger_key"].as_str()).collect();
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all);
}

#[test]
fn it_listens_on_this_machine_only() {
    let place = Place::new();
    place.run(&["dev", "--listen", "0.0.0.0:0"]).exits(2).says("error[TM0914]");
    let server = Server::start(&place);
    place.run(&["dev", "--listen", &server.address]).exits(2).says("error[TM0914]").says("in use");
    server.stop();
}

#[test]
fn a_detached_run_is_taken_by_the_server() {
    let place = Place::new();
    place.write("s.yaml", &shell("s", "true"));
    let server = Server::start(&place);
    place.run(&["run", "s.yaml", "--detach"]).exits(0);
    place.wait_for_run("succeeded");
    server.stop();
}

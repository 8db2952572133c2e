//! Three workers, two schedulers and a server over real PostgreSQL and Redis: a pipeline that clock, webhook and callers start at
//! once. One worker is killed, one is drained, a scheduler is killed; every result is there once, and at every stage `explain`
//! says what is going on.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tidemill_stories::{
    cluster::{Cluster, Part, until},
    shop::{SECRET, tell},
};

const PIPELINE: &str = "
pipeline: story
concurrency: {max_runs: 200, on_overlap: allow}
triggers:
  - {name: clock, cron: '*/2 * * * * *', catch_up: all}
  - name: shop
    webhook: {preset: generic, secret: '${env:SHOP_SECRET}', signature: {header: X-Shop-Signature}, timestamp: X-Shop-Time, key: {payload: /id}}
tasks:
  first: {shell: {command: 'sleep 0.2; echo first'}}
  left: {shell: {command: 'sleep 0.3; echo left'}, needs: [first]}
  right: {shell: {command: 'sleep 0.3; echo right'}, needs: [first]}
  rows: {sql: 'SELECT 7 AS n UNION ALL SELECT 8', needs: [left, right], materialize: dataset}
  total: {sql: 'SELECT sum(n) AS total FROM rows', materialize: dataset}
  loaded: {load: {input: total, connection: out, table: totals, mode: append}}
";

// Runs that callers ask for, and events that the shop tells, each several times.
const CALLS: usize = 18;
const EVENTS: usize = 4;
const TIMES: u32 = 10;

/// What callers see of the cluster.
struct Front(Part);

impl Front {
    fn get(&self, path: &str) -> Value {
        let (status, answer) = self.0.http("GET", path, &[], "");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    fn start_run(&self, key: usize) -> String {
        let header = format!("Idempotency-Key: story-{key}");
        let headers = [header.as_str(), "Content-Type: application/json"];
        let (status, run) = self.0.http("POST", "/api/v1/pipelines/story/runs", &headers, "{\"params\": {}}");
        assert!(matches!(status, 200..=202), "{status}: {run}");
        run["id"].as_str().expect("a run has an id").to_owned()
    }

    fn explained(&self, run: &str) -> Value {
        self.get(&format!("/api/v1/runs/{run}/explain"))
    }

    /// What is said of a task of a run.
    fn explained_task(&self, run: &str, task: &str) -> Value {
        self.get(&format!("/api/v1/runs/{run}/tasks/{task}/explain"))
    }

    fn runs(&self) -> Vec<Value> {
        let page = self.get("/api/v1/runs?limit=1000");
        page["runs"].as_array().expect("a page of runs").clone()
    }
}

fn says(explained: &Value, what: &str) -> bool {
    explained["sentences"]
        .as_array()
        .expect("sentences")
        .iter()
        .any(|said| said.as_str().is_some_and(|s| s.contains(what)))
}

fn alive(cluster: &Cluster) -> Vec<Value> {
    let (_, workers) = cluster.run(&["workers"]);
    let workers = workers.as_array().expect("a list").iter();
    workers.filter(|worker| worker["state"] != "silent").cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_loses_a_worker_and_drains_another_and_every_load_is_there_once() {
    let cluster = Cluster::start("worker: {slots: 2, lease: 3s, labels: {zone: eu}}\n", 100).await;
    tokio::task::spawn_blocking(move || story(&cluster)).await.expect("it ends well");
}

fn story(cluster: &Cluster) {
    let front = opened(cluster);
    let url = format!("{}/hooks/story/shop", front.0.hello["url"].as_str().expect("a URL"));
    let schedulers = [cluster.part(&["scheduler"]), cluster.part(&["scheduler"])];
    let mut runs: Vec<String> = (0..CALLS / 2).map(|key| front.start_run(key)).collect();
    assert_eq!(front.start_run(0), runs[0], "one key makes one run");
    nobody_works_yet(&front, &runs[0]);

    let mut workers: Vec<Part> = (0..3).map(|_| cluster.part(&["worker"])).collect();
    until("three workers are there", || (alive(cluster).len() == 3).then_some(()));
    assert_eq!(alive(cluster)[0]["labels"], json!({"zone": "eu"}));
    let shop = std::thread::spawn(move || {
        (0..EVENTS).map(|event| tell(&url, SECRET, &format!("event-{event}"), TIMES)).collect::<Vec<_>>()
    });
    until("all workers have something to do", || {
        alive(cluster).iter().all(|worker| worker["running"].as_u64() > Some(0)).then_some(())
    });
    a_worker_dies(&front, workers.remove(0));
    let mut drained = workers.remove(0);
    drained.signal(Signal::SIGTERM);
    runs.extend((CALLS / 2..CALLS).map(|key| front.start_run(key)));
    workers.push(cluster.part(&["worker", "--slots", "4"]));
    let [one, two] = schedulers;
    one.kill();
    assert_eq!(drained.wait(), 0, "{}", drained.log());
    for told in shop.join().expect("the shop ends") {
        assert!(
            matches!(told.as_slice(), [one] if one[0] == 202 && one[2] == TIMES),
            "one run for each event: {told:?}"
        );
    }
    until("the clock fired", || by_trigger(&front).get("cron").is_some_and(|n| *n >= 3).then_some(()));
    let (code, paused) = cluster.run(&["schedules", "pause", "story"]);
    assert_eq!(code, 0, "{paused}");
    all_is_there_once(cluster, &front);

    assert_eq!(alive(cluster).iter().filter(|worker| worker["state"] == "working").count(), 2, "who drained has left");
    for part in workers.into_iter().chain([two, front.0]) {
        assert_eq!(part.stop(), 0);
    }
}

/// A server, and the pipeline applied by its API.
fn opened(cluster: &Cluster) -> Front {
    let mut server = cluster.part_with(&["server", "--listen", "127.0.0.1:0"], &[("SHOP_SECRET", SECRET.to_owned())]);
    assert_eq!(server.http("GET", "/api/v1/runs", &[], "").0, 401, "nobody gets in without a token");
    let (_, made) = cluster.run(&["tokens", "create", "story", "--role", "admin"]);
    server.token = made["token"].as_str().map(str::to_owned);
    let (status, answer) = server.http("PUT", "/api/v1/pipelines/story", &["Content-Type: application/yaml"], PIPELINE);
    assert!(matches!(status, 200..=201), "{status}: {answer}");
    Front(server)
}

fn nobody_works_yet(front: &Front, run: &str) {
    let told = front.explained(run);
    assert_eq!((&told["state"], &told["waits_for"][0]["subject"]), (&json!("running"), &json!("first")), "{told}");
    assert!(says(&told["waits_for"][0], "waits for a free worker of queue `default`"), "{told}");
    let last = front.explained_task(run, "loaded");
    assert!(last["state"] == "blocked" && says(&last, "waits for 1 task before it"), "{last}");
    assert_eq!(last["waits_for"][0]["subject"], "first", "{last}");
}

/// Who has a task is said while it lives, when it is gone, and how the task came through all the same.
fn a_worker_dies(front: &Front, worker: Part) {
    let id = worker.hello["id"].clone();
    let held = |told: &Value| {
        let tasks = told["waits_for"].as_array().expect("tasks").iter();
        tasks
            .filter(|task| task["owner"] == id && says(task, "has it"))
            .filter_map(|t| t["subject"].as_str().map(str::to_owned))
            .next()
    };
    let (run, task) = until("it has a task", || {
        let running: Vec<Value> = front.runs().into_iter().filter(|run| run["state"] == "running").collect();
        running.iter().find_map(|run| {
            let run = run["id"].as_str()?;
            held(&front.explained(run)).map(|task| (run.to_owned(), task))
        })
    });
    worker.signal(Signal::SIGSTOP);
    let still = front.explained_task(&run, &task);
    worker.kill();
    // It may have ended the task between the two looks; then there is nothing to tell of a loss.
    if still["owner"] != id || still["state"] != "running" {
        return;
    }
    assert!(says(&still, "Its lease holds for") || says(&still, "Its lease ended"), "{still}");
    let ended = until("somebody else ends it", || {
        let told = front.explained_task(&run, &task);
        (told["state"] == "succeeded").then_some(told)
    });
    assert!(says(&ended, "at attempt 2"), "{ended}");
    println!("counted: one task lost its worker and was ended by another, and explain said so at each stage");
}

fn by_trigger(front: &Front) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for run in front.runs() {
        *counts.entry(run["trigger"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

fn all_is_there_once(cluster: &Cluster, front: &Front) {
    let ended = until("every run ends", || {
        let runs = front.runs();
        let over =
            |run: &Value| ["succeeded", "failed", "cancelled"].contains(&run["state"].as_str().unwrap_or_default());
        runs.iter().all(over).then_some(runs)
    });
    for run in &ended {
        let id = run["id"].as_str().expect("an id");
        let told = front.explained(id);
        assert!(run["state"] == "succeeded" && says(&told, "It succeeded"), "{told}");
    }
    let counts = by_trigger(front);
    assert_eq!((counts["api"], counts["webhook"]), (CALLS, EVENTS), "{counts:?}");
    println!("counted: runs of the story by trigger: {counts:?}");
    let manifest = cluster.manifest("totals").expect("something was loaded");
    assert_eq!(manifest["rows"], ended.len(), "a load is missing or there twice");
    let loads: BTreeSet<&str> =
        manifest["loads"].as_array().expect("a list").iter().filter_map(|load| load["load"].as_str()).collect();
    assert_eq!(loads.len(), ended.len());
    let (code, doctor) = cluster.run(&["doctor"]);
    assert_eq!((code, &doctor["ok"]), (0, &json!(true)), "{doctor}");
}

#[test]
fn a_part_of_a_cluster_says_what_is_missing() {
    let project = tidemill_stories::Project::examples();
    for part in ["worker", "scheduler", "server"] {
        let said = project.run(&[part, "--json"]);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.out.contains("TM1402"), "{}", said.out);
    }
    let mut command = project.command(&["worker"]);
    command.env("TIDEMILL_DATABASE_URL", "postgres://u:hidden@127.0.0.1:1/x");
    let output = command.env("TIDEMILL_QUEUE_URL", "http://:hidden@nowhere").output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("TM1401") && !text.contains("hidden"), "{text}");
}

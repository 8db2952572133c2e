//! Three workers, two schedulers and a server over real PostgreSQL and Redis: one worker is killed, one is drained, a scheduler
//! is killed, and every result is there once.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tidemill_stories::cluster::{Cluster, Part, until};

const PIPELINE: &str = "
pipeline: story
concurrency: {max_runs: 50, on_overlap: allow}
tasks:
  first: {shell: {command: 'sleep 0.2; echo first'}}
  left: {shell: {command: 'sleep 0.3; echo left'}, needs: [first]}
  right: {shell: {command: 'sleep 0.3; echo right'}, needs: [first]}
  rows: {sql: 'SELECT 7 AS n UNION ALL SELECT 8', needs: [left, right], materialize: dataset}
  total: {sql: 'SELECT sum(n) AS total FROM rows', materialize: dataset}
  loaded: {load: {input: total, connection: out, table: totals, mode: append}}
";

const RUNS: usize = 24;

fn start_run(server: &Part, key: usize) -> String {
    let header = format!("Idempotency-Key: story-{key}");
    let headers = [header.as_str(), "Content-Type: application/json"];
    let (status, run) = server.http("POST", "/api/v1/pipelines/story/runs", &headers, "{\"params\": {}}");
    assert!(matches!(status, 200..=202), "{status}: {run}");
    run["id"].as_str().expect("a run has an id").to_owned()
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
    let mut server = cluster.part(&["server", "--listen", "127.0.0.1:0"]);
    assert_eq!(server.http("GET", "/api/v1/runs", &[], "").0, 401, "nobody gets in without a token");
    let (_, made) = cluster.run(&["tokens", "create", "story", "--role", "admin"]);
    server.token = made["token"].as_str().map(str::to_owned);
    let (status, answer) = server.http("PUT", "/api/v1/pipelines/story", &["Content-Type: application/yaml"], PIPELINE);
    assert!(matches!(status, 200..=201), "{status}: {answer}");
    let schedulers = [cluster.part(&["scheduler"]), cluster.part(&["scheduler"])];
    let mut workers: Vec<Part> = (0..3).map(|_| cluster.part(&["worker"])).collect();
    until("three workers are there", || (alive(cluster).len() == 3).then_some(()));
    assert_eq!(alive(cluster)[0]["labels"], json!({"zone": "eu"}));

    let mut runs: Vec<String> = (0..RUNS / 2).map(|key| start_run(&server, key)).collect();
    assert_eq!(start_run(&server, 0), runs[0], "one key makes one run");
    until("all workers have something to do", || {
        alive(cluster).iter().all(|worker| worker["running"].as_u64() > Some(0)).then_some(())
    });
    workers.remove(0).kill();
    let drained = workers.remove(0);
    drained.signal(Signal::SIGTERM);
    runs.extend((RUNS / 2..RUNS).map(|key| start_run(&server, key)));
    workers.push(cluster.part(&["worker", "--slots", "4"]));
    let [one, two] = schedulers;
    one.kill();
    let mut drained = drained;
    assert_eq!(drained.wait(), 0, "{}", drained.log());

    for run in &runs {
        let path = format!("/api/v1/runs/{run}");
        let ended = until("the run ends", || {
            let (_, record) = server.http("GET", &path, &[], "");
            ["succeeded", "failed", "cancelled"].contains(&record["state"].as_str()?).then_some(record)
        });
        assert_eq!(ended["state"], "succeeded", "{run}: {}", server.http("GET", &format!("{path}/explain"), &[], "").1);
    }
    let manifest = cluster.manifest("totals").expect("something was loaded");
    assert_eq!(manifest["rows"], RUNS, "a load is missing or there twice");
    let loads: std::collections::BTreeSet<&str> =
        manifest["loads"].as_array().expect("a list").iter().filter_map(|load| load["load"].as_str()).collect();
    assert_eq!(loads.len(), RUNS);
    let (code, doctor) = cluster.run(&["doctor"]);
    assert_eq!((code, &doctor["ok"]), (0, &json!(true)), "{doctor}");
    assert_eq!(alive(cluster).iter().filter(|worker| worker["state"] == "working").count(), 2, "who drained has left");
    for part in workers.into_iter().chain([two, server]) {
        assert_eq!(part.stop(), 0);
    }
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

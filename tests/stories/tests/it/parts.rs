//! What the parts of a cluster promise each by itself: a worker takes from its queues only, a server that others can reach wants tokens, and
//! the doctor names what is away.

use serde_json::{Value, json};
use tidemill_stories::{
    Said,
    cluster::{Cluster, Part, until},
};

const PIPELINE: &str = "
pipeline: queues
tasks:
  plain: {shell: {command: 'true'}}
  special: {shell: {command: 'true'}, queue: special, needs: [plain]}
  plain_again: {shell: {command: 'true'}, needs: [special]}
";

async fn on_cluster(story: fn(&Cluster)) {
    let cluster = Cluster::start("worker: {slots: 2, labels: {zone: eu}}\n", 60).await;
    tokio::task::spawn_blocking(move || story(&cluster)).await.expect("it ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_from_its_queues_only() {
    on_cluster(queues).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_others_can_reach_wants_tokens() {
    on_cluster(reachable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_is_away() {
    on_cluster(doctor).await;
}

fn with_token(cluster: &Cluster, mut server: Part) -> Part {
    let (_, made) = cluster.run(&["tokens", "create", "story", "--role", "admin"]);
    server.token = made["token"].as_str().map(str::to_owned);
    server
}

fn queues(cluster: &Cluster) {
    let server = with_token(cluster, cluster.part(&["server", "--listen", "127.0.0.1:0"]));
    let _scheduler = cluster.part(&["scheduler"]);
    let plain = cluster.part(&["worker"]);
    server.http("PUT", "/api/v1/pipelines/queues", &["Content-Type: application/yaml"], PIPELINE);
    let (_, run) = server.http("POST", "/api/v1/pipelines/queues/runs", &["Content-Type: application/json"], "{}");
    let path = format!("/api/v1/runs/{}", run["id"].as_str().expect("a run"));
    let task = |name: &str| server.http("GET", &format!("{path}/tasks/{name}"), &[], "").1;
    until("the first task ends", || (task("plain")["state"] == "succeeded").then_some(()));
    // Nobody serves the other queue: the one worker that is there leaves its task alone, and `explain` says so.
    let told = until("the task waits", || {
        let (_, told) = server.http("GET", &format!("{path}/tasks/special/explain"), &[], "");
        told.to_string().contains("special").then_some(told)
    });
    assert_eq!(task("special")["state"], "ready", "{told}");
    let special = cluster.part(&["worker", "--queue", "special"]);
    until("the run ends", || (server.http("GET", &path, &[], "").1["state"] == "succeeded").then_some(()));
    for (name, worker) in [("plain", &plain), ("special", &special), ("plain_again", &plain)] {
        let (_, attempts) = server.http("GET", &format!("{path}/tasks/{name}/attempts"), &[], "");
        let workers: Vec<&Value> =
            attempts["attempts"].as_array().expect("a list").iter().map(|it| &it["owner"]).collect();
        assert_eq!(workers, [&worker.hello["id"]], "{name}: {attempts}");
    }
}

fn reachable(cluster: &Cluster) {
    let refused = cluster.command(&["server", "--listen", "0.0.0.0:0", "--json"]).output().expect("it starts");
    let refused = Said::of(refused);
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(refused.out.contains("tokens create"), "{}", refused.out);
    let (_, made) = cluster.run(&["tokens", "create", "first", "--role", "admin"]);
    let mut server = cluster.part(&["server", "--listen", "0.0.0.0:0"]);
    let url = server.hello["url"].as_str().expect("an address").replace("0.0.0.0", "127.0.0.1");
    server.hello["url"] = url.into();
    // From another machine it has another name.
    let named = |token: Option<&str>| {
        let header = token.map(|token| format!("Authorization: Bearer {token}"));
        let headers: Vec<&str> = header.as_deref().into_iter().chain(["X-Forwarded-Host: tidemill.example"]).collect();
        server.http("GET", "/api/v1/runs", &headers, "").0
    };
    assert_eq!(named(None), 401);
    assert_eq!(named(Some("tm_000000000000_0000")), 401);
    assert_eq!(named(made["token"].as_str()), 200);
    assert_eq!(server.http("GET", "/healthz", &[], "").0, 200, "whoever looks after it needs no token");
    cluster.run(&["tokens", "revoke", "first"]);
    assert_eq!(named(made["token"].as_str()), 401, "revoked is revoked at once");
}

fn doctor(cluster: &Cluster) {
    let level = |said: &Value, name: &str| {
        let all = said["dependencies"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|it| it["name"] == name).map(|it| it["level"].clone())
    };
    let (code, well) = cluster.run(&["doctor"]);
    assert_eq!(code, 0, "{well}");
    for name in ["database", "schema", "clock", "queue", "data sets", "disk", "python"] {
        assert_eq!(level(&well, name), Some(json!("fine")), "{name}: {well}");
    }
    assert!(well.to_string().contains("postgres"), "{well}");
    cluster.redis.stop();
    let (code, ill) = cluster.run(&["doctor"]);
    assert_eq!(code, 1, "{ill}");
    assert!(level(&ill, "queue").is_some_and(|level| level != "fine"), "{ill}");
    assert_eq!((level(&ill, "database"), &ill["violations"]), (Some(json!("fine")), &json!([])), "{ill}");
    cluster.redis.again().expect("it comes back");
    assert_eq!(cluster.run(&["doctor"]).0, 0);
    cluster.postgres.stop();
    let (code, away) = cluster.run(&["doctor"]);
    assert!(code != 0 && away.to_string().contains("TM0802"), "{away}");
}

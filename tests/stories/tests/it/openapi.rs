//! The API against its own OpenAPI document, by a tester that is not ours: schemathesis makes requests that the document allows, and
//! others that it does not, and looks whether answers are as the document says. Once with whatever it thinks of, once
//! with the names of what is there.

use std::{fmt::Write as _, process::Command};

use serde_json::json;
use tidemill_stories::{
    Said,
    cluster::{Cluster, Part, until},
    root,
};
use tidemill_testkit::test_python;

const PIPELINE: &str = "
pipeline: known
params: {least: {type: integer, default: 1}}
triggers: [{cron: '0 6 * * *'}, {webhook: {preset: github, secret: '${env:NO_SUCH_SECRET}'}}]
tasks:
  said: {shell: {command: 'echo a line'}}
  rows: {sql: 'SELECT 7 AS n UNION ALL SELECT 8', needs: [said], materialize: dataset}
  loaded: {load: {input: rows, connection: out, table: known, mode: append}}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_as_its_document_says() {
    let cluster = Cluster::start("server: {requests_per_minute: 10000000}\n", 100).await;
    tokio::task::spawn_blocking(move || story(&cluster)).await.expect("it ends well");
}

fn story(cluster: &Cluster) {
    let mut server = cluster.part(&["server", "--listen", "127.0.0.1:0"]);
    let (_, made) = cluster.run(&["tokens", "create", "tester", "--role", "admin"]);
    server.token = made["token"].as_str().map(str::to_owned);
    let parts = [cluster.part(&["scheduler"]), cluster.part(&["worker"])];
    let run = known_run(&server);
    let shared = std::fs::read_to_string(root().join("tests/stories/schemathesis.toml")).expect("a configuration");
    ask(cluster, &server, &shared, "whatever it thinks of");
    let mut known = shared + "\n[parameters]\n";
    for (name, value) in
        [("name", "known"), ("run", &run), ("task", "rows"), ("version", "active"), ("connection", "out")]
    {
        writeln!(known, "\"path.{name}\" = \"{value}\"").expect("text takes text");
    }
    ask(cluster, &server, &known, "what is there");
    let (code, doctor) = cluster.run(&["doctor"]);
    assert_eq!((code, &doctor["violations"]), (0, &json!([])), "{doctor}");
    for part in parts.into_iter().chain([server]) {
        assert_eq!(part.stop(), 0);
    }
}

/// A run that has ended well, with a data set.
fn known_run(server: &Part) -> String {
    let (status, answer) = server.http("PUT", "/api/v1/pipelines/known", &["Content-Type: application/yaml"], PIPELINE);
    assert!(matches!(status, 200..=201), "{status}: {answer}");
    let (_, run) = server.http("POST", "/api/v1/pipelines/known/runs", &["Content-Type: application/json"], "{}");
    let run = run["id"].as_str().expect("a run").to_owned();
    until("the run ends", || {
        let (_, record) = server.http("GET", &format!("/api/v1/runs/{run}"), &[], "");
        (record["state"] == "succeeded").then_some(())
    });
    run
}

fn ask(cluster: &Cluster, server: &Part, configuration: &str, about: &str) {
    let file = cluster.folder().join("schemathesis.toml");
    std::fs::write(&file, configuration).expect("a configuration");
    let url = server.hello["url"].as_str().expect("it serves");
    let mut command = Command::new(test_python());
    command
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(&file)
        .args(["run", &format!("{url}/api/v1/openapi.json")]);
    command.args(["--header", &format!("Authorization: Bearer {}", server.token.as_deref().unwrap_or_default())]);
    command.args(["--checks", "all", "--max-examples", "15", "--seed", "1", "--generation-database", "none"]);
    command.args(["--no-color", "--continue-on-failure", "--request-timeout", "60"]);
    let said = Said::of(command.current_dir(cluster.folder()).output().expect("schemathesis is installed"));
    assert_eq!(said.code, 0, "{about}:\n{}{}", said.out, said.err);
    let cases = said
        .out
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(" generated"));
    println!("counted: the API by schemathesis, {about}: {}", cases.unwrap_or_default());
}

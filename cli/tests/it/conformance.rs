//! The API as strangers meet it: a real server, and requests made from its own description by schemathesis.

use std::process::Command;
use std::time::Instant;

use crate::place::{Place, REVENUE, shell};

/// How long requests are made; the whole test takes a little longer.
const SECONDS: &str = "45";

/// The interpreter whose environment has schemathesis (`tests/requirements.txt`).
fn python() -> String {
    std::env::var("TIDEMILL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

#[test]
fn no_request_breaks_the_server_and_every_answer_is_as_described() {
    let place = Place::new();
    place.write(
        "tidemill.yaml",
        "connections:\n  data: {kind: files, path: data}\n  out: {kind: files, path: out}\n\
         server: {requests_per_minute: 1000000}\n",
    );
    place.write("pipelines/revenue.yaml", REVENUE);
    place.write("pipelines/s.yaml", &shell("s", "echo here"));
    place.run(&["apply", "--yes"]).exits(0);
    place.run(&["run", "revenue"]).exits(0);
    let run = place.run(&["runs", "--json"]).exits(0).json()[0]["id"].as_str().expect("a run").to_owned();
    let mut server = place.start(&["dev", "--listen", "127.0.0.1:0", "--json"]);
    let hello: serde_json::Value = serde_json::from_str(&server.first_line()).expect("a greeting");
    let url = hello["url"].as_str().expect("a URL");
    // Names that exist, so that not everything ends at "there is no such thing".
    let settings = format!(
        "[parameters]\n\"path.name\" = [\"revenue\", \"s\", \"data\", \"nobody\"]\n\"path.run\" = [\"{run}\", \"run_1\"]\n\
         \"path.task\" = [\"per_country\", \"publish\", \"nobody\"]\n\"path.file\" = [\"0\", \"9\"]\n\
         \"path.version\" = [\"1\", \"active\", \"99\"]\n\"path.table\" = [\"orders\", \"nobody\"]\n"
    );
    place.write("schemathesis.toml", &settings);
    let start = Instant::now();
    let output = Command::new(python())
        .args(["-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"])
        .arg(format!("{url}/api/v1/openapi.json"))
        .args(["--max-time", SECONDS, "--seed", "1", "--phases", "examples,coverage,fuzzing", "--workers", "2"])
        .args(["--checks", "all", "--exclude-checks", EXCLUDED, "--max-examples", "40", "--warnings", "off"])
        .current_dir(place.path("."))
        .env("NO_COLOR", "1")
        .output()
        .expect("schemathesis starts; `tests/install` provides it");
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    let told =
        text.lines().filter(|line| line.contains("test cases") || line.contains("Operations")).collect::<Vec<_>>();
    println!("counted: schemathesis: {}", told.join("; "));
    println!("timed: schemathesis against the API: {:.1} s", start.elapsed().as_secs_f64());
    server.signal(libc::SIGTERM);
    server.end().exits(0);
}

/// What does not fit this API: locally nobody is asked for a token, and a 404 is no refusal of what was sent.
const EXCLUDED: &str =
    "ignored_auth,positive_data_acceptance,negative_data_rejection,missing_required_header,unsupported_method";

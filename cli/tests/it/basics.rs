use std::process::Stdio;

use crate::place::{Place, REVENUE, parquet_rows};

const COMMANDS: [&str; 25] = [
    "ask",
    "validate",
    "plan",
    "apply",
    "versions",
    "diff",
    "rollback",
    "tokens",
    "run",
    "runs",
    "explain",
    "logs",
    "cancel",
    "resume",
    "schema",
    "connections",
    "config",
    "init",
    "dev",
    "doctor",
    "gc",
    "stats",
    "events",
    "show",
    "errors",
];

#[test]
fn help_teaches() {
    let place = Place::empty();
    let help = place.run(&["--help"]).exits(0).says("Exit codes:").says("tidemill init");
    for command in COMMANDS {
        assert!(help.stdout.contains(&format!("  {command} ")), "{command} in\n{}", help.stdout);
        place.run(&[command, "--help"]).exits(0).says("Usage:");
    }
    place.run(&["--version"]).exits(0).says("tidemill 0.");
}

#[test]
fn a_wrong_command_line_is_told_in_both_forms() {
    let place = Place::empty();
    place.run(&["rum"]).exits(2).says("'run'");
    let wrong = place.run(&["runs", "--state", "odd", "--json"]).exits(2).json();
    assert_eq!(wrong[0]["code"], "TM0923");
}

#[test]
fn init_makes_a_project_that_runs() {
    let place = Place::empty();
    place.run(&["init"]).exits(0).says("wrote");
    place.run(&["validate"]).exits(0).says("1 definition is fine");
    place.run(&["run", "hello"]).exits(0).says("succeeded").says("out.greetings_per_language").says("de");
    assert_eq!(parquet_rows(&place.path("out/greetings_per_language")), 3);
    let before = place.read("tidemill.yaml");
    place.run(&["init"]).exits(2).says("error[TM0913]");
    assert_eq!(place.read("tidemill.yaml"), before);
    assert_eq!(place.run(&["init", "--json", "sub"]).exits(0).json()["files"][0], "tidemill.yaml");
}

#[test]
fn a_folder_without_a_file_is_a_project_too() {
    let place = Place::empty();
    place.write("people.csv", "name\nann\nbob\n");
    place.write("p.yaml", "pipeline: p\ntasks:\n  n:\n    sql: SELECT count(*) AS n FROM here.people\n");
    place.run(&["run", "p.yaml"]).exits(0).says("n").says("2");
    place.run(&["config", "print"]).exits(0).says("here");
    assert!(!place.path("tidemill.yaml").exists());
}

#[test]
fn looking_leaves_nothing_behind() {
    let place = Place::new();
    place.run(&["runs"]).exits(0).says("no runs yet");
    place.run(&["doctor"]).exits(0);
    assert!(!place.path(".tidemill/state.db").exists());
}

#[test]
fn validate_tells_every_error_of_every_file() {
    let place = Place::new();
    place.write("pipelines/good.yaml", REVENUE);
    place.write(
        "pipelines/bad.yaml",
        "pipeline: bad\ntasks:\n  a:\n    sql: SELECT 1 AS x FROM nowhere\n  b: {extract: {conection: data, table: orders}}\n",
    );
    place.write("pipelines/worse.yaml", "pipeline: [\n");
    let told = place.run(&["validate", "pipelines"]).exits(3).says("2 files; 1 fine");
    for text in ["pipelines/bad.yaml:4:", "pipelines/bad.yaml:5:", "connection", "pipelines/worse.yaml:", "^", "help:"]
    {
        assert!(told.stderr.contains(text), "{text} in\n{}", told.stderr);
    }
    let list = place.run(&["validate", "pipelines", "--json"]).exits(3).json();
    let list = list.as_array().expect("an array");
    assert!(list.len() >= 3, "{list:?}");
    for entry in list {
        assert!(entry["code"].as_str().is_some_and(|c| c.starts_with("TM")), "{entry}");
        assert!(entry["file"].as_str().is_some_and(|f| f.ends_with(".yaml")), "{entry}");
        assert!(entry["line"].as_u64().is_some_and(|l| l > 0), "{entry}");
    }
    place.run(&["validate", "pipelines/good.yaml"]).exits(0).says("fine");
    assert_eq!(place.run(&["validate", "pipelines/good.yaml", "--json"]).exits(0).json(), serde_json::json!([]));
    place.run(&["validate", "nope.yaml"]).exits(2).says("error[TM0901]").says("No such file");
    place.write("nothing/readme.txt", "");
    place.run(&["validate", "nothing"]).exits(2).says("error[TM0915]");
}

#[test]
fn plan_shows_graph_edges_columns_and_pushdown() {
    let place = Place::new();
    place.write("pipelines/revenue.yaml", REVENUE);
    let plan = place.run(&["plan", "revenue"]).exits(0);
    for text in [
        "┌─",
        "orders → per_country  (sql)",
        "sane → publish  (needs)",
        "with orders inlined",
        "revenue",
        "data.orders",
        "▼",
    ] {
        assert!(plan.stdout.contains(text), "{text} in\n{}", plan.stdout);
    }
    assert!(plan.stdout.lines().filter(|l| l.contains('│')).all(|l| l.chars().count() <= 80), "{}", plan.stdout);
    let json = place.run(&["plan", "revenue", "--json"]).exits(0).json();
    assert_eq!(json["pipeline"], "revenue");
    assert_eq!(json["proof"]["per_country"]["columns"][1]["name"], "revenue");
    assert_eq!(json["tasks"][0]["views"][0], "orders");
    assert_eq!(json["version"].as_str().map(str::len), Some(64));
}

#[test]
fn plan_tells_when_a_schedule_fires() {
    let place = Place::new();
    let text = format!("triggers: [{{cron: \"0 6 * * *\", timezone: Europe/Berlin}}]\n{REVENUE}");
    place.write("r.yaml", &text);
    let plan = place.run(&["plan", "r.yaml"]).exits(0).says("Next fire times");
    assert_eq!(plan.stdout.matches(":00:00 UTC").count(), 5, "{}", plan.stdout);
}

#[test]
fn errors_have_pages() {
    let place = Place::empty();
    place.run(&["errors"]).exits(0).says("TM0904");
    place.run(&["errors", "tm0904"]).exits(0).says("# TM0904").says("What to do");
    assert_eq!(place.run(&["errors", "TM0904", "--json"]).exits(0).json()["code"], "TM0904");
    place.run(&["errors", "TM9999"]).exits(2).says("error[TM0911]");
    let wrong = place.run(&["errors", "TM9999", "--json"]).exits(2).json();
    assert_eq!((wrong[0]["code"].as_str(), wrong[0]["severity"].as_str()), (Some("TM0911"), Some("error")));
}

#[test]
fn a_reader_that_leaves_is_not_an_error() {
    let place = Place::empty();
    let mut child = place.command(&["errors"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn settings_are_checked_with_their_places() {
    let place = Place::new();
    place.run(&["config", "check"]).exits(0).says("2 connections");
    place.run(&["config", "print"]).exits(0).says("slots").says("kind: files");
    assert_eq!(place.run(&["config", "print", "--json"]).exits(0).json()["settings"]["state"]["dir"], ".tidemill");
    place.run(&["config", "reference"]).exits(0).says("# How long a task stays");
    place.write("tidemill.yaml", "worker:\n  slot: 3\nengine: {memory_mb: many}\n");
    let wrong = place.run(&["runs"]).exits(2);
    for text in ["tidemill.yaml:2:3: error[TM0904]", "did you mean `slots`?", "tidemill.yaml:3:", "error[TM0903]"] {
        assert!(wrong.stderr.contains(text), "{text} in\n{}", wrong.stderr);
    }
    let list = place.run(&["config", "check", "--json"]).exits(2).json();
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    place.run(&["-C", "missing", "runs"]).exits(2).says("error[TM0905]");
}

#[test]
fn a_project_is_found_from_below() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("deep/er")).expect("made");
    let output = place.command(&["connections", "--json"]).current_dir(place.path("deep/er")).output().expect("ran");
    assert!(String::from_utf8_lossy(&output.stdout).contains("orders"));
}

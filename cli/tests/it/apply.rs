//! Definitions as data: apply, versions, diff, rollback; and tokens.

use serde_json::{Value, json};

use crate::place::{Place, REVENUE, shell};

/// The versions of a pipeline: their numbers and states, newest first.
fn versions(place: &Place, name: &str) -> Vec<(u64, String)> {
    let list = place.run(&["versions", name, "--json"]).exits(0).json();
    let one = |v: &Value| (v["number"].as_u64().expect("a number"), v["state"].as_str().expect("a state").to_owned());
    list.as_array().expect("versions").iter().map(one).collect()
}

fn states(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter().map(|(number, state)| (*number, (*state).to_owned())).collect()
}

#[test]
fn a_folder_is_planned_applied_and_applied_again() {
    let place = Place::new();
    place.write("pipelines/revenue.yaml", REVENUE);
    place.write("pipelines/a.yaml", &shell("a", "true"));
    let plan = place.run(&["apply", "--plan"]).exits(0).says("+ revenue is new").says("task per_country (sql)");
    assert!(!plan.stdout.contains("✓"), "{}", plan.stdout);
    place.run(&["versions", "revenue"]).exits(2).says("error[TM0906]");
    place.run(&["apply"]).exits(2).says("error[TM1319]").says("--yes");
    place.run(&["apply", "--yes"]).exits(0).says("2 changed, 0 unchanged");
    place.run(&["apply"]).exits(0).says("= revenue unchanged").says("0 changed, 2 unchanged");
    place.write("pipelines/revenue.yaml", &REVENUE.replace("sum(total) AS revenue", "avg(total) AS mean"));
    let plan = place.run(&["apply", "--plan", "--json"]).exits(0).json();
    assert_eq!(plan["applied"], false);
    let change = plan["changes"].as_array().expect("changes").iter().find(|c| c["name"] == "revenue").expect("revenue");
    let columns: Vec<(&str, &str)> = change["diff"]["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter(|c| c["task"] == "per_country")
        .filter_map(|c| Some((c["column"].as_str()?, c["what"].as_str()?)))
        .collect();
    assert_eq!(columns, [("mean", "added"), ("revenue", "removed")], "{plan}");
    place
        .run(&["apply", "-f", "pipelines/revenue.yaml", "--yes"])
        .exits(0)
        .says("~ revenue changes")
        .says("-SELECT country, sum(total) AS revenue")
        .says("+SELECT country, avg(total) AS mean")
        .says("column per_country.mean: ");
    assert_eq!(versions(&place, "revenue"), states(&[(2, "active"), (1, "archived")]));
}

#[test]
fn one_wrong_file_applies_nothing_and_all_errors_are_told() {
    let place = Place::new();
    place.write("pipelines/good.yaml", &shell("good", "true"));
    place.write("pipelines/bad.yaml", "pipeline: bad\ntasks:\n  x: {sql: SELECT a FROM nobody}\n");
    place.write("pipelines/worse.yaml", "pipeline: worse\ntasks: {}\n");
    let gave = place.run(&["apply", "--yes", "--json"]).exits(3);
    let files: std::collections::BTreeSet<String> = gave
        .json()
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| f["file"].as_str().expect("a file").to_owned())
        .collect();
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["pipelines/bad.yaml", "pipelines/worse.yaml"]);
    place.run(&["versions", "good"]).exits(2).says("error[TM0906]");
    place.write("pipelines/bad.yaml", &shell("good", "false"));
    place.write("pipelines/worse.yaml", &shell("worse", "true"));
    place.run(&["apply", "--yes"]).exits(3).says("error[TM1315]");
}

#[test]
fn versions_are_proposed_compared_and_rolled_back() {
    let place = Place::new();
    for (command, flags) in
        [("echo one", "--yes"), ("echo two", "--yes"), ("echo three", "--propose"), ("echo four", "--draft")]
    {
        place.write("s.yaml", &shell("s", command));
        let mut args = vec!["apply", "s.yaml", "--yes"];
        args.extend((flags != "--yes").then_some(flags));
        place.run(&args).exits(0);
    }
    assert_eq!(versions(&place, "s"), states(&[(4, "draft"), (3, "proposed"), (2, "active"), (1, "archived")]));
    place.run(&["diff", "s@1"]).exits(0).says("-echo one").says("+echo two");
    place.run(&["diff", "s@1", "3"]).exits(0).says("+echo three");
    place.run(&["diff", "s", "s.yaml"]).exits(0).says("+echo four");
    place.run(&["diff", "s@2", "s@2"]).exits(0).says("they say the same");
    place.run(&["diff", "s@9"]).exits(2).says("error[TM0808]").says("tidemill versions s");
    place.run(&["rollback", "s"]).exits(0).says("s runs version 1 now (before: 2)");
    assert_eq!(versions(&place, "s"), states(&[(4, "draft"), (3, "proposed"), (2, "archived"), (1, "active")]));
    place.run(&["rollback", "s", "3"]).exits(0).says("version 3 now");
    place.run(&["rollback", "s"]).exits(0).says("version 1 now (before: 3)");
    place.run(&["rollback", "nobody"]).exits(2).says("error[TM0906]");
    place.write("t.yaml", &shell("t", "true"));
    place.run(&["apply", "t.yaml", "--yes"]).exits(0);
    place.run(&["rollback", "t"]).exits(1).says("error[TM1314]");
    let run = place.run(&["run", "s", "--json"]).exits(0);
    assert!(run.stdout.contains("\"succeeded\""), "{}", run.stdout);
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let place = Place::new();
    place.run(&["tokens", "list"]).exits(0).says("no tokens yet");
    let made = place.run(&["tokens", "create", "ci", "--role", "run", "--expires", "90d", "--json"]).exits(0).json();
    let token = made["token"].as_str().expect("a token");
    assert!(token.starts_with("tm_") && made["expires_at"].is_string(), "{made}");
    place.run(&["tokens", "create", "ci"]).exits(2).says("error[TM1311]");
    place.run(&["tokens", "create", "a b"]).exits(2).says("error[TM1311]");
    place.run(&["tokens", "create", "x", "--expires", "0d"]).exits(2).says("error[TM1320]");
    place.run(&["tokens", "create", "x", "--role", "root"]).exits(2);
    let list = place.run(&["tokens", "list", "--json"]).exits(0);
    let secret = token.rsplit_once('_').expect("two parts").1;
    assert!(!list.stdout.contains(secret), "what is listed opens nothing");
    assert_eq!((&list.json()[0]["name"], &list.json()[0]["role"]), (&json!("ci"), &json!("run")));
    let shown = place.run(&["tokens", "list"]).exits(0).says("ci").says("run");
    assert!(!shown.stdout.contains(secret));
    let state = std::fs::read(place.path(".tidemill/state.db")).expect("the state");
    assert!(!state.windows(secret.len()).any(|part| part == secret.as_bytes()), "the state holds no secret");
    place.run(&["tokens", "revoke", "ci"]).exits(0).says("opens nothing any more");
    place.run(&["tokens", "revoke", "ci"]).exits(1).says("error[TM1316]");
    place.run(&["tokens", "list"]).exits(0).says("revoked");
}

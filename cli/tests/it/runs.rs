use crate::place::{Place, REVENUE, parquet_rows, shell};

#[test]
fn a_run_shows_its_result_and_where_it_lies() {
    let place = Place::new();
    place.write("pipelines/revenue.yaml", REVENUE);
    let gave = place.run(&["run", "revenue"]).exits(0);
    for text in ["succeeded", "out.revenue: 2 rows", "country", "de", "15", "written to"] {
        assert!(gave.stdout.contains(text), "{text} in\n{}", gave.stdout);
    }
    assert!(gave.stderr.contains("publish: succeeded"), "{}", gave.stderr);
    assert_eq!(parquet_rows(&place.path("out/revenue")), 2);
    let json = place.run(&["run", "pipelines/revenue.yaml", "--json"]).exits(0).json();
    assert_eq!(json["run"]["state"], "succeeded");
    assert_eq!(json["results"][0]["head"][0]["revenue"], 15);
    assert_eq!(json["tasks"].as_array().map(Vec::len), Some(3));
    place.run(&["doctor"]).exits(0).says("all seven promises hold");
    assert_eq!(place.run(&["doctor", "--json"]).exits(0).json()["ok"], true);
}

#[test]
fn data_sets_can_be_looked_at() {
    let place = Place::new();
    place.write("pipelines/revenue.yaml", REVENUE);
    place.run(&["run", "revenue"]).exits(0);
    place.run(&["show", "last.per_country"]).exits(0).says("revenue").says("fr");
    let shown = place.run(&["show", "last.per_country", "-n", "1", "--json"]).exits(0).json();
    assert_eq!(shown["rows"], 2);
    assert_eq!(shown["head"].as_array().map(Vec::len), Some(1));
    place.run(&["show", "last.publish"]).exits(1).says("error[TM0912]");
    place.run(&["show", "last.per_contry"]).exits(2).says("did you mean `per_country`?");
    place.run(&["show", "last"]).exits(2).says("error[TM0908]");
}

#[test]
fn parameters_reach_the_run() {
    let place = Place::new();
    let text = "pipeline: p\nparams:\n  low: {type: integer}\ntasks:\n  big:\n    sql: SELECT count(*) AS n FROM data.orders WHERE total >= {{ params.low }}\n";
    place.write("p.yaml", text);
    let json = place.run(&["run", "p.yaml", "--param", "low=10", "--json"]).exits(0).json();
    assert_eq!(json["results"][0]["head"][0]["n"], 2);
    assert_eq!(json["run"]["params"]["low"], 10);
    place.run(&["run", "p.yaml"]).exits(2).says("low");
    place.run(&["run", "p.yaml", "--param", "low"]).exits(2).says("error[TM0909]");
    place.run(&["run", "p.yaml", "--param", "low=ten"]).exits(2).says("low");
    place.run(&["run", "p.yaml", "--param", "low=1", "--param", "hi=2"]).exits(2).says("hi");
}

#[test]
fn a_key_starts_one_run() {
    let place = Place::new();
    place.write("s.yaml", &shell("s", "true"));
    let id = |gave: crate::place::Gave| gave.exits(0).json()["run"]["id"].clone();
    let first = id(place.run(&["run", "s.yaml", "--key", "k", "--json"]));
    assert_eq!(id(place.run(&["run", "s.yaml", "--key", "k", "--json"])), first);
    assert_ne!(id(place.run(&["run", "s.yaml", "--json"])), first);
    place.write("s.yaml", &shell("s", "exit 0"));
    place.run(&["run", "s.yaml", "--key", "k"]).exits(2).says("error[TM0921]");
}

#[test]
fn a_failure_is_explained_and_resumed() {
    let place = Place::new();
    place.write(
        "f.yaml",
        "pipeline: f\ntasks:\n  first:\n    shell: {command: \"echo once >> first.txt\"}\n  second:\n    shell: {command: \"echo looking; cat mended.txt\"}\n    needs: [first]\n",
    );
    place.run(&["run", "f.yaml"]).exits(1).says("second").says("failed").says("tidemill resume");
    place.run(&["explain", "last"]).exits(0).says("It failed").says("second").says("resume");
    let told = place.run(&["explain", "last.second", "--json"]).exits(0).json();
    assert_eq!(told["state"], "failed");
    place.run(&["logs", "last", "second"]).exits(0).says("looking").says("mended.txt");
    let line = place.run(&["logs", "last", "second", "--json"]).exits(0);
    let line: serde_json::Value = serde_json::from_str(line.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!(line["attempt"], 1);
    place.write("mended.txt", "yes\n");
    place.run(&["resume", "last"]).exits(0).says("succeeded");
    assert_eq!(place.read("first.txt"), "once\n", "what succeeded is not done again");
    place.run(&["resume", "last"]).exits(0).says("succeeded already");
    place.run(&["explain", "last"]).exits(0).says("It succeeded");
}

#[test]
fn runs_are_listed_and_found() {
    let place = Place::new();
    place.write("good.yaml", &shell("good", "true"));
    place.write("rotten.yaml", &shell("rotten", "false"));
    place.run(&["run", "good.yaml"]).exits(0);
    place.run(&["run", "rotten.yaml"]).exits(1);
    let all = place.run(&["runs", "--json"]).exits(0).json();
    assert_eq!((all[0]["pipeline"].as_str(), all[1]["pipeline"].as_str()), (Some("rotten"), Some("good")));
    let failed = place.run(&["runs", "--state", "failed", "--json"]).exits(0).json();
    assert_eq!(failed.as_array().map(Vec::len), Some(1));
    let good = place.run(&["runs", "--pipeline", "good", "-n", "1"]).exits(0).says("succeeded");
    assert!(!good.stdout.contains("rotten"));
    let id = all[1]["id"].as_str().expect("an id");
    place.run(&["explain", id]).exits(0).says("good");
    place.run(&["explain", &id[id.len() - 8..]]).exits(0).says("good");
    place.run(&["explain", "zzzz"]).exits(2).says("error[TM0907]");
    place.run(&["run", "god"]).exits(2).says("error[TM0906]");
}

#[test]
fn a_detached_run_waits_for_somebody() {
    let place = Place::new();
    place.write("s.yaml", &shell("s", "true"));
    let gave = place.run(&["run", "s.yaml", "--detach"]).exits(0).says("no worker is alive");
    let id = gave.stdout.trim().to_owned();
    place.run(&["explain", &id]).exits(0).says("free worker").says("tidemill dev");
    place.run(&["resume", &id]).exits(0).says("succeeded");
}

#[test]
fn a_wrong_definition_does_not_run() {
    let place = Place::new();
    place.write("w.yaml", "pipeline: w\ntasks:\n  a: {sql: SELECT nothing FROM data.orders}\n");
    place.run(&["run", "w.yaml"]).exits(3).says("w.yaml:3:").says("nothing");
    place.run(&["runs"]).exits(0).says("no runs yet");
}

//! People are asked, and the past is run again: through the binary, with a server that nobody restarts.

use serde_json::Value;
use tidemill_stories::{Project, cluster::until};

const AGREED: &str = "pipeline: agreed
tasks:
  count: {sql: SELECT 3 AS n}
  may:
    approval:
      message: 'Publish?'
      shows: [count]
      approvers: [ann, bob, 'role:finance']
      required: 2
      exclude_starter: true
  publish: {shell: {command: 'echo published'}, needs: [may]}
";

const SILENT: &str = "pipeline: silent
tasks:
  may: {approval: {message: 'Go on?', expires: 1s, on_expiry: skip}}
  then: {shell: {command: 'echo then'}, needs: [may]}
";

/// Fails on the third day, as long as a file is not there.
const DAILY: &str = "pipeline: by_day
triggers: [{cron: '0 0 * * *', name: nightly}]
concurrency: {max_runs: 8}
tasks:
  work:
    retries: 0
    shell:
      command: 'echo \"$DAY\" >> days.log; case \"$DAY\" in 2020-03-03*) test -e mended;; esac'
      env: {DAY: '{{ interval.start }}'}
  after: {shell: {command: 'echo after'}, needs: [work]}
";

fn project(definitions: &[(&str, &str)]) -> Project {
    let project = Project::examples();
    for (name, text) in definitions {
        std::fs::write(project.path().join("pipelines").join(format!("{name}.yaml")), text).expect("written");
    }
    project
}

fn applied(project: &Project, pipeline: &str) {
    until("the pipeline is applied", || {
        let versions = project.run(&["versions", pipeline, "--json"]);
        (versions.code == 0 && versions.json()[0]["state"] == "active").then_some(())
    });
}

fn start(project: &Project, pipeline: &str, by: &str) -> String {
    let said = project.command(&["run", pipeline, "--detach", "--json"]).env("TIDEMILL_USER", by).output();
    let said = tidemill_stories::Said::of(said.expect("it runs")).ok().json();
    said["id"].as_str().expect("an id").to_owned()
}

fn task(project: &Project, run: &str, name: &str) -> Value {
    let told = project.run(&["explain", &format!("{run}.{name}"), "--json"]).ok().json();
    told["state"].clone()
}

#[test]
fn four_eyes_let_a_task_go_on_and_silence_skips_it() {
    let project = project(&[("agreed", AGREED), ("silent", SILENT)]);
    let _server = project.serve("dev", &[]);
    applied(&project, "agreed");
    applied(&project, "silent");
    let run = start(&project, "agreed", "ann");
    let question = until("the question", || {
        let open = project.run(&["approvals", "--run", &run, "--json"]).ok().json();
        open.as_array()?.first().cloned()
    });
    assert_eq!(question["question"]["excluded"], "ann", "{question}");
    let may = format!("{run}.may");
    let told = project.run(&["explain", &may]).ok().out;
    assert!(told.contains("ann or bob or role:finance") && told.contains("must not answer"), "{told}");
    let refused = |args: &[&str], code: &str| {
        let said = project.run(args);
        assert!(said.code != 0 && said.err.contains(code), "{code}: {}", said.err);
    };
    refused(&["approve", &may, "--as", "ann"], "TM1253");
    refused(&["approve", &may, "--as", "eve"], "TM1252");
    let one = project.run(&["approve", &may, "--as", "bob"]).ok().out;
    assert!(one.contains("one more person"), "{one}");
    refused(&["approve", &may, "--as", "bob"], "TM1254");
    refused(&["reject", &may, "--as", "bob", "--reason", "no"], "TM1255");
    assert_eq!(task(&project, &run, "may"), "waiting", "one person is not enough");
    project.run(&["approve", &may, "--as", "carla", "--role", "finance"]).ok();
    until("the run's end", || (task(&project, &run, "publish") == "succeeded").then_some(()));
    refused(&["approve", &may, "--as", "carla", "--role", "finance"], "TM1251");
    // One who refuses is enough; a resume asks again.
    let run = start(&project, "agreed", "ann");
    let may = format!("{run}.may");
    until("the question", || (task(&project, &run, "may") == "waiting").then_some(()));
    project.run(&["reject", &may, "--as", "bob", "--reason", "too early"]).ok();
    until("its end", || (task(&project, &run, "may") == "failed").then_some(()));
    let told = project.run(&["explain", &may]).ok().out;
    assert!(told.contains("TM1257") && told.contains("too early"), "{told}");
    // Nobody answers.
    let run = start(&project, "silent", "ann");
    until("the end of patience", || (task(&project, &run, "then") == "skipped").then_some(()));
    assert_eq!(task(&project, &run, "may"), "skipped");
    project.run(&["doctor"]).ok();
}

#[test]
fn a_backfill_is_previewed_paused_finished_and_its_failure_repeated() {
    let project = project(&[("by_day", DAILY)]);
    let _server = project.serve("dev", &[]);
    applied(&project, "by_day");
    let create = |more: &[&str]| {
        let args =
            [&["backfill", "create", "by_day", "--from", "2020-03-01", "--to", "2020-03-07", "--json"], more].concat();
        project.run(&args).ok().json()
    };
    let preview = create(&["--preview"]);
    assert_eq!(preview["runs"], 6, "{preview}");
    assert!(project.run(&["backfill", "list", "--json"]).ok().json().as_array().is_some_and(Vec::is_empty));
    let id = create(&["--parallel", "2"])["id"].as_str().expect("an id").to_owned();
    project.run(&["backfill", "pause", &id]).ok();
    let show = || project.run(&["backfill", "show", &id, "--json"]).ok().json();
    until("what ran has ended", || {
        let progress = show()["progress"].clone();
        (progress["queued"] == 0 && progress["running"] == 0).then_some(())
    });
    let paused = show();
    assert_eq!(paused["state"], "paused", "{paused}");
    project.run(&["backfill", "resume", &id]).ok();
    let done = until("every partition", || Some(show()).filter(|it| it["state"] == "done"));
    let progress = &done["progress"];
    assert_eq!((&progress["succeeded"], &progress["failed"]), (&5.into(), &1.into()), "{done}");
    let partitions = done["partitions"].as_array().expect("partitions");
    let failed: Vec<&Value> = partitions.iter().filter(|it| it["state"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["start"], "2020-03-03T00:00:00.000Z");
    let refused = project.run(&["backfill", "resume", &id]);
    assert!(refused.code != 0 && refused.err.contains("TM1271"), "{}", refused.err);

    // What failed, and only that, is run again once it is mended; then its second task once more.
    std::fs::write(project.path().join("mended"), "").expect("written");
    let again = create(&["--reprocess", "failed"]);
    assert_eq!((&again["progress"]["pending"], &again["progress"]["skipped"]), (&1.into(), &5.into()), "{again}");
    let id = again["id"].as_str().expect("an id").to_owned();
    let show = || project.run(&["backfill", "show", &id, "--json"]).ok().json();
    let done = until("the second one", || Some(show()).filter(|it| it["state"] == "done"));
    assert_eq!(done["progress"]["succeeded"], 1, "{done}");
    let run =
        done["partitions"].as_array().expect("partitions").iter().find_map(|it| it["run"].as_str()).expect("a run");
    let rerun = project.run(&["rerun", run, "after", "--detach", "--json"]).ok().json();
    assert_eq!((&rerun["rerun_of"], &rerun["interval"]["start"]), (&run.into(), &"2020-03-03T00:00:00.000Z".into()));
    let rerun = rerun["id"].as_str().expect("an id").to_owned();
    until("its end", || (task(&project, &rerun, "after") == "succeeded").then_some(()));
    assert_eq!(task(&project, &rerun, "work"), "succeeded", "taken over");
    let worked = std::fs::read_to_string(project.path().join("days.log")).expect("a log");
    assert_eq!(worked.lines().count(), 7, "six days, one of them twice, none by the re-run:\n{worked}");
    project.run(&["doctor"]).ok();
}

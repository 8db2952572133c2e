//! A disk that is full, under everything that an embedded project keeps: the state, data sets between tasks, what memory does
//! not hold. What does not fit fails by name and leaves nothing; what only has to be noted waits.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tidemill_stories::{Project, cluster::until};
use tidemill_testkit::SmallDisk;

const ROWS: &str = "SELECT value AS n, sin(value) AS s, cos(value) AS c FROM generate_series(1, 2000000)";

fn project(disk: &SmallDisk) -> Project {
    let project = Project::examples();
    let file = project.path().join("tidemill.yaml");
    let state = disk.path().join("state");
    let settings = std::fs::read_to_string(&file).expect("settings");
    let more = format!("state: {{dir: {}}}\nengine: {{memory_mb: 24, partitions: 1}}\n", state.display());
    std::fs::write(&file, settings + &more).expect("settings");
    let definitions = [
        ("large", format!("  rows: {{sql: '{ROWS}', materialize: dataset}}\n")),
        ("sorted", format!("  rows: {{sql: '{ROWS} ORDER BY s'}}\n")),
        ("small", "  rows: {sql: SELECT 7 AS n, materialize: dataset}\n".to_owned()),
        (
            "noted",
            "  first: {shell: {command: 'sleep 1; touch first-is-done'}}\n  rows: {sql: SELECT 7 AS n, needs: [first], materialize: dataset}\n".to_owned(),
        ),
    ];
    for (name, tasks) in definitions {
        let load = format!("  load: {{load: {{input: rows, connection: out, table: {name}, mode: append}}}}\n");
        let text = format!("pipeline: {name}\ntasks:\n{tasks}{load}");
        std::fs::write(project.path().join(format!("{name}.yaml")), text).expect("a definition");
    }
    project
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| {
        if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path().display().to_string()] }
    };
    entries.flat_map(of).collect()
}

fn promises_hold(project: &Project) {
    let doctor = project.run(&["doctor", "--json"]).json();
    assert_eq!(doctor["violations"], Value::Array(Vec::new()), "{doctor}");
}

#[test]
fn what_does_not_fit_fails_by_name_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount(30).expect("a machine") else { return };
    let project = project(&disk);
    for (name, code) in [("large", "TM0525"), ("sorted", "TM0627")] {
        let said = project.run(&["run", &format!("{name}.yaml")]);
        assert_eq!(said.code, 1, "{name}: {}{}", said.out, said.err);
        assert!(said.err.contains(code) && said.err.contains("No space left on device"), "{}", said.err);
        let left: Vec<String> =
            ["blobs/runs", "spill"].iter().flat_map(|at| files(&disk.path().join("state").join(at))).collect();
        assert!(left.is_empty(), "{name}: {left:?}");
        assert!(!project.path().join("out").join(name).join("_manifest.json").exists(), "{name} is visible");
        promises_hold(&project);
    }
    disk.fill();
    let refused = project.run(&["run", "small.yaml"]);
    let told = ["TM0802", "TM0804"].iter().any(|code| refused.err.contains(code));
    assert!(refused.code != 0 && told, "{}", refused.err);
    disk.free();
    project.run(&["run", "small.yaml"]).ok();
    assert_eq!(project.loaded("small").len(), 1);
    promises_hold(&project);
}

#[test]
fn a_run_goes_on_when_there_is_room_again() {
    let Some(disk) = SmallDisk::mount(30).expect("a machine") else { return };
    let project = project(&disk);
    let mut command: Command = project.command(&["run", "noted.yaml", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    until("the run is there", || project.run(&["runs", "--json"]).out.contains("run_").then_some(()));
    disk.fill();
    until("the first task has ended", || project.path().join("first-is-done").exists().then_some(()));
    // That it ended cannot be noted for a while.
    let refused = project.run(&["run", "small.yaml"]);
    assert!(refused.err.contains("TM0804"), "{}", refused.err);
    disk.free();
    let ended = tidemill_stories::Said::of(child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert_eq!(project.loaded("noted").len(), 1);
    promises_hold(&project);
}

//! `kill -9` at random moments of a running example, then a restart: the result is that of an undisturbed run, and each load is
//! visible once.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use tidemill_stories::{Project, rows};

const KILLS: u32 = 30;

/// A pipeline with every kind of external effect, slow enough to be hit in the middle.
const PIPELINE: &str = "
pipeline: killed
tasks:
  slow: {shell: {command: 'sleep 0.1; echo slow'}}
  late: {sql: \"SELECT carrier, origin, dep_delay, distance FROM nyc.flights WHERE dep_delay > 0\", needs: [slow], materialize: dataset}
  sane: {check: {input: late, expect: [{not_null: [carrier, dep_delay]}, {between: {column: dep_delay, min: 1}}]}}
  doubled:
    python:
      code: |
        def run(rows):
            rows = rows.to_pylist() if hasattr(rows, 'to_pylist') else list(rows)
            return [{'carrier': r['carrier'], 'miles': r['distance'] * 2} for r in rows]
      inputs: {rows: late}
      returns: rows
  per_carrier: {sql: 'SELECT carrier, count(*) AS flights, sum(miles) AS miles FROM doubled GROUP BY carrier'}
  all_late: {load: {input: late, connection: out, table: all_late, mode: append}, needs: [sane]}
  summary: {load: {input: per_carrier, connection: out, table: summary, mode: append}, needs: [all_late]}
";

fn project() -> Project {
    let project = Project::examples();
    std::fs::write(project.path().join("killed.yaml"), PIPELINE).expect("a file is written");
    project
}

fn result(project: &Project) -> [Vec<Vec<String>>; 2] {
    ["all_late", "summary"].map(|table| {
        let mut rows = rows::cells_of_objects(&project.loaded(table));
        rows.sort();
        rows
    })
}

/// The run's id as soon as the store knows one.
fn first_run(project: &Project) -> Option<String> {
    let said = project.run(&["runs", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&said.out).ok()?;
    let runs = runs.as_array().or_else(|| runs["runs"].as_array())?;
    runs.first()?["id"].as_str().map(str::to_owned)
}

fn kill(mut child: Child) {
    child.kill().expect("SIGKILL can be sent");
    child.wait().expect("the killed process is collected");
}

#[test]
fn kill_minus_nine_at_thirty_moments_changes_nothing() {
    let undisturbed = project();
    let began = Instant::now();
    undisturbed.run(&["run", "killed.yaml", "--json"]).ok();
    let whole = began.elapsed();
    let truth = result(&undisturbed);
    assert!(truth.iter().all(|rows| !rows.is_empty()));
    let (mut hit, mut before, mut after) = (0, 0, 0);
    for n in 0..KILLS {
        let project = project();
        let child = project.start(&["run", "killed.yaml", "--json"]);
        // Spread over the whole run, with an irregular step so that no phase is favoured.
        std::thread::sleep(
            whole.mul_f64(f64::from((n * 7) % KILLS) / f64::from(KILLS)) + Duration::from_millis(u64::from(n)),
        );
        kill(child);
        match first_run(&project) {
            None => {
                before += 1;
                project.run(&["run", "killed.yaml", "--json"]).ok();
            }
            Some(run) => {
                let state =
                    project.run(&["explain", &run, "--json"]).json()["state"].as_str().unwrap_or_default().to_owned();
                if state == "succeeded" {
                    after += 1;
                } else {
                    hit += 1;
                }
                project.run(&["resume", &run, "--json"]).ok();
            }
        }
        assert!(result(&project) == truth, "kill {n}: another result");
        let doctor = project.run(&["doctor", "--json"]);
        assert_eq!(doctor.code, 0, "kill {n}: {}{}", doctor.out, doctor.err);
    }
    println!(
        "counted: {KILLS} kills: {before} before the run was there, {hit} in the middle, {after} after its end; every result the same"
    );
    assert!(hit >= KILLS / 3, "only {hit} kills hit a running pipeline");
}

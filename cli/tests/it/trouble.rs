//! Interrupted, killed, cancelled: what is left behind, and how it goes on.

use crate::place::{Place, shell, until};

/// Whether a process with this id is alive.
fn alive(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid.trim()).exists()
}

fn slow(place: &Place) {
    place.write("slow.yaml", &shell("slow", "echo $$ > pid.txt; mv pid.txt started.txt; exec sleep 600"));
}

#[test]
fn ctrl_c_cancels_the_run_and_ends_its_processes() {
    let place = Place::new();
    slow(&place);
    let run = place.start(&["run", "slow.yaml"]);
    place.wait_for("started.txt");
    run.signal(libc::SIGINT);
    run.end().exits(130).says("cancelling");
    assert_eq!(place.run(&["runs", "--json"]).json()[0]["state"], "cancelled");
    let pid = place.read("started.txt");
    until("the program is dead", || (!alive(&pid)).then_some(()));
    place.run(&["doctor"]).exits(0);
}

#[test]
fn a_run_is_cancelled_from_elsewhere() {
    let place = Place::new();
    slow(&place);
    let run = place.start(&["run", "slow.yaml"]);
    place.wait_for("started.txt");
    place.run(&["cancel", "last"]).exits(0);
    run.end().exits(1).says("cancelled");
    let pid = place.read("started.txt");
    until("the program is dead", || (!alive(&pid)).then_some(()));
    place.run(&["cancel", "last"]).exits(0).says("has ended already");
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let place = Place::new();
    place.write(
        "k.yaml",
        "pipeline: k\ntasks:\n  first:\n    shell: {command: \"echo once >> first.txt\"}\n  second:\n    shell: {command: \"touch started.txt; while [ ! -e go.txt ]; do sleep 0.02; done; echo done >> second.txt\"}\n    needs: [first]\n",
    );
    let run = place.start(&["run", "k.yaml"]);
    place.wait_for("started.txt");
    run.signal(libc::SIGKILL);
    assert_eq!(run.end().code, None);
    place.run(&["explain", "last"]).exits(0).says("second");
    place.write("go.txt", "");
    let start = std::time::Instant::now();
    let json = place.run(&["resume", "last", "--json"]).exits(0).json();
    assert_eq!(json["run"]["state"], "succeeded");
    assert_eq!(json["tasks"][1]["crashes"], 1);
    assert_eq!(place.read("first.txt"), "once\n");
    assert_eq!(place.read("second.txt"), "done\n");
    // The dead owner is known by its lock: nobody waits for the lease of six seconds to run out.
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "took {:?}", start.elapsed());
    place.run(&["doctor"]).exits(0);
}

#[test]
fn two_processes_share_one_state() {
    let place = Place::new();
    place.write("a.yaml", &shell("a", "echo a >> seen.txt"));
    place.write("b.yaml", &shell("b", "echo b >> seen.txt"));
    let runs: Vec<_> =
        (0..3).flat_map(|_| [place.start(&["run", "a.yaml"]), place.start(&["run", "b.yaml"])]).collect();
    for run in runs {
        run.end().exits(0);
    }
    let mut seen: Vec<String> = place.read("seen.txt").lines().map(str::to_owned).collect();
    seen.sort();
    assert_eq!(seen, ["a", "a", "a", "b", "b", "b"]);
    place.run(&["doctor"]).exits(0);
}

#[test]
fn logs_follow_a_run_to_its_end() {
    let place = Place::new();
    place.write(
        "l.yaml",
        &shell("l", "echo one; touch started.txt; while [ ! -e go.txt ]; do sleep 0.02; done; echo two"),
    );
    let run = place.start(&["run", "l.yaml"]);
    place.wait_for("started.txt");
    let logs = place.start(&["logs", "last", "-f"]);
    place.write("go.txt", "");
    logs.end().exits(0).says("one").says("two");
    run.end().exits(0);
}

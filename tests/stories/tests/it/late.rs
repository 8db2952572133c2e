//! A worker stands still in the middle of a load, for longer than its lease, and goes on when somebody else has done the load: its
//! result is refused, and nothing of its load is left.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tidemill_stories::cluster::{Cluster, until};

const ROWS: u64 = 20_000_000;

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_result_is_refused_and_its_load_leaves_no_trace() {
    let cluster = Cluster::start("worker: {slots: 1, lease: 2s}\n", 60).await;
    tokio::task::spawn_blocking(move || story(&cluster)).await.expect("it ends well");
}

fn story(cluster: &Cluster) {
    let load = format!(
        "pipeline: late\ntasks:\n  rows: {{sql: 'SELECT value AS n FROM generate_series(1, {ROWS})'}}\n  load: {{load: {{input: rows, connection: out, table: late, mode: append}}}}\n"
    );
    std::fs::write(cluster.folder().join("late.yaml"), load).expect("a definition");
    let scheduler = cluster.part(&["scheduler"]);
    let first = cluster.part(&["worker"]);
    let mut run = cluster
        .command(&["run", "late.yaml", "--json"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let table = cluster.folder().join("out/late");
    let staged = until("the load writes its parts", || {
        let mut folders = entries(&table.join("_staging")).into_iter().filter(|path| path.is_dir());
        folders.find(|folder| !entries(folder).is_empty())
    });
    first.signal(Signal::SIGSTOP);
    let second = cluster.part(&["worker"]);
    let status = run.wait().expect("it ends");
    assert!(status.success(), "the run succeeds though its first worker stands still");
    let manifest = cluster.manifest("late").expect("it was loaded");
    assert!(staged.exists(), "the first one has not been heard of since");

    first.signal(Signal::SIGCONT);
    until("the late one is refused", || {
        let log = first.log();
        ["came too late", "the lease is lost", "no heartbeat for a whole lease"]
            .iter()
            .any(|word| log.contains(word))
            .then_some(())
    });
    until("what it had written is removed", || (!staged.exists()).then_some(()));
    assert_eq!(cluster.manifest("late").as_ref(), Some(&manifest), "the late one changed the table");
    assert_eq!((&manifest["rows"], manifest["loads"].as_array().map(Vec::len)), (&ROWS.into(), Some(1)));
    assert_eq!(manifest["loads"][0]["fence"], 2, "the second attempt is the one that is visible");
    let named: Vec<&str> =
        manifest["parts"].as_array().expect("a list").iter().filter_map(|part| part["file"].as_str()).collect();
    let mut there: Vec<String> = entries(&table)
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name.starts_with("part-"))
        .collect();
    there.sort();
    assert_eq!(there, named, "a part that no manifest names");
    let (code, doctor) = cluster.run(&["doctor"]);
    assert_eq!(code, 0, "{doctor}");
    for part in [first, second, scheduler] {
        assert_eq!(part.stop(), 0);
    }
}

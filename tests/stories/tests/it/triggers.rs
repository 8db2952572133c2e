//! A signed webhook, told a thousand times, makes one run; the load of that run wakes the pipeline that watches its table;
//! and a schedule can be paused. All through the binary, with a sender that is not ours.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tidemill_stories::{
    Project,
    shop::{SECRET, tell},
};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn runs(project: &Project, pipeline: &str) -> Vec<Value> {
    let runs = project.run(&["runs", "--pipeline", pipeline, "--json"]).ok().json();
    runs.as_array().or_else(|| runs["runs"].as_array()).cloned().unwrap_or_default()
}

fn succeeded(project: &Project, pipeline: &str, count: usize) {
    until(&format!("{count} runs of {pipeline}"), || {
        let runs = runs(project, pipeline);
        (runs.len() == count && runs.iter().all(|run| run["state"] == "succeeded")).then_some(())
    });
}

#[test]
fn a_webhook_makes_one_run_and_its_load_wakes_the_next() {
    let project = Project::examples();
    let mut child = project
        .command(&["dev", "--listen", "127.0.0.1:0", "--json"])
        .env("ORDER_EVENTS_SECRET", SECRET)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let _server = Server(child);
    let hello = lines.next().expect("a line").expect("text");
    let hello: Value = serde_json::from_str(&hello).unwrap_or_else(|error| panic!("{error}: {hello}"));
    let url = format!("{}/hooks/order_events/shop", hello["url"].as_str().expect("a URL"));
    // Definitions are applied in the order of their names.
    let applied = lines.by_ref().map_while(Result::ok).any(|line| line.contains("order_news"));
    assert!(applied, "the server ended");
    // Somebody reads what the server prints, so that it never waits.
    std::thread::spawn(move || lines.for_each(drop));
    assert_eq!(tell(&url, SECRET, "first", 1)[0][0], 202);
    succeeded(&project, "order_events", 1);

    let told = tell(&url, SECRET, "second", 1_000);
    let [one] = told.as_slice() else { panic!("one answer for all: {told:?}") };
    assert_eq!((one[0].as_u64(), one[2].as_u64()), (Some(202), Some(1_000)), "{told:?}");
    succeeded(&project, "order_events", 2);
    assert_eq!(project.loaded("order_events").len(), 2, "each event is one row");
    println!("counted: 1,000 deliveries of one webhook event through the binary: 1 run");

    // The loads woke the pipeline that watches them, each load in one of its runs.
    until("the news", || {
        let woken = runs(&project, "order_news");
        let loads: usize = woken.iter().filter_map(|run| run["trigger_data"]["updates"].as_array()).map(Vec::len).sum();
        (loads == 2 && woken.iter().all(|run| run["state"] == "succeeded")).then_some(())
    });
    assert!(project.loaded("order_news").iter().all(|row| row["woken_by"] == "events"));

    // Strangers learn nothing, and the operator sees them.
    let strangers = [tell(&url, "a-guess", "third", 1), tell(&url.replace("shop", "other"), SECRET, "third", 1)];
    assert!(strangers.iter().all(|told| told[0][0] == 401 && told[0][1] == "TM1201"), "{strangers:?}");
    let letters = project.run(&["hooks", "list", "--json"]).ok().json();
    assert_eq!(letters.as_array().map(Vec::len), Some(1), "{letters}");
    assert_eq!(letters[0]["kind"], "refused");
    let id = letters[0]["id"].to_string();
    assert_eq!(project.run(&["hooks", "replay", &id]).code, 1, "nobody knows who sent it");
    project.run(&["hooks", "replay", &id, "--trust"]).ok();
    succeeded(&project, "order_events", 3);

    // A schedule is paused and goes on.
    project.run(&["schedules", "pause", "daily_revenue"]).ok();
    let paused = |project: &Project| {
        let known = project.run(&["schedules", "--json"]).ok().json();
        known.as_array().expect("a list").iter().filter(|it| !it["paused_at"].is_null()).count()
    };
    assert_eq!(paused(&project), 1);
    project.run(&["schedules", "resume", "daily_revenue", "0"]).ok();
    assert_eq!(paused(&project), 0);
    assert_eq!(project.run(&["schedules", "pause", "order_news"]).code, 2);
}

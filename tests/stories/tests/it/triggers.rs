//! A signed webhook, told a thousand times, makes one run; the load of that run wakes the pipeline that watches its table;
//! and a schedule can be paused. All through the binary, with a sender that is not ours.

use serde_json::Value;
use tidemill_stories::{
    Project,
    cluster::until,
    shop::{SECRET, tell},
};

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
    let server = project.serve("dev", &[("ORDER_EVENTS_SECRET", SECRET)]);
    let url = format!("{}/hooks/order_events/shop", server.url());
    // Definitions are applied in the order of their names.
    until("every definition is applied", || (project.run(&["versions", "order_news"]).code == 0).then_some(()));
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

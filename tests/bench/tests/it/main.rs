//! The short form of the soak: so that the long one is there when it is wanted.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_short_soak_carries_its_load_and_tells_the_memory_of_every_process() {
    let output = Command::new(env!("CARGO_BIN_EXE_tidemill-bench"))
        .args(["soak", "--minutes", "1", "--json"])
        .output()
        .expect("the program starts");
    let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{log}");
    let report: Value = serde_json::from_str(&said).expect("it prints JSON");
    let memory = report["memory"].as_array().expect("a list");
    let names: Vec<&str> = memory.iter().filter_map(|line| line["process"].as_str()).collect();
    assert_eq!(names, ["scheduler", "worker", "server", "gateway", "Redis", "PostgreSQL"]);
    for line in memory {
        let figure = |name: &str| line["own"][name].as_f64().expect("a figure");
        println!(
            "counted: {} has {:.1} MB of its own at the start, {:.1} in the middle, {:.1} at the end",
            line["process"].as_str().unwrap_or_default(),
            figure("start"),
            figure("p50"),
            figure("end")
        );
        // PostgreSQL's sessions keep what they have read of its catalogue. Of the others none may need memory for each run it has seen.
        let grown = figure("end") - figure("start");
        assert!(line["process"] == "PostgreSQL" || grown < 0.5 * figure("start") + 16.0, "{line}");
    }
    let [runs, requests, recorded] =
        ["runs", "requests", "recorded"].map(|name| report[name].as_u64().expect("a number"));
    assert!((1..=requests).contains(&recorded), "{recorded} records of {requests} requests");
    println!("counted: {runs} runs and {requests} requests to models in a minute, {recorded} of them in the records");
}

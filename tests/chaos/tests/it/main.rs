//! The short form: at least 200 faulted runs over every kind of fault.

use tidemill_chaos::{Plan, play, report};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_run_comes_out_right_whatever_breaks() {
    let results = play(&Plan::short()).await;
    let faulted: usize = results.iter().filter(|result| result.fault.name != "none").map(|result| result.runs).sum();
    println!("{}", report::table(&results));
    println!("counted: {faulted} faulted runs over {} kinds of fault", results.len() - 1);
    let wrong: Vec<&String> = results.iter().flat_map(|result| &result.wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(faulted >= 200, "only {faulted} faulted runs");
    for result in results.iter().filter(|result| result.fault.kind.surely_loses()) {
        assert!(result.lost >= 1, "{}: no attempt was lost, so nothing was tested", result.fault.name);
    }
}

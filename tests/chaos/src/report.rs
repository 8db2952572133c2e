//! The table for people.

use std::{fmt::Write, time::Duration};

use crate::{
    batch::Result,
    faults::{FAULTS, Fault},
};

/// All batches of one fault.
struct Sum {
    fault: Fault,
    runs: usize,
    lost: usize,
    refused: usize,
    slowest: Duration,
    wrong: usize,
}

fn sums(results: &[Result]) -> Vec<Sum> {
    let of = |fault: &Fault| {
        let batches: Vec<&Result> = results.iter().filter(|result| result.fault == *fault).collect();
        (!batches.is_empty()).then(|| Sum {
            fault: *fault,
            runs: batches.iter().map(|batch| batch.runs).sum(),
            lost: batches.iter().map(|batch| batch.lost).sum(),
            refused: batches.iter().map(|batch| batch.refused).sum(),
            slowest: batches.iter().map(|batch| batch.slowest).max().unwrap_or_default(),
            wrong: batches.iter().map(|batch| batch.wrong.len()).sum(),
        })
    };
    FAULTS.iter().filter_map(of).collect()
}

/// The results as a table.
pub fn table(results: &[Result]) -> String {
    let mut text = String::from(
        "| fault | what happens | runs | attempts lost | noticed or refused | slowest run, s | wrong |\n|---|---|---:|---:|---:|---:|---:|\n",
    );
    for sum in sums(results) {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.1} | {} |",
            sum.fault.name,
            sum.fault.about,
            sum.runs,
            sum.lost,
            sum.refused,
            sum.slowest.as_secs_f64(),
            sum.wrong
        );
    }
    let faulted = results.iter().filter(|result| result.fault.name != "none");
    let (runs, wrong) = faulted.fold((0, 0), |(runs, wrong), result| (runs + result.runs, wrong + result.wrong.len()));
    let kinds = sums(results).iter().filter(|sum| sum.fault.name != "none").count();
    let _ = writeln!(text, "\n{runs} faulted runs over {kinds} kinds of fault, {wrong} wrong.");
    text
}

const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end of table -->"];

/// The page with another table between its marks.
///
/// # Panics
/// If the page has no marks.
pub fn between_marks(page: &str, table: &str) -> String {
    let (head, rest) = page.split_once(MARKS[0]).expect("the page has a mark");
    let (_, tail) = rest.split_once(MARKS[1]).expect("the page has an end mark");
    format!("{head}{}{table}{}{tail}", MARKS[0], MARKS[1])
}

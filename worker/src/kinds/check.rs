//! `check`: tests rows before anything goes on.

use serde_json::json;
use tidemill_dag::spec::{Check, Expectation, OnFail};
use tidemill_engine::{CheckReport, ExpectationResult, Scope};

use crate::{
    attempt::{Attempt, Done},
    datasets,
    error::TaskError,
    session::Tables,
};

pub(super) async fn perform(attempt: &Attempt<'_>, check: &Check) -> Result<Done, TaskError> {
    let check = rendered(attempt, check)?;
    let tables = Tables::open(attempt).await?;
    let run = &attempt.claimed.run;
    let moment = run.interval.map_or(run.started_at, |interval| interval.end);
    let report = tables.0.check(&check, moment).await?;
    for result in report.results.iter().filter(|result| !result.passed) {
        attempt.log.say(&describe(result, report.rows));
    }
    match check.on_fail {
        OnFail::Fail => pass_or_fail(&report, |_| true)?,
        OnFail::Warn => {}
        // Nothing can be set aside to mend what is wrong with the whole.
        OnFail::Quarantine => pass_or_fail(&report, |result| result.scope == Scope::Whole)?,
    }
    if check.on_fail != OnFail::Quarantine {
        return Ok(Done::Output(json!({ "check": report })));
    }
    let split = tables.0.split(&check).await?;
    // Both at once: they may come from one pass over the rows.
    let (passed, set_aside) = tokio::try_join!(
        datasets::write(attempt, "rows", split.surviving),
        datasets::write(attempt, "quarantine", split.quarantined),
    )?;
    attempt.log.say(&format!("{} rows go on, {} are set aside", passed.rows, set_aside.rows));
    Ok(Done::Output(json!({ "check": report, "manifest": passed, "quarantine": set_aside })))
}

fn rendered(attempt: &Attempt<'_>, check: &Check) -> Result<Check, TaskError> {
    let mut check = check.clone();
    for expectation in &mut check.expect {
        if let Expectation::Sql(query) = expectation {
            *query = attempt.sql("check.expect.sql", query)?;
        }
    }
    Ok(check)
}

fn pass_or_fail(report: &CheckReport, counts: impl Fn(&ExpectationResult) -> bool) -> Result<(), TaskError> {
    let broken = report.results.iter().filter(|result| !result.passed && counts(result));
    let texts: Vec<String> = broken.map(|result| describe(result, report.rows)).collect();
    if texts.is_empty() { Ok(()) } else { Err(TaskError::Check(texts.join("\n"))) }
}

fn describe(result: &ExpectationResult, rows: u64) -> String {
    const SHOWN: usize = 3;
    let name = if result.columns.is_empty() {
        result.name.clone()
    } else {
        format!("{}({})", result.name, result.columns.join(", "))
    };
    let mut text = match result.scope {
        Scope::Rows => format!("{name}: {} of {rows} rows", result.violations),
        Scope::Whole => format!("{name}: expected {}, found {}", result.expected, result.found),
    };
    let sample: Vec<String> = result.sample.iter().take(SHOWN).map(|row| json!(row).to_string()).collect();
    if !sample.is_empty() {
        text.push_str(&format!(", for example {}", sample.join(", ")));
    }
    text
}

//! Reports that were told before: the commit's answer got lost and the worker repeats itself.

use tidemill_dag::{
    id::{Attempt, Ordinal, TaskKey, Ticket},
    time::Timestamp,
};

use crate::{
    Claimed, Report, StoreError, Verdict,
    db::{Columns, Tx},
    door::{Door, upstream, values},
    work::Outcome,
};

/// The audit row that the report left, if it was told before by the same worker.
const TOLD: &str = "SELECT e.at FROM events AS e WHERE e.run_id = $1 AND e.ordinal = $2 AND e.attempt = $3 \
                    AND e.event = $4 AND e.owner = $5";

/// The task that was claimed together with that report.
const HEIR: &str = "SELECT t.ordinal, t.attempt FROM edges AS e \
                    JOIN tasks AS t ON t.run_id = e.run_id AND t.ordinal = e.to_ordinal \
                    WHERE e.run_id = $1 AND e.from_ordinal = $2 AND t.state = 'running' AND t.owner = $3 \
                    AND t.started_at = $4";

/// The task that was at hand for that report, if it was claimed together with it.
const AT_HAND: &str = "SELECT t.ordinal FROM tasks AS t WHERE t.run_id = $1 AND t.ordinal = $2 AND t.attempt = $3 \
                       AND t.state = 'running' AND t.owner = $4 AND t.started_at = $5";

/// The verdict on a report that the state machine refuses: accepted if it was accepted before.
pub(super) async fn told_before(tx: &mut Tx, now: Timestamp, report: &Report) -> Result<Verdict, StoreError> {
    let TaskKey { run, ordinal } = report.ticket.task;
    let owner = report.owner.0.as_str();
    let event = report.event().kind().name();
    let args = [run.into(), ordinal.into(), attempt_after(report).into(), event.into(), owner.into()];
    let told = tx.rows("look for an earlier report", TOLD, &args).await?;
    let Some(row) = told.first() else { return Ok(Verdict { accepted: false, next: None }) };
    let at: Timestamp = Columns::of(row, "events").next("at")?;
    if report.run_next.is_none() {
        return Ok(Verdict { accepted: true, next: None });
    }
    let next = match followed(tx, report, at).await? {
        Some(next) => Some(held(tx, now, next).await?),
        None => None,
    };
    Ok(Verdict { accepted: true, next })
}

/// The task that was claimed together with a report that was told at this moment, if the worker still has it.
async fn followed(tx: &mut Tx, report: &Report, at: Timestamp) -> Result<Option<Ticket>, StoreError> {
    let TaskKey { run, ordinal } = report.ticket.task;
    let owner = report.owner.0.as_str();
    let rows = tx.rows("look for the next task", HEIR, &[run.into(), ordinal.into(), owner.into(), at.into()]).await?;
    if let Some(row) = rows.first() {
        let mut columns = Columns::of(row, "tasks");
        let task = TaskKey { run, ordinal: columns.next::<Ordinal>("ordinal")? };
        return Ok(Some(Ticket { task, attempt: columns.next::<Attempt>("attempt")? }));
    }
    let Some(at_hand) = report.at_hand() else { return Ok(None) };
    let Ticket { task, attempt } = at_hand;
    let args = [task.run.into(), task.ordinal.into(), attempt.into(), owner.into(), at.into()];
    let rows = tx.rows("look for the task that was at hand", AT_HAND, &args).await?;
    Ok((!rows.is_empty()).then_some(at_hand))
}

/// The audit row of a task that is offered again carries the new attempt.
fn attempt_after(report: &Report) -> Attempt {
    let attempt = report.ticket.attempt;
    match report.outcome {
        Outcome::Cancelled => Attempt(attempt.0 + 1),
        Outcome::Succeeded { .. } | Outcome::Failed { .. } | Outcome::Parked { .. } => attempt,
        Outcome::Asked { .. } | Outcome::Skipped { .. } | Outcome::Expanded { .. } => attempt,
    }
}

/// A task that the worker holds already, told as at its claim.
async fn held(tx: &mut Tx, now: Timestamp, ticket: Ticket) -> Result<Claimed, StoreError> {
    let mut door = Door::new(tx, now);
    door.open(&[(ticket.task, false)].into()).await?;
    let mut claimed = door.claimed(ticket.task)?;
    claimed.upstream = upstream(tx, &[ticket.task]).await?.remove(&ticket.task).unwrap_or_default();
    claimed.item = values(tx, &[ticket.task]).await?.remove(&ticket.task);
    Ok(claimed)
}

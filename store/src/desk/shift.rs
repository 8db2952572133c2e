//! Claims and reports in one transaction.

use std::collections::{BTreeMap, HashMap};

use tidemill_dag::id::{TaskKey, Ticket};

use super::{Answer, Desk, Request, answers};
use crate::{
    Claimed, Report, StoreError, Upstream, Verdict,
    db::Tx,
    door::{After, Door, contradicts, refused, upstream, values},
    work::{Item, Outcome, RunNext},
};

/// What one request came to, before what it reads is loaded.
enum Found {
    Claimed(Vec<Claimed>),
    Accepted(Option<Box<Claimed>>),
    Refused,
}

impl Desk {
    pub(super) async fn work(
        &self,
        tx: &mut Tx,
        requests: &[Request],
    ) -> Result<(Vec<Result<Answer, StoreError>>, After), StoreError> {
        let now = self.clock.now();
        let mut door = Door::new(tx, now);
        door.open(&touched(requests)).await?;
        door.open_gates(requests.iter().flat_map(Request::tickets)).await?;
        let mut found = Vec::with_capacity(requests.len());
        for request in requests {
            found.push(match request {
                Request::Claim { tickets, worker, lease } => {
                    let mut claimed = Vec::new();
                    for ticket in tickets {
                        if door.claim(*ticket, worker, *lease)? {
                            claimed.push(door.claimed(ticket.task)?);
                        }
                    }
                    Found::Claimed(claimed)
                }
                Request::Complete(report) => self.report(&mut door, report).await?,
                Request::Create(..) => Found::Refused,
            });
        }
        let mut reads = Reads::of(&door, &found, requests);
        let after = door.write().await?;
        reads.load(tx).await?;
        let mut out = Vec::with_capacity(found.len());
        for (found, request) in found.into_iter().zip(requests) {
            out.push(Ok(match (found, request) {
                (Found::Claimed(claimed), _) => {
                    Answer::Claimed(claimed.into_iter().map(|claimed| reads.fill(claimed)).collect())
                }
                (Found::Accepted(next), _) => {
                    let next = next.map(|claimed| reads.fill(*claimed));
                    Answer::Completed(Box::new(Verdict { accepted: true, next }))
                }
                (Found::Refused, Request::Complete(report)) => {
                    Answer::Completed(Box::new(answers::told_before(tx, now, report).await?))
                }
                (Found::Refused, Request::Claim { .. } | Request::Create(..)) => Answer::Claimed(Vec::new()),
            }));
        }
        Ok((out, after))
    }

    async fn report(&self, door: &mut Door<'_>, report: &Report) -> Result<Found, StoreError> {
        let task = report.ticket.task;
        let blocked = door.blocked_readers(task);
        match door.report(report, self.chance.draw()) {
            Ok(()) => {}
            Err(why) if contradicts(&why) => return Err(refused(format!("the report of {}", report.ticket), &why)),
            Err(why) => {
                tracing::debug!(ticket = %report.ticket, worker = %report.owner, %why, "a report was refused");
                return Ok(Found::Refused);
            }
        }
        door.settle().await?;
        let Some(RunNext { lease, at_hand }) = report.run_next else { return Ok(Found::Accepted(None)) };
        for next in door.only_heir(task, &blocked).into_iter().chain(at_hand) {
            if door.claim(next, &report.owner, lease)? {
                return Ok(Found::Accepted(Some(Box::new(door.claimed(next.task)?))));
            }
        }
        Ok(Found::Accepted(None))
    }
}

impl Request {
    /// What it wants to claim, as far as it says so.
    fn tickets(&self) -> impl Iterator<Item = Ticket> {
        let (tickets, at_hand) = match self {
            Self::Claim { tickets, .. } => (tickets.as_slice(), None),
            Self::Complete(report) => (&[][..], report.at_hand()),
            Self::Create(..) => (&[][..], None),
        };
        tickets.iter().copied().chain(at_hand)
    }
}

/// The tasks that requests are about, and whether their readers will be asked for.
fn touched(requests: &[Request]) -> BTreeMap<TaskKey, bool> {
    let mut touched = BTreeMap::new();
    for request in requests {
        for ticket in request.tickets() {
            touched.entry(ticket.task).or_insert(false);
        }
        if let Request::Complete(report) = request {
            touched.insert(report.ticket.task, true);
        }
    }
    touched
}

/// What claimed tasks read.
struct Reads {
    of: Vec<TaskKey>,
    found: HashMap<TaskKey, Vec<Upstream>>,
    items: Vec<TaskKey>,
    values: BTreeMap<TaskKey, Item>,
}

impl Reads {
    fn of(door: &Door<'_>, found: &[Found], requests: &[Request]) -> Self {
        let mut reads = Self { of: Vec::new(), found: HashMap::new(), items: Vec::new(), values: BTreeMap::new() };
        for (found, request) in found.iter().zip(requests) {
            match (found, request) {
                (Found::Claimed(claimed), _) => claimed.iter().for_each(|it| reads.want(door, it.ticket.task)),
                (Found::Accepted(Some(next)), Request::Complete(report)) if report.at_hand() == Some(next.ticket) => {
                    reads.want(door, next.ticket.task);
                }
                (Found::Accepted(Some(next)), Request::Complete(report)) => {
                    let task = next.ticket.task;
                    match door.as_upstream(report).filter(|_| door.upstream_count(task) == 1) {
                        // A chain: what the one before it gave is here already.
                        Some(only) => drop(reads.found.insert(task, vec![only])),
                        None => reads.of.push(task),
                    }
                }
                (Found::Accepted(_) | Found::Refused, _) => {}
            }
        }
        reads
    }

    fn want(&mut self, door: &Door<'_>, task: TaskKey) {
        if door.is_item(task) {
            self.items.push(task);
        }
        if door.upstream_count(task) > 0 {
            self.of.push(task);
        }
    }

    async fn load(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        self.found.extend(upstream(tx, &self.of).await?);
        self.values = values(tx, &self.items).await?;
        Ok(())
    }

    fn fill(&mut self, mut claimed: Claimed) -> Claimed {
        claimed.upstream = self.found.remove(&claimed.ticket.task).unwrap_or_default();
        claimed.item = self.values.remove(&claimed.ticket.task);
        claimed
    }
}

impl Door<'_> {
    /// A task that was just reported, as those see it that read it.
    fn as_upstream(&self, report: &Report) -> Option<Upstream> {
        let task = report.ticket.task;
        // The place of an item in its list stands in its row.
        let row = self.work.task(task).filter(|row| row.parent.is_none())?;
        let output = match &report.outcome {
            Outcome::Succeeded { output } => Some(output.clone()),
            Outcome::Failed { .. } | Outcome::Parked { .. } | Outcome::Asked { .. } => None,
            Outcome::Skipped { .. } | Outcome::Expanded { .. } | Outcome::Cancelled => None,
        };
        let name = self.name(task)?.to_owned();
        Some(Upstream { ordinal: task.ordinal, name, index: None, state: row.state, attempt: row.attempt, output })
    }
}

//! Claims and reports in one transaction.

use std::collections::{BTreeMap, HashMap};

use tidemill_dag::id::{TaskKey, Ticket};

use super::{Answer, Desk, Request, answers};
use crate::{
    Claimed, Report, StoreError, Upstream, Verdict,
    db::Tx,
    door::{After, Door, contradicts, refused, upstream, values},
    work::{Item, Outcome},
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
        let Some((lease, heir)) = report.run_next.zip(door.only_heir(task, &blocked)) else {
            return Ok(Found::Accepted(None));
        };
        let claimed = door.claim(heir, &report.owner, lease)?;
        Ok(Found::Accepted(if claimed { Some(Box::new(door.claimed(heir.task)?)) } else { None }))
    }
}

impl Request {
    /// What it wants to claim.
    fn tickets(&self) -> impl Iterator<Item = Ticket> {
        let tickets = match self {
            Self::Claim { tickets, .. } => tickets.as_slice(),
            Self::Complete(_) | Self::Create(..) => &[],
        };
        tickets.iter().copied()
    }
}

/// The tasks that requests are about, and whether their readers will be asked for.
fn touched(requests: &[Request]) -> BTreeMap<TaskKey, bool> {
    let mut touched = BTreeMap::new();
    for request in requests {
        match request {
            Request::Claim { tickets, .. } => {
                for ticket in tickets {
                    touched.entry(ticket.task).or_insert(false);
                }
            }
            Request::Complete(report) => {
                touched.insert(report.ticket.task, true);
            }
            Request::Create(..) => {}
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
                (Found::Claimed(claimed), _) => {
                    let tasks = claimed.iter().map(|it| it.ticket.task);
                    reads.items.extend(tasks.filter(|task| door.is_item(*task)));
                    reads
                        .of
                        .extend(claimed.iter().map(|it| it.ticket.task).filter(|task| door.upstream_count(*task) > 0));
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

//! Claims whose answers reached nobody. A worker renews all its leases at once, so a task that it holds
//! without knowing would be nobody's for ever; such tasks are handed back.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use tidemill_dag::id::{Ticket, WorkerId};
use tokio::sync::oneshot;

use super::{Answer, Pending, Request};
use crate::{Report, StoreError, work::Outcome};

/// Attempts of which it is not known whether somebody holds them: the commit of their claim got no answer.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<HashSet<(WorkerId, Ticket)>>);

impl Doubts {
    /// Takes what a request came to, and says which reports hand back what nobody heard of.
    pub fn deliver(
        &self,
        request: Request,
        reply: oneshot::Sender<Result<Answer, StoreError>>,
        answer: Result<Answer, StoreError>,
    ) -> Vec<Report> {
        self.remember(&request, &answer);
        let Err(unheard) = reply.send(answer) else { return Vec::new() };
        let (owner, tickets): (WorkerId, Vec<Ticket>) = match (request, unheard) {
            (Request::Claim { worker, .. }, Ok(Answer::Claimed(claimed))) => {
                (worker, claimed.into_iter().map(|it| it.ticket).collect())
            }
            (Request::Complete(report), Ok(Answer::Completed(verdict))) => {
                (report.owner, verdict.next.map(|it| it.ticket).into_iter().collect())
            }
            (Request::Claim { .. } | Request::Complete(_) | Request::Create(..), _) => return Vec::new(),
        };
        tickets.into_iter().map(|ticket| hand_back(&owner, ticket)).collect()
    }

    fn remember(&self, request: &Request, answer: &Result<Answer, StoreError>) {
        let mut doubts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (request, answer) {
            (Request::Claim { tickets, worker, .. }, Err(_)) => {
                doubts.extend(tickets.iter().map(|ticket| (worker.clone(), *ticket)));
            }
            (Request::Claim { worker, .. }, Ok(Answer::Claimed(claimed))) if !doubts.is_empty() => {
                for it in claimed {
                    doubts.remove(&(worker.clone(), it.ticket));
                }
            }
            (Request::Complete(report), Err(_)) if report.outcome == Outcome::Cancelled => {
                doubts.insert((report.owner.clone(), report.ticket));
            }
            (Request::Claim { .. } | Request::Complete(_) | Request::Create(..), _) => {}
        }
    }

    /// Reports that hand back what is in doubt and, as is known now, held; other doubts about this worker are over.
    pub fn settle(&self, worker: &WorkerId, held: &[Ticket]) -> Vec<Report> {
        let mut doubts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reports = Vec::new();
        doubts.retain(|(owner, ticket)| {
            if owner == worker && held.contains(ticket) {
                reports.push(hand_back(owner, *ticket));
            }
            owner != worker
        });
        reports
    }
}

fn hand_back(owner: &WorkerId, ticket: Ticket) -> Report {
    Report { ticket, owner: owner.clone(), outcome: Outcome::Cancelled, run_next: None }
}

/// A report that nobody waits for.
pub(super) fn unattended(report: Report) -> Pending {
    Pending { request: Request::Complete(Box::new(report)), reply: oneshot::channel().0 }
}

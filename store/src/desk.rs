//! Where claims, reports and new runs meet, so that many share one transaction.
//!
//! One task reads the channel. While a commit is on its way to the disk, what arrives piles up and makes
//! the next transaction; when nothing piles up, a single report is committed at once. No timer is needed.

mod answers;
pub(crate) mod create;
mod family;
mod newborn;
mod shift;
pub(crate) mod turns;
mod unheard;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tidemill_dag::{
    id::{Ticket, WorkerId},
    time::{Chance, Clock, Timestamp},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Claimed, Created, Named, NewRun, Report, StoreError, Transport, Verdict,
    db::{Db, is_away, tried},
    door::{After, Door, publish},
    wakes::Taken,
};

/// At most so many requests share one transaction.
const MOST: usize = 256;

/// What operations work with.
pub(crate) struct Desk {
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    pub transport: Arc<dyn Transport>,
    doubts: unheard::Doubts,
    #[cfg(test)]
    faults: std::sync::Mutex<Option<Fault>>,
}

/// Where the next shared transaction breaks off, as if the process had ended there.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    BeforeCommit,
    AfterCommit,
}

#[cfg(test)]
impl Desk {
    pub fn fail_next(&self, fault: Fault) {
        *self.faults.lock().expect("no panic") = Some(fault);
    }

    fn breaks(&self, here: Fault) -> Result<(), StoreError> {
        let mut planned = self.faults.lock().expect("no panic");
        if *planned != Some(here) {
            return Ok(());
        }
        *planned = None;
        let source = Arc::new(sqlx::Error::Io(std::io::Error::other("planned")));
        Err(StoreError::Database { action: "commit", source })
    }
}

/// A moment of a schedule, noted together with the run that it makes.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub trigger: u32,
    pub at: Timestamp,
    /// The moment up to which everything was dealt with when this one was chosen.
    pub after: Timestamp,
}

/// What asks for a run, as far as more than the run is to be written.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// Nothing else.
    Plain,
    /// A moment of a schedule.
    Moment(Moment),
    /// Something with a name.
    Named(Named),
    /// Loads that a data-set trigger waited for.
    Updates(Taken),
    /// The turn of a partition of a backfill.
    Partition { backfill: String, place: u32 },
}

/// What may share a transaction with others.
pub(crate) enum Request {
    Claim { tickets: Vec<Ticket>, worker: WorkerId, lease: Duration },
    Complete(Box<Report>),
    Create(Box<NewRun>, Cause),
}

/// What comes back.
pub(crate) enum Answer {
    Claimed(Vec<Claimed>),
    Completed(Box<Verdict>),
    Created(Created),
}

/// A request and whom to answer.
pub(crate) struct Pending {
    pub request: Request,
    pub reply: oneshot::Sender<Result<Answer, StoreError>>,
}

impl Desk {
    pub fn new(db: Db, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>, transport: Arc<dyn Transport>) -> Self {
        Self {
            db,
            clock,
            chance,
            transport,
            doubts: unheard::Doubts::default(),
            #[cfg(test)]
            faults: std::sync::Mutex::default(),
        }
    }

    /// Serves until every handle to the store is gone.
    pub async fn serve(self: Arc<Self>, mut requests: mpsc::Receiver<Pending>) {
        let mut arrived = Vec::with_capacity(MOST);
        while requests.recv_many(&mut arrived, MOST).await > 0 {
            let (new, mut rest): (Vec<_>, Vec<_>) =
                arrived.drain(..).partition(|pending| matches!(pending.request, Request::Create(..)));
            self.shift(new).await;
            while !rest.is_empty() {
                rest = self.shift(rest).await.into_iter().map(unheard::unattended).collect();
            }
        }
    }

    /// Requests of one kind, in one transaction; one by one if that fails for a reason that may be one of theirs.
    /// Returns reports that hand back what was claimed for somebody who is gone.
    async fn shift(&self, shift: Vec<Pending>) -> Vec<Report> {
        let (requests, replies): (Vec<_>, Vec<_>) = shift.into_iter().map(|it| (it.request, it.reply)).unzip();
        if requests.is_empty() {
            return Vec::new();
        }
        let answers = match tried!(self.attempt(&requests).await) {
            Ok(answers) => answers,
            Err(error) if requests.len() == 1 || is_away(&error) => {
                requests.iter().map(|_| Err(error.clone())).collect()
            }
            Err(_) => self.one_by_one(&requests).await,
        };
        let delivered = requests.into_iter().zip(replies).zip(answers);
        delivered.flat_map(|((request, reply), answer)| self.doubts.deliver(request, reply, answer)).collect()
    }

    async fn one_by_one(&self, requests: &[Request]) -> Vec<Result<Answer, StoreError>> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let one = std::slice::from_ref(request);
            let answer = tried!(self.attempt(one).await);
            answers.push(answer.and_then(|mut answers| answers.pop().unwrap_or(Err(StoreError::Closed))));
        }
        answers
    }

    /// What a worker holds and does not know of, as reports that hand it back.
    pub fn unheard(&self, worker: &WorkerId, held: &[Ticket]) -> Vec<Report> {
        self.doubts.settle(worker, held)
    }

    async fn attempt(&self, requests: &[Request]) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        let mut tx = self.db.begin().await?;
        let (answers, after) = match requests.first() {
            Some(Request::Create(..)) => self.create(&mut tx, requests).await?,
            Some(Request::Claim { .. } | Request::Complete(_)) | None => self.work(&mut tx, requests).await?,
        };
        #[cfg(test)]
        self.breaks(Fault::BeforeCommit)?;
        tx.commit().await?;
        #[cfg(test)]
        self.breaks(Fault::AfterCommit)?;
        self.follow_up(after).await;
        Ok(answers)
    }

    /// After the commit: sends tickets, and starts queued runs whose pipeline was held by somebody else.
    pub async fn follow_up(&self, after: After) {
        let mut todo = vec![after];
        let mut turns = BTreeSet::new();
        while let Some(After { offers, later, gates, ended }) = todo.pop() {
            publish(&*self.transport, offers).await;
            turns.extend(gates);
            for pipeline in later {
                match self.start_queued(&pipeline).await {
                    Ok((_, more)) => todo.push(more),
                    Err(error) => {
                        tracing::warn!(
                            pipeline,
                            error = &error as &dyn std::error::Error,
                            "queued runs are left to the sweep"
                        );
                    }
                }
            }
            for ended in ended {
                todo.extend(self.after_the_end(ended).await);
            }
        }
        self.take_turns(turns).await;
    }

    /// Starts queued runs of a pipeline, in a transaction of its own.
    pub async fn start_queued(&self, pipeline: &str) -> Result<(u32, After), StoreError> {
        tried!(self.start_queued_once(pipeline).await)
    }

    async fn start_queued_once(&self, pipeline: &str) -> Result<(u32, After), StoreError> {
        let mut tx = self.db.begin().await?;
        let mut door = Door::new(&mut tx, self.clock.now());
        door.lock_pipeline(pipeline).await?;
        let started = door.start_queued(pipeline).await?;
        door.settle().await?;
        let after = door.write().await?;
        tx.commit().await?;
        Ok((started, after))
    }
}

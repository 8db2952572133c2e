//! The one door: a transaction that loads what `dag` asks for, lets it decide, and writes what follows.
//!
//! Order of locks, the same everywhere, so that transactions never wait for each other in a ring:
//! pipelines, then runs by id, then tasks by key.

pub(crate) mod claims;
pub(crate) mod items;
pub(crate) mod limits;
pub(crate) mod load;
mod successors;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidemill_dag::{
    approval::Question,
    id::{RunId, TaskKey, Ticket, WorkerId},
    limits::{Gate, Room},
    spec::Priority,
    state::{Event, EventKind, IllegalMove, RunEvent, TaskView, Want, Work},
    time::Timestamp,
};

use crate::{StoreError, db::Tx, run::RunRecord, wakes::Loaded};

pub(crate) use claims::upstream;
pub(crate) use items::values;
pub(crate) use limits::Limits;
pub(crate) use load::{priority, run_columns, run_record, task_columns, task_view};
pub(crate) use write::{EventRows, Offer, first_ready, publish, started, write_version};

/// One transaction's worth of decisions.
pub(crate) struct Door<'t> {
    tx: &'t mut Tx,
    now: Timestamp,
    pub(crate) work: Work,
    /// The whole rows of the runs that were locked, as they were before.
    runs: BTreeMap<RunId, RunRecord>,
    /// What decisions do not need but workers do.
    about: HashMap<TaskKey, About>,
    /// Readers that were loaded ahead of being asked for.
    readers: HashMap<TaskKey, Vec<TaskKey>>,
    /// Items that wait for a place, by the task whose items they are.
    held_items: HashMap<TaskKey, items::Held>,
    /// Whether a wave of endings has passed already.
    cascading: bool,
    notes: Notes,
    /// Whether places that become free are somebody's already.
    places_taken: bool,
    /// Pipelines whose lock this transaction holds.
    held: BTreeSet<String>,
    /// Pipelines that somebody else held while their queued runs might have started.
    later: Vec<String>,
    /// Limits of what this transaction claims, as they stand.
    gates: BTreeMap<Gate, Room>,
    /// Claims that found no slot, and the limit they wait for now.
    refused: Vec<(Ticket, Gate)>,
}

/// What a task's row says besides its life.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub name: String,
    pub queue: String,
    pub priority: Priority,
    pub ready_at: Option<Timestamp>,
    pub limits: Limits,
}

/// What goes into rows besides what was decided.
#[derive(Debug, Default)]
struct Notes {
    outputs: HashMap<TaskKey, String>,
    errors: HashMap<TaskKey, String>,
    reasons: HashMap<TaskKey, String>,
    /// Lists that became known, by the task whose items stand in them.
    lists: HashMap<TaskKey, Vec<serde_json::Value>>,
    questions: Vec<(Ticket, Question)>,
    /// Who and what, for the audit row of one event of one task.
    events: HashMap<(TaskKey, EventKind), Note>,
    /// Why runs were cancelled.
    runs: HashMap<RunId, String>,
    /// Loads that ended.
    loaded: Loaded,
}

#[derive(Debug, Clone, Default)]
struct Note {
    owner: Option<WorkerId>,
    detail: Option<String>,
}

/// What remains to be done after the commit.
#[derive(Debug, Default)]
pub(crate) struct After {
    /// Tickets to send.
    pub offers: Vec<Offer>,
    /// Pipelines whose queued runs may start, in a transaction of their own.
    pub later: Vec<String>,
    /// Limits that have a slot to give, perhaps.
    pub gates: BTreeSet<Gate>,
    /// Runs that ended and concern others.
    pub ended: Vec<Ended>,
}

/// A run that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub run: RunId,
    /// The task of another run that waits for it.
    pub parent: Option<TaskKey>,
    /// It was cancelled, and so must be the runs that its tasks wait for.
    pub cancelled: bool,
}

impl After {
    pub fn join(&mut self, other: Self) {
        self.offers.extend(other.offers);
        self.later.extend(other.later);
        self.ended.extend(other.ended);
        self.gates.extend(other.gates);
    }
}

impl<'t> Door<'t> {
    pub fn new(tx: &'t mut Tx, now: Timestamp) -> Self {
        Self {
            tx,
            now,
            work: Work::new(now),
            runs: BTreeMap::new(),
            about: HashMap::new(),
            readers: HashMap::new(),
            held_items: HashMap::new(),
            cascading: false,
            notes: Notes::default(),
            places_taken: false,
            held: BTreeSet::new(),
            later: Vec::new(),
            gates: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// The transaction, for what belongs into it and is nobody's state.
    pub fn tx(&mut self) -> &mut Tx {
        self.tx
    }

    /// Locks runs and loads tasks of theirs, with the readers of those that may end.
    pub async fn open(&mut self, tasks: &BTreeMap<TaskKey, bool>) -> Result<(), StoreError> {
        self.lock_runs(tasks.keys().map(|task| task.run).collect()).await?;
        self.load_neighbourhood(tasks).await
    }

    /// Places that become free go to a run that the caller has at hand, not to queued ones.
    pub fn leave_places_free(&mut self) {
        self.places_taken = true;
    }

    /// A run that was locked.
    pub fn run(&self, id: RunId) -> Result<&RunRecord, StoreError> {
        self.runs.get(&id).ok_or(StoreError::NoRun(id))
    }

    /// Something happens to a run that was locked.
    pub fn move_run(&mut self, id: RunId, event: RunEvent, reason: Option<&str>) -> Result<(), StoreError> {
        self.run(id)?;
        if let Some(reason) = reason {
            self.notes.runs.insert(id, reason.to_owned());
        }
        self.work.apply_run(id, event).map_err(|why| refused(format!("`{}` of {id}", event.kind()), &why))
    }

    /// Tells a task what time or the world did to it. A refusal means that somebody else was faster.
    pub fn tell(&mut self, task: TaskKey, event: &Event) -> Result<bool, StoreError> {
        let asked = self.work.task(task).and_then(|row| row.asks);
        match self.work.apply(task, event, 0.0) {
            Ok(()) => {
                if let (Some(on_expiry), EventKind::Due) = (asked, event.kind()) {
                    self.note_expiry(task, on_expiry);
                }
                Ok(true)
            }
            Err(why) if contradicts(&why) => Err(refused(format!("`{}`", event.kind()), &why)),
            Err(_) => Ok(false),
        }
    }

    /// Draws every consequence of what was applied so far.
    pub async fn settle(&mut self) -> Result<(), StoreError> {
        while let Some(want) = self.work.wants() {
            match want {
                Want::Runs(runs) => self.lock_runs(runs.into_iter().collect()).await?,
                Want::Readers(tasks) => self.give_readers(tasks).await?,
                Want::Roots(runs) => {
                    let rows = self.load_of_runs(load::ROOTS, &runs).await?;
                    self.work.give_roots(rows).map_err(inconsistent)?;
                }
                Want::Unfinished(runs) => {
                    let rows = self.load_of_runs(load::UNFINISHED, &runs).await?;
                    self.work.give_unfinished(rows).map_err(inconsistent)?;
                }
                Want::Items(places) => self.fill_places(places).await?,
                Want::Successors(_) if self.places_taken => {}
                Want::Successors(runs) => self.start_successors(&runs).await?,
            }
        }
        Ok(())
    }

    async fn give_readers(&mut self, ended: Vec<TaskKey>) -> Result<(), StoreError> {
        let missing: BTreeMap<TaskKey, bool> =
            ended.iter().filter(|task| !self.readers.contains_key(task)).map(|task| (*task, true)).collect();
        if !missing.is_empty() {
            // A second wave means that bad news runs down the graph: everything it can reach comes in one load.
            if self.cascading {
                self.load_descendants(&missing.into_keys().collect::<Vec<_>>()).await?;
            } else {
                self.load_neighbourhood(&missing).await?;
            }
        }
        self.cascading = true;
        let mut pairs: Vec<(TaskKey, TaskView)> = Vec::new();
        for task in ended {
            for reader in self.readers.get(&task).map_or(&[][..], Vec::as_slice) {
                pairs.extend(self.work.task(*reader).map(|row| (task, row.clone())));
            }
        }
        self.work.give_readers(pairs).map_err(inconsistent)
    }
}

/// Whether a refusal says that rows contradict each other, so that nothing of the transaction may be written.
pub(crate) fn contradicts(why: &IllegalMove) -> bool {
    match why {
        IllegalMove::Run { .. } | IllegalMove::Counters { .. } => true,
        IllegalMove::Task { .. }
        | IllegalMove::Fenced { .. }
        | IllegalMove::TooEarly { .. }
        | IllegalMove::NotAsked(_)
        | IllegalMove::NoSuchTask(_) => false,
    }
}

pub(crate) fn refused(what: String, why: &IllegalMove) -> StoreError {
    StoreError::Refused { what, why: why.to_string() }
}

fn inconsistent(why: IllegalMove) -> StoreError {
    refused("what follows from a change".into(), &why)
}

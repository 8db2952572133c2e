//! What one transaction writes: events applied to loaded rows, and everything that follows from them.
//!
//! The caller loads rows and applies events; [`Work::wants`] then names the rows that the consequences
//! touch, the caller gives them, and so on until nothing is wanted. [`Work::finish`] returns what to
//! write and what to publish after the commit. Any number of events, for any number of runs, may share
//! one `Work`: that is what makes a group commit.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket},
    state::{
        Ending, Event, EventKind, IllegalMove, RunEvent, RunEventKind, RunState, RunView, TaskState, TaskView, decide,
        decide_run,
    },
    time::Timestamp,
};

/// A row before and after. Write it where (state, attempt) are still those of `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<Row> {
    /// As it was loaded.
    pub before: Row,
    /// As it must become.
    pub after: Row,
}

/// One change of state: one audit row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Of a task.
    Task {
        /// Which one.
        task: TaskKey,
        /// Its attempt afterwards.
        attempt: Attempt,
        /// From where.
        from: TaskState,
        /// To where.
        to: TaskState,
        /// By what.
        on: EventKind,
    },
    /// Of a run.
    Run {
        /// Which one.
        run: RunId,
        /// From where.
        from: RunState,
        /// To where.
        to: RunState,
        /// By what.
        on: RunEventKind,
    },
}

/// Rows that the consequences of what was applied so far touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// These runs' rows: [`Work::give_runs`].
    Runs(Vec<RunId>),
    /// The readers of these tasks that ended: [`Work::give_readers`].
    Readers(Vec<TaskKey>),
    /// The blocked tasks of these runs that wait for nothing: [`Work::give_roots`].
    Roots(Vec<RunId>),
    /// The unfinished tasks of these cancelled runs: [`Work::give_unfinished`].
    Unfinished(Vec<RunId>),
    /// So many items of each of these tasks ended, and blocked ones may take their places, in order: [`Work::give_items`].
    Items(Vec<(TaskKey, u32)>),
    /// These runs gave up their places: look for queued runs of the same pipelines that may start
    /// ([`super::may_start`]; what counts is the state of each run as [`Work::run`] has it, where it has
    /// it) and give each to [`Work::give_runs`] and [`Work::apply_run`] with
    /// [`RunEvent::Admit`].
    Successors(Vec<RunId>),
}

/// What to write, in one transaction, and what to publish after its commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Task rows that are new: items of a `for_each`, in order.
    pub born: Vec<TaskView>,
    /// Task rows that changed.
    pub tasks: Vec<Change<TaskView>>,
    /// Run rows that changed.
    pub runs: Vec<Change<RunView>>,
    /// Audit rows, in order.
    pub moves: Vec<Move>,
    /// Tickets to publish after the commit.
    pub tickets: Vec<Ticket>,
}

/// Decisions for one transaction, under way.
#[derive(Debug)]
pub struct Work {
    now: Timestamp,
    tasks: BTreeMap<TaskKey, Change<TaskView>>,
    runs: BTreeMap<RunId, Change<RunView>>,
    moves: Vec<Move>,
    /// Run events whose run's row is not here yet.
    waiting: Vec<(RunId, RunEvent)>,
    ended: BTreeMap<TaskKey, Ending>,
    unheard: Vec<TaskKey>,
    opened: Vec<RunId>,
    cancelled: Vec<RunId>,
    left: Vec<RunId>,
    /// Tasks that have no rows yet.
    born: BTreeSet<TaskKey>,
    /// How many items ended, by their parents.
    places: BTreeMap<TaskKey, u32>,
}

impl Work {
    /// Nothing yet, at this moment.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            tasks: BTreeMap::new(),
            runs: BTreeMap::new(),
            moves: Vec::new(),
            waiting: Vec::new(),
            ended: BTreeMap::new(),
            unheard: Vec::new(),
            opened: Vec::new(),
            cancelled: Vec::new(),
            left: Vec::new(),
            born: BTreeSet::new(),
            places: BTreeMap::new(),
        }
    }

    /// Rows of tasks, as locked in this transaction. A row that is here already stays as it is here.
    pub fn give_tasks(&mut self, rows: impl IntoIterator<Item = TaskView>) {
        for row in rows {
            self.tasks.entry(row.key).or_insert_with(|| Change { before: row.clone(), after: row });
        }
    }

    /// Rows of runs, as locked in this transaction; what waited for them is applied.
    pub fn give_runs(&mut self, rows: impl IntoIterator<Item = RunView>) -> Result<(), IllegalMove> {
        for row in rows {
            self.runs.entry(row.id).or_insert(Change { before: row, after: row });
        }
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().try_for_each(|(run, event)| self.apply_run(run, event))
    }

    /// Answers [`Want::Readers`]: pairs of a task that ended and the row of one of its readers. A
    /// reader that is not blocked has heard enough: after a resume, what succeeded stays.
    pub fn give_readers(&mut self, pairs: impl IntoIterator<Item = (TaskKey, TaskView)>) -> Result<(), IllegalMove> {
        for (of, reader) in pairs {
            let key = reader.key;
            self.give_tasks([reader]);
            // The loaded row may be older than what this work has made of it since; that decides.
            let blocked = self.task(key).is_some_and(|row| row.state == TaskState::Blocked);
            if let (true, Some(ending)) = (blocked, self.ended.get(&of).copied()) {
                self.apply(key, &Event::UpstreamDone(ending), 0.0)?;
            }
        }
        Ok(())
    }

    /// Answers [`Want::Roots`]. Tasks that this work itself brought there (a resume) need not be among the rows.
    pub fn give_roots(&mut self, rows: impl IntoIterator<Item = TaskView>) -> Result<(), IllegalMove> {
        self.give_tasks(rows);
        self.apply_all(RunState::Running, &Event::Open, |row| {
            row.state == TaskState::Blocked && row.upstream.pending == 0
        })
    }

    /// Answers [`Want::Unfinished`]. Tasks that this work itself brought there need not be among the rows.
    pub fn give_unfinished(&mut self, rows: impl IntoIterator<Item = TaskView>) -> Result<(), IllegalMove> {
        self.give_tasks(rows);
        self.apply_all(RunState::Cancelled, &Event::Cancel, |row| !row.state.is_finished())
    }

    /// Answers one of [`Want::Items`]: items of a task, in order; of those that are blocked, the first `places` may go.
    pub fn give_items(&mut self, rows: impl IntoIterator<Item = TaskView>, places: u32) -> Result<u32, IllegalMove> {
        let mut left = places;
        for row in rows {
            let key = row.key;
            self.give_tasks([row]);
            let waits = self.task(key).is_some_and(|row| row.state == TaskState::Blocked && row.upstream.pending > 0);
            if left > 0 && waits {
                self.apply(key, &Event::Place, 0.0)?;
                left -= 1;
            }
        }
        Ok(left)
    }

    /// The items of a task whose list became known. Those that need not wait for a place may go.
    fn bear(&mut self, parent: TaskKey, first: u32, items: u32) -> Result<(), IllegalMove> {
        let row = self.task(parent).cloned().ok_or(IllegalMove::NoSuchTask(parent))?;
        let at_once = row.policy.max_parallel.unwrap_or(u32::MAX).max(1);
        for index in 0..items {
            let item = row.item(Ordinal(first + index), index >= at_once);
            let key = item.key;
            self.born.insert(key);
            self.give_tasks([item]);
            if index < at_once {
                self.apply(key, &Event::Open, 0.0)?;
            }
        }
        Ok(())
    }

    fn apply_all(&mut self, run: RunState, event: &Event, fits: fn(&TaskView) -> bool) -> Result<(), IllegalMove> {
        let there = |key: &TaskKey| self.run(key.run).is_some_and(|row| row.state == run);
        let rows = self.tasks.values().map(|change| &change.after);
        let keys: Vec<TaskKey> = rows.filter(|row| fits(row)).map(|row| row.key).filter(there).collect();
        keys.into_iter().try_for_each(|key| self.apply(key, event, 0.0))
    }

    /// A task's row as it stands now.
    pub fn task(&self, key: TaskKey) -> Option<&TaskView> {
        self.tasks.get(&key).map(|change| &change.after)
    }

    /// A run's row as it stands now.
    pub fn run(&self, id: RunId) -> Option<&RunView> {
        self.runs.get(&id).map(|change| &change.after)
    }

    /// Something happens to a task whose row is here. A refusal changes nothing; only
    /// [`IllegalMove::Run`] is no refusal of the event but says that the loaded rows contradict each
    /// other (a task at work in a run that is not), and nothing of this work should be written.
    pub fn apply(&mut self, key: TaskKey, event: &Event, chance: f64) -> Result<(), IllegalMove> {
        let row = self.tasks.get_mut(&key).ok_or(IllegalMove::NoSuchTask(key))?;
        let decision = decide(&row.after, event, self.now, chance)?;
        let from = row.after.state;
        row.after = decision.task;
        let (to, attempt) = (row.after.state, row.after.attempt);
        let hook = row.after.policy.hook;
        let parent = row.after.parent.filter(|_| row.after.policy.max_parallel.is_some());
        let parent = parent.map(|ordinal| TaskKey { ordinal, ..key });
        if from != to {
            self.moves.push(Move::Task { task: key, attempt, from, to, on: event.kind() });
        }
        if let Some(ending) = decision.ended {
            self.ended.insert(key, ending);
            self.unheard.push(key);
            if let Some(parent) = parent {
                *self.places.entry(parent).or_default() += 1;
            }
            // Whoever was to be told may not hear it; the run ended as it ended.
            let counted = if hook && ending == Ending::Failed { Ending::Skipped } else { ending };
            self.apply_run(key.run, RunEvent::TaskEnded(counted))?;
        }
        if let Event::Expand { items, .. } = event {
            self.apply_run(key.run, RunEvent::Grow { of: key.ordinal, items: *items })?;
        }
        Ok(())
    }

    /// Something happens to a run; it waits until the run's row is here.
    pub fn apply_run(&mut self, id: RunId, event: RunEvent) -> Result<(), IllegalMove> {
        let Some(row) = self.runs.get_mut(&id) else {
            self.waiting.push((id, event));
            return Ok(());
        };
        let decision = decide_run(&row.after, event)?;
        let (from, first) = (row.after.state, row.after.tasks);
        row.after = decision.run;
        let to = row.after.state;
        if from != to {
            self.moves.push(Move::Run { run: id, from, to, on: event.kind() });
        }
        self.opened.extend(decision.opens_tasks.then_some(id));
        self.cancelled.extend(decision.cancels_tasks.then_some(id));
        self.left.extend(decision.frees_place.then_some(id));
        match event {
            RunEvent::Grow { of, items } => self.bear(TaskKey { run: id, ordinal: of }, first, items),
            RunEvent::Admit | RunEvent::TaskEnded(_) | RunEvent::Cancel | RunEvent::Resume { .. } => Ok(()),
        }
    }

    /// What must be loaded next; nothing once every consequence is drawn. Each want is told once.
    pub fn wants(&mut self) -> Option<Want> {
        if !self.waiting.is_empty() {
            let mut runs: Vec<RunId> = self.waiting.iter().map(|(run, _)| *run).collect();
            runs.dedup();
            return Some(Want::Runs(runs));
        }
        let take = std::mem::take::<Vec<RunId>>;
        // Cancelled runs first: their tasks must not hear what would end them otherwise.
        if !self.cancelled.is_empty() {
            Some(Want::Unfinished(take(&mut self.cancelled)))
        } else if !self.unheard.is_empty() {
            Some(Want::Readers(std::mem::take(&mut self.unheard)))
        } else if !self.places.is_empty() {
            Some(Want::Items(std::mem::take(&mut self.places).into_iter().collect()))
        } else if !self.left.is_empty() {
            Some(Want::Successors(take(&mut self.left)))
        } else if !self.opened.is_empty() {
            Some(Want::Roots(take(&mut self.opened)))
        } else {
            None
        }
    }

    /// What to write and to publish. Only after [`Work::wants`] has nothing more to ask.
    pub fn finish(self) -> Settled {
        let (born, tasks): (Vec<_>, Vec<_>) =
            self.tasks.into_values().partition(|row| self.born.contains(&row.after.key));
        let tasks: Vec<_> = tasks.into_iter().filter(|row| row.before != row.after).collect();
        let offered =
            |row: &&Change<TaskView>| row.after.state == TaskState::Ready && row.before.ticket() != row.after.ticket();
        Settled {
            tickets: tasks.iter().chain(&born).filter(offered).map(|row| row.after.ticket()).collect(),
            born: born.into_iter().map(|row| row.after).collect(),
            tasks,
            runs: self.runs.into_values().filter(|row| row.before != row.after).collect(),
            moves: self.moves,
        }
    }
}

//! The smallest store: rows in maps, `dag`'s decisions, nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tidemill_dag::{
    approval::{self, Answer, Question, Verdict},
    id::{Ordinal, RunId, TaskKey, Ticket, WorkerId},
    invariants::{AnswerRow, Lease, LimitRow, RunRow, World},
    limits::{Gate, Room},
    spec::OnOverlap,
    state::{
        Arrival, Event, Holder, IllegalMove, Move, RunEvent, RunState, RunView, TaskState, TaskView, Want, Work,
        arrive, hold_back, may_start, resets,
    },
    time::{Chance, Clock, Timestamp},
};

use super::{
    door::{Broken, Door, Heard, LEASE_SECONDS, Next, Order, Reply, Said, question},
    pipelines::{POOLS, Pipeline},
    wire::Wire,
};

pub struct Memory {
    wire: Arc<Wire>,
    pipelines: Vec<Pipeline>,
    /// Who reads a task, by pipeline and ordinal.
    readers: Vec<Vec<Vec<Ordinal>>>,
    tasks: BTreeMap<TaskKey, TaskView>,
    runs: BTreeMap<RunId, Run>,
    offered: BTreeMap<TaskKey, Timestamp>,
    /// Ready tasks without a ticket: a limit of theirs is full.
    standby: BTreeSet<Ticket>,
    questions: BTreeMap<Ticket, (Question, Vec<Answer>)>,
    data_sets: BTreeSet<Ticket>,
    audit: Vec<Move>,
}

struct Run {
    view: RunView,
    pipeline: usize,
    key: Option<String>,
}

/// A ready task whose ticket is older than this is offered again.
const OFFER_AGAIN: Duration = Duration::from_secs(3);

fn broken(refused: IllegalMove) -> Broken {
    format!("rows that contradict each other: {refused}")
}

impl Memory {
    pub fn new(pipelines: Vec<Pipeline>, wire: Arc<Wire>) -> Self {
        let readers = pipelines.iter().map(readers_of).collect();
        Self {
            wire,
            pipelines,
            readers,
            tasks: BTreeMap::new(),
            runs: BTreeMap::new(),
            offered: BTreeMap::new(),
            standby: BTreeSet::new(),
            questions: BTreeMap::new(),
            data_sets: BTreeSet::new(),
            audit: Vec::new(),
        }
    }

    fn tasks_of(&self, run: RunId) -> impl Iterator<Item = &TaskView> {
        let key = |ordinal| TaskKey { run, ordinal: Ordinal(ordinal) };
        self.tasks.range(key(0)..=key(u32::MAX)).map(|(_, task)| task)
    }

    fn begin(&self, tasks: &[TaskKey]) -> Work {
        let mut work = Work::new(self.wire.now());
        work.give_tasks(tasks.iter().filter_map(|key| self.tasks.get(key).cloned()));
        work
    }

    fn lease_until(&self) -> Timestamp {
        self.wire.now().after(Duration::from_secs(LEASE_SECONDS))
    }

    /// Answers every want.
    fn settle(&self, work: &mut Work) -> Result<(), Broken> {
        while let Some(want) = work.wants() {
            let answered = match want {
                Want::Runs(runs) => work.give_runs(runs.iter().map(|run| self.runs[run].view)),
                Want::Readers(ended) => work.give_readers(ended.iter().flat_map(|key| self.readers(*key))),
                Want::Roots(runs) => {
                    let root = |task: &&TaskView| task.state == TaskState::Blocked && task.upstream.pending == 0;
                    work.give_roots(runs.iter().flat_map(|run| self.tasks_of(*run).filter(root).cloned()))
                }
                Want::Unfinished(runs) => {
                    let unfinished = |task: &&TaskView| !task.state.is_finished();
                    work.give_unfinished(runs.iter().flat_map(|run| self.tasks_of(*run).filter(unfinished).cloned()))
                }
                Want::Items(places) => places.into_iter().try_for_each(|(parent, places)| {
                    let held =
                        |task: &&TaskView| task.parent == Some(parent.ordinal) && task.state == TaskState::Blocked;
                    work.give_items(self.tasks_of(parent.run).filter(held).cloned(), places).map(drop)
                }),
                Want::Successors(runs) => {
                    let pipelines: BTreeSet<usize> = runs.iter().map(|run| self.runs[run].pipeline).collect();
                    pipelines.into_iter().try_for_each(|pipeline| self.admit(work, pipeline))
                }
            };
            answered.map_err(broken)?;
        }
        Ok(())
    }

    fn readers(&self, of: TaskKey) -> impl Iterator<Item = (TaskKey, TaskView)> {
        let pipeline = self.runs[&of.run].pipeline;
        let parent = self.tasks.get(&of).and_then(|task| task.parent);
        let readers = self.readers[pipeline].get(of.ordinal.0 as usize).map_or(&[][..], Vec::as_slice);
        parent
            .into_iter()
            .chain(readers.iter().copied())
            .map(move |ordinal| (of, self.tasks[&TaskKey { ordinal, ..of }].clone()))
    }

    /// The runs of a pipeline in this state, as far as this work has come, oldest first.
    fn in_state(&self, work: &Work, pipeline: usize, state: RunState) -> Vec<RunView> {
        let now = |run: &Run| work.run(run.view.id).copied().unwrap_or(run.view);
        self.runs.values().filter(|run| run.pipeline == pipeline).map(now).filter(|run| run.state == state).collect()
    }

    fn admit(&self, work: &mut Work, pipeline: usize) -> Result<(), IllegalMove> {
        let running = u32::try_from(self.in_state(work, pipeline, RunState::Running).len()).unwrap_or(u32::MAX);
        let places = may_start(&self.pipelines[pipeline].concurrency, running, false);
        for run in self.in_state(work, pipeline, RunState::Queued).into_iter().take(places as usize) {
            work.give_runs([run])?;
            work.apply_run(run.id, RunEvent::Admit)?;
        }
        Ok(())
    }

    /// Writes what was decided, guarded as a database would, and sends the tickets.
    fn commit(&mut self, work: Work) -> Result<(), Broken> {
        let settled = work.finish();
        for row in settled.born {
            if self.tasks.insert(row.key, row).is_some() {
                return Err("an item took the place of another task".to_owned());
            }
        }
        for change in settled.tasks {
            let row = self.tasks.get_mut(&change.after.key).ok_or("a task row went missing")?;
            if (row.state, row.attempt) != (change.before.state, change.before.attempt) {
                return Err(format!("{} was changed by somebody else", row.key));
            }
            *row = change.after;
        }
        for change in settled.runs {
            self.runs.get_mut(&change.after.id).ok_or("a run row went missing")?.view = change.after;
        }
        self.audit.extend(settled.moves);
        for ticket in settled.tickets {
            if self.gates(ticket.task).is_empty() {
                self.offer(ticket);
            } else {
                self.standby.insert(ticket);
            }
        }
        self.take_turns();
        Ok(())
    }

    fn offer(&mut self, ticket: Ticket) {
        self.offered.insert(ticket.task, self.wire.now());
        self.wire.offer(ticket);
    }

    /// The limits of a task, and how many slots it takes of each. An item has those of its task.
    fn gates(&self, key: TaskKey) -> Vec<(Gate, u32)> {
        let pipeline = &self.pipelines[self.runs[&key.run].pipeline];
        let planned = self.tasks[&key].parent.unwrap_or(key.ordinal);
        let pool = pipeline.tasks[planned.0 as usize].pool;
        let pool = pool.map(|(pool, slots)| (Gate::Pool(POOLS[pool].0.to_owned()), slots));
        let lane = pipeline.concurrency.max_tasks.map(|_| (Gate::Pipeline(pipeline.name.clone()), 1));
        pool.into_iter().chain(lane).collect()
    }

    fn size(&self, gate: &Gate) -> Option<u32> {
        match gate {
            Gate::Pool(name) => POOLS.iter().find(|(pool, _)| pool == name).map(|(_, slots)| *slots),
            Gate::Pipeline(name) => self.pipelines.iter().find(|it| it.name == *name)?.concurrency.max_tasks,
            Gate::Tenant(_) => None,
        }
    }

    /// Every limit and who counts against it.
    fn rooms(&self, counts: impl Fn(&TaskView) -> bool) -> BTreeMap<Gate, Room> {
        let mut rooms: BTreeMap<Gate, Room> = BTreeMap::new();
        for task in self.tasks.values() {
            for (gate, slots) in self.gates(task.key) {
                let size = self.size(&gate);
                let room = rooms.entry(gate).or_insert(Room { size, held: 0 });
                room.held += if counts(task) { slots } else { 0 };
            }
        }
        rooms
    }

    /// Lets in whoever finds room, oldest first; what runs and what was let in before counts.
    fn take_turns(&mut self) {
        let current = |ticket: &Ticket| {
            self.tasks.get(&ticket.task).is_some_and(|row| row.state == TaskState::Ready && row.ticket() == *ticket)
        };
        self.standby = self.standby.iter().filter(|ticket| current(ticket)).copied().collect();
        if self.standby.is_empty() {
            return;
        }
        let mut rooms = self.rooms(|task| match task.state {
            TaskState::Running => true,
            TaskState::Ready => !self.standby.contains(&task.ticket()),
            _ => false,
        });
        for ticket in self.standby.clone() {
            if take_all(&mut rooms, &self.gates(ticket.task)) {
                self.standby.remove(&ticket);
                self.offer(ticket);
            }
        }
    }

    fn limits(&self) -> Vec<LimitRow> {
        let mut held: BTreeMap<Gate, Vec<(Ticket, u32)>> = BTreeMap::new();
        for task in self.tasks.values().filter(|task| task.state == TaskState::Running) {
            for (gate, slots) in self.gates(task.key) {
                held.entry(gate).or_default().push((task.ticket(), slots));
            }
        }
        held.into_iter().map(|(gate, held)| LimitRow { name: gate.text(), size: self.size(&gate), held }).collect()
    }

    /// Applies one event to each of these tasks and commits; those that refuse are left alone.
    fn each(&mut self, tasks: &[TaskKey], event: impl Fn(&TaskView) -> Event) -> Result<Vec<TaskKey>, Broken> {
        let mut work = self.begin(tasks);
        let mut moved = Vec::new();
        for key in tasks {
            let Some(event) = work.task(*key).map(&event) else { continue };
            match work.apply(*key, &event, self.wire.draw()) {
                Ok(()) => moved.push(*key),
                Err(IllegalMove::Run { .. }) => return Err(format!("{key} is at work in a run that is not")),
                Err(_) => {}
            }
        }
        self.settle(&mut work)?;
        self.commit(work)?;
        Ok(moved)
    }

    fn keys(&self, wanted: impl Fn(&TaskView) -> bool) -> Vec<TaskKey> {
        self.tasks.values().filter(|task| wanted(task)).map(|task| task.key).collect()
    }

    /// Claims behind a ticket, if it is still good and every limit has room; else it waits for that.
    fn claim_one(
        &mut self,
        work: &mut Work,
        rooms: &mut BTreeMap<Gate, Room>,
        ticket: Ticket,
        worker: &WorkerId,
    ) -> bool {
        let good = work.task(ticket.task).is_some_and(|row| row.state == TaskState::Ready && row.ticket() == ticket);
        if good && !take_all(rooms, &self.gates(ticket.task)) {
            self.standby.insert(ticket);
            return false;
        }
        let by = Holder { attempt: ticket.attempt, owner: worker.clone() };
        work.apply(ticket.task, &Event::Start { by, lease_until: self.lease_until() }, 0.0).is_ok()
    }

    /// The one task that this work made ready, claimed for the same worker.
    fn run_next(&self, work: &mut Work, of: TaskKey, owner: &WorkerId) -> Option<Ticket> {
        let mut ready = self
            .readers(of)
            .filter_map(|(_, reader)| work.task(reader.key))
            .filter(|task| task.state == TaskState::Ready)
            .map(TaskView::ticket);
        let (ticket, None) = (ready.next()?, ready.next()) else { return None };
        drop(ready);
        if !self.gates(ticket.task).is_empty() {
            return None;
        }
        let by = Holder { attempt: ticket.attempt, owner: owner.clone() };
        work.apply(ticket.task, &Event::Start { by, lease_until: self.lease_until() }, 0.0).ok()?;
        Some(ticket)
    }
}

/// Takes slots of every limit, or of none.
fn take_all(rooms: &mut BTreeMap<Gate, Room>, gates: &[(Gate, u32)]) -> bool {
    let fits = gates.iter().all(|(gate, slots)| rooms.get(gate).is_some_and(|room| *slots <= room.free()));
    if fits {
        for (gate, slots) in gates {
            if let Some(room) = rooms.get_mut(gate) {
                room.take(*slots);
            }
        }
    }
    fits
}

fn answer_row(ticket: Ticket, question: &Question, given: &[Answer]) -> AnswerRow {
    let count = |yes| u32::try_from(given.iter().filter(|it| it.approve == yes).count()).unwrap_or(u32::MAX);
    AnswerRow { ticket, required: question.required, approved: count(true), rejected: count(false) }
}

fn readers_of(pipeline: &Pipeline) -> Vec<Vec<Ordinal>> {
    let mut readers = vec![Vec::new(); pipeline.tasks.len()];
    for (reader, task) in (0_u32..).zip(&pipeline.tasks) {
        task.needs.iter().for_each(|before| readers[before.0 as usize].push(Ordinal(reader)));
    }
    readers
}

impl Door for Memory {
    async fn create(&mut self, order: &Order) -> Result<RunId, Broken> {
        let known = |run: &&Run| order.key.is_some() && run.pipeline == order.pipeline && run.key == order.key;
        if let Some(run) = self.runs.values().find(known) {
            return Ok(run.view.id);
        }
        let mut work = self.begin(&[]);
        let count = |state| u32::try_from(self.in_state(&work, order.pipeline, state).len()).unwrap_or(u32::MAX);
        let pipeline = &self.pipelines[order.pipeline];
        let arrival = arrive(&pipeline.concurrency, count(RunState::Running), count(RunState::Queued), false);
        let id = RunId::from_parts(self.wire.now(), self.wire.bits());
        let size = |n: usize| u32::try_from(n).expect("a small plan");
        let view = RunView::first(id, size(pipeline.tasks.len()));
        for (ordinal, task) in (0..).zip(&pipeline.tasks) {
            let key = TaskKey { run: id, ordinal: Ordinal(ordinal) };
            self.tasks.insert(key, TaskView::first(key, size(task.needs.len()), task.policy));
        }
        self.runs.insert(id, Run { view, pipeline: order.pipeline, key: order.key.clone() });
        let replaced = if let Arrival::Replace(count) = arrival { count as usize } else { 0 };
        for oldest in self.in_state(&work, order.pipeline, RunState::Running).into_iter().take(replaced) {
            work.give_runs([oldest]).map_err(broken)?;
            work.apply_run(oldest.id, RunEvent::Cancel).map_err(broken)?;
        }
        work.give_runs([view]).map_err(broken)?;
        match arrival {
            Arrival::Start | Arrival::Replace(_) => work.apply_run(id, RunEvent::Admit).map_err(broken)?,
            Arrival::Skip => work.apply_run(id, RunEvent::Cancel).map_err(broken)?,
            Arrival::Queue => {}
        }
        self.settle(&mut work)?;
        self.commit(work)?;
        Ok(id)
    }

    async fn claim(&mut self, tickets: &[Ticket], worker: &WorkerId) -> Result<Vec<Ticket>, Broken> {
        let keys: Vec<TaskKey> = tickets.iter().map(|ticket| ticket.task).collect();
        let mut work = self.begin(&keys);
        let mut rooms = self.rooms(|task| task.state == TaskState::Running);
        let mut claimed = Vec::new();
        for ticket in tickets {
            if self.claim_one(&mut work, &mut rooms, *ticket, worker) {
                claimed.push(*ticket);
            }
        }
        self.commit(work)?;
        Ok(claimed)
    }

    async fn heartbeat(&mut self, worker: &WorkerId) -> Result<Vec<Ticket>, Broken> {
        let mine = self.keys(|task| task.owner.as_ref() == Some(worker));
        let lease_until = self.lease_until();
        let kept = self.each(&mine, |task| Event::Beat {
            by: Holder { attempt: task.attempt, owner: worker.clone() },
            lease_until,
        })?;
        Ok(kept.iter().map(|key| self.tasks[key].ticket()).collect())
    }

    async fn complete(&mut self, ticket: Ticket, worker: &WorkerId, said: Said, next: Option<Next>) -> Reply {
        let by = Holder { attempt: ticket.attempt, owner: worker.clone() };
        let event = match said {
            Said::Succeeded => Event::Succeed(by),
            Said::Failed { retryable } => Event::Fail { by, retryable },
            Said::Parked { until } => Event::Park { by, until },
            Said::Skipped => Event::Skip(by),
            Said::Expanded { items } => Event::Expand { by, items },
            Said::Asked { until, fate } => {
                let question = question(until, fate);
                Event::Ask { by, until, on_expiry: question.on_expiry }
            }
            Said::HandedBack => Event::Release(by),
        };
        let at_hand = next.and_then(|next| next.at_hand);
        let keys: Vec<TaskKey> = at_hand.into_iter().chain([ticket]).map(|ticket| ticket.task).collect();
        let mut work = self.begin(&keys);
        match work.apply(ticket.task, &event, self.wire.draw()) {
            Ok(()) => {}
            Err(refused @ IllegalMove::Run { .. }) => return Err(broken(refused)),
            Err(_) => return Ok(Heard { accepted: false, next: None }),
        }
        self.settle(&mut work)?;
        let heir = next.and_then(|_| self.run_next(&mut work, ticket.task, worker));
        let next = match (heir, at_hand) {
            (None, Some(at_hand)) => {
                let mut rooms = self.rooms(|task| task.state == TaskState::Running);
                self.claim_one(&mut work, &mut rooms, at_hand, worker).then_some(at_hand)
            }
            (heir, _) => heir,
        };
        self.commit(work)?;
        match said {
            Said::Succeeded => drop(self.data_sets.insert(ticket)),
            Said::Asked { until, fate } => drop(self.questions.insert(ticket, (question(until, fate), Vec::new()))),
            _ => {}
        }
        Ok(Heard { accepted: true, next })
    }

    async fn cancel(&mut self, run: RunId) -> Result<bool, Broken> {
        let mut work = self.begin(&[]);
        work.give_runs([self.runs[&run].view]).map_err(broken)?;
        if work.apply_run(run, RunEvent::Cancel).is_err() {
            return Ok(false);
        }
        self.settle(&mut work)?;
        self.commit(work)?;
        Ok(true)
    }

    async fn resume(&mut self, run: RunId) -> Result<bool, Broken> {
        let Run { view, pipeline, .. } = self.runs[&run];
        let mut needs: Vec<Vec<Ordinal>> =
            self.pipelines[pipeline].tasks.iter().map(|task| task.needs.clone()).collect();
        let rows: Vec<TaskView> = self.tasks_of(run).cloned().collect();
        needs.resize(rows.len(), Vec::new());
        for row in &rows {
            if let Some(parent) = row.parent {
                needs[parent.0 as usize].push(row.key.ordinal);
            }
        }
        let states: Vec<TaskState> = rows.iter().map(|task| task.state).collect();
        let mut again = resets(&states, &needs);
        hold_back(&mut again, &rows);
        let keys: Vec<TaskKey> = again.iter().map(|reset| TaskKey { run, ordinal: reset.ordinal }).collect();
        let mut work = self.begin(&keys);
        work.give_runs([view]).map_err(broken)?;
        let tasks_left = u32::try_from(again.len()).map_err(|error| error.to_string())?;
        if work.apply_run(run, RunEvent::Resume { tasks_left }).is_err() {
            return Ok(false);
        }
        for (key, reset) in keys.iter().zip(&again) {
            work.apply(*key, &Event::Resume(reset.upstream), 0.0).map_err(broken)?;
        }
        self.admit(&mut work, pipeline).map_err(broken)?;
        self.settle(&mut work)?;
        self.commit(work)?;
        Ok(true)
    }

    async fn sweep(&mut self) -> Result<(), Broken> {
        let now = self.wire.now();
        let over = self.keys(|task| task.lease_until.is_some_and(|until| until <= now));
        self.each(&over, |_| Event::LeaseOver)?;
        let due = self.keys(|task| task.wake_at.is_some_and(|until| until <= now));
        self.each(&due, |_| Event::Due)?;
        let old = |key: &TaskKey| self.offered.get(key).is_none_or(|at| now.since(*at) >= OFFER_AGAIN);
        let lost = |task: &TaskView| {
            task.state == TaskState::Ready && old(&task.key) && !self.standby.contains(&task.ticket())
        };
        for key in self.keys(lost) {
            self.offer(self.tasks[&key].ticket());
        }
        self.take_turns();
        Ok(())
    }

    async fn owner_gone(&mut self, worker: &WorkerId) -> Result<(), Broken> {
        let mine = self.keys(|task| task.owner.as_ref() == Some(worker));
        self.each(&mine, |_| Event::OwnerGone).map(drop)
    }

    async fn answer(&mut self, of: Ticket, answer: &Answer) -> Result<bool, Broken> {
        let now = self.wire.now();
        let open = self.tasks.get(&of.task).is_some_and(|row| row.asks.is_some() && row.ticket() == of);
        let Some((question, before)) = self.questions.get_mut(&of).filter(|_| open) else { return Ok(false) };
        let Ok(verdict) = approval::answer(question, before, answer, now) else { return Ok(false) };
        before.push(answer.clone());
        let approved = match verdict {
            Verdict::Counted { .. } => return Ok(true),
            Verdict::Approved => true,
            Verdict::Rejected => false,
        };
        let by = Holder { attempt: of.attempt, owner: WorkerId(answer.who.clone()) };
        let moved = self.each(&[of.task], |_| Event::Answer { by: by.clone(), approved })?;
        if moved.is_empty() { Err(format!("{of} is open and takes no answer")) } else { Ok(true) }
    }

    async fn world(&mut self) -> Result<World, Broken> {
        let lease = |task: &TaskView| Some(Lease { ticket: task.ticket(), owner: task.owner.clone()? });
        let row = |run: &Run| {
            let pipeline = &self.pipelines[run.pipeline];
            let limited = pipeline.concurrency.on_overlap != OnOverlap::Allow;
            RunRow {
                view: run.view,
                pipeline: pipeline.name.clone(),
                max_runs: limited.then_some(pipeline.concurrency.max_runs),
                trigger_key: run.key.clone(),
                paused: false,
            }
        };
        Ok(World {
            runs: self.runs.values().map(row).collect(),
            tasks: self.tasks.values().cloned().collect(),
            audit: self.audit.clone(),
            leases: self.tasks.values().filter_map(lease).collect(),
            data_sets: self.data_sets.iter().copied().collect(),
            limits: self.limits(),
            answers: self
                .questions
                .iter()
                .map(|(ticket, (question, given))| answer_row(*ticket, question, given))
                .collect(),
            ..World::default()
        })
    }
}

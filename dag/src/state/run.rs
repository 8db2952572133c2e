//! A run's life, and its place beside other runs of its pipeline.

use crate::{
    id::{Ordinal, RunId},
    spec::{Concurrency, OnOverlap},
    state::{Ending, IllegalMove, RunState, named, table},
};

/// A run's row, as far as decisions need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunView {
    /// Which run.
    pub id: RunId,
    /// Where it is in its life.
    pub state: RunState,
    /// Tasks that it has.
    pub tasks: u32,
    /// Tasks that have not finished.
    pub tasks_left: u32,
    /// Tasks that failed by themselves.
    pub failed: u32,
}

impl RunView {
    /// The row a run begins with.
    pub const fn first(id: RunId, tasks: u32) -> Self {
        Self { id, state: RunState::Queued, tasks, tasks_left: tasks, failed: 0 }
    }
}

/// Something that happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// It got its place.
    Admit,
    /// One of its tasks ended.
    TaskEnded(Ending),
    /// One of its tasks knows its items, which are tasks too.
    Grow {
        /// Which one.
        of: Ordinal,
        /// How many items.
        items: u32,
    },
    /// Somebody or something stops it.
    Cancel,
    /// It goes on where it failed or was stopped.
    Resume {
        /// How many of its tasks run again (see [`super::resets`]).
        tasks_left: u32,
    },
}

/// A run event without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "as in `RunEvent`")]
pub enum RunEventKind {
    Admit,
    TaskEnded,
    Grow,
    Cancel,
    Resume,
}

named!(RunEventKind { Admit = "admit", TaskEnded = "task_ended", Grow = "grow", Cancel = "cancel", Resume = "resume" });

impl RunEvent {
    /// Which event, without its data.
    pub const fn kind(self) -> RunEventKind {
        match self {
            Self::Admit => RunEventKind::Admit,
            Self::TaskEnded(_) => RunEventKind::TaskEnded,
            Self::Grow { .. } => RunEventKind::Grow,
            Self::Cancel => RunEventKind::Cancel,
            Self::Resume { .. } => RunEventKind::Resume,
        }
    }
}

/// What to write, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunDecision {
    /// The row afterwards. If its state differs from before, one audit row goes with it.
    pub run: RunView,
    /// Its tasks with nothing unfinished before them take [`super::Event::Open`].
    pub opens_tasks: bool,
    /// Its unfinished tasks take [`super::Event::Cancel`].
    pub cancels_tasks: bool,
    /// It gave up its place: queued runs of its pipeline may start (see [`may_start`]).
    pub frees_place: bool,
}

/// Moves a run, or says why not.
pub fn decide_run(run: &RunView, event: RunEvent) -> Result<RunDecision, IllegalMove> {
    let kind = event.kind();
    let targets = table::run_targets(run.state, kind);
    if targets.is_empty() {
        return Err(IllegalMove::Run { run: run.id, state: run.state, event: kind });
    }
    let next = match event {
        RunEvent::Admit => ended_if_empty(RunView { state: RunState::Running, ..*run }),
        RunEvent::TaskEnded(ending) => ended_if_empty(RunView {
            tasks_left: run.tasks_left.saturating_sub(1),
            failed: run.failed + u32::from(ending == Ending::Failed),
            ..*run
        }),
        RunEvent::Grow { items, .. } => {
            RunView { tasks: run.tasks.saturating_add(items), tasks_left: run.tasks_left.saturating_add(items), ..*run }
        }
        RunEvent::Cancel => RunView { state: RunState::Cancelled, tasks_left: 0, ..*run },
        RunEvent::Resume { tasks_left } => RunView { state: RunState::Queued, tasks_left, failed: 0, ..*run },
    };
    debug_assert!(targets.contains(&next.state), "{:?} {kind} {:?}", run.state, next.state);
    Ok(RunDecision {
        run: next,
        opens_tasks: run.state == RunState::Queued && next.state == RunState::Running,
        cancels_tasks: kind == RunEventKind::Cancel,
        frees_place: run.state == RunState::Running && next.state.is_finished(),
    })
}

fn ended_if_empty(run: RunView) -> RunView {
    let state = match (run.tasks_left, run.failed) {
        (0, 0) => RunState::Succeeded,
        (0, _) => RunState::Failed,
        _ => run.state,
    };
    RunView { state, ..run }
}

/// What becomes of a new run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It takes [`RunEvent::Admit`] at once.
    Start,
    /// It stays queued.
    Queue,
    /// It takes [`RunEvent::Cancel`] at once.
    Skip,
    /// The oldest so many running ones take [`RunEvent::Cancel`]; then it takes [`RunEvent::Admit`].
    Replace(u32),
}

/// What becomes of a new run, when so many of its pipeline are running and queued before it. While the pipeline is
/// paused it waits, whatever `on_overlap` says.
pub fn arrive(concurrency: &Concurrency, running: u32, queued: u32, paused: bool) -> Arrival {
    if paused {
        return Arrival::Queue;
    }
    let places = concurrency.max_runs.max(1);
    match concurrency.on_overlap {
        OnOverlap::Allow => Arrival::Start,
        OnOverlap::Queue if running < places && queued == 0 => Arrival::Start,
        OnOverlap::Queue => Arrival::Queue,
        OnOverlap::Skip | OnOverlap::CancelRunning if running < places => Arrival::Start,
        OnOverlap::Skip => Arrival::Skip,
        OnOverlap::CancelRunning => Arrival::Replace(running + 1 - places),
    }
}

/// How many queued runs, oldest first, take [`RunEvent::Admit`] while so many are running. Asked when
/// a place becomes free, and after a resume, which queues a run whatever its `on_overlap` says. None while the pipeline
/// is paused.
pub fn may_start(concurrency: &Concurrency, running: u32, paused: bool) -> u32 {
    if paused {
        return 0;
    }
    match concurrency.on_overlap {
        OnOverlap::Allow => u32::MAX,
        OnOverlap::Queue | OnOverlap::Skip | OnOverlap::CancelRunning => {
            concurrency.max_runs.max(1).saturating_sub(running)
        }
    }
}

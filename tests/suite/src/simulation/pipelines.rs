//! Random pipelines, and what must come of them whatever goes wrong on the way.

use std::collections::BTreeMap;

use tidemill_dag::{
    id::{Attempt, Ordinal},
    spec::{Backoff, Concurrency, OnOverlap, RunIf},
    state::{Policy, Taken, TaskState},
    time::Span,
};

use super::dice::Dice;

/// What a task does when it runs. All of it follows from the attempt number, so that any worker at
/// any time does the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    Succeeds,
    /// Fails for good at the first try.
    Breaks,
    /// Fails at every try.
    NeverWorks,
    /// Fails up to this attempt; there are enough retries.
    WorksAfter(u32),
    /// Sees nothing up to this attempt.
    WaitsUntil(u32),
    /// Its `when` is false.
    DoesNotApply,
    /// Asks people, who only ever give this answer; silence means the same.
    Asks(Fate),
}

/// What becomes of a question, whoever answers it and however often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Approved,
    Rejected,
    /// Nobody answers, and silence skips it.
    Unheard,
}

/// The pools of every world: name and slots.
pub const POOLS: [(&str, u32); 2] = [("narrow", 1), ("wide", 3)];

#[derive(Debug, Clone)]
pub struct Task {
    pub needs: Vec<Ordinal>,
    pub policy: Policy,
    pub script: Script,
    /// What each item of its list does; without a list it does its work itself.
    pub items: Vec<Script>,
    /// The pool whose slots it takes, and how many.
    pub pool: Option<(usize, u32)>,
    /// At most this long, in milliseconds.
    pub longest: u64,
}

#[derive(Debug, Clone)]
pub struct Pipeline {
    pub name: String,
    pub concurrency: Concurrency,
    pub tasks: Vec<Task>,
}

/// One to three pipelines, small ones more often than large ones; with lists in some of their tasks, or without any.
pub fn draw(dice: &mut Dice, lists: bool) -> Vec<Pipeline> {
    let count = 1 + dice.below(3);
    let mut pipelines: Vec<Pipeline> = (0..count).map(|n| pipeline(format!("p{n}"), dice)).collect();
    if lists {
        pipelines.iter_mut().flat_map(|pipeline| &mut pipeline.tasks).for_each(|task| draw_items(task, dice));
        pipelines.iter_mut().for_each(|pipeline| draw_hook(pipeline, dice));
    }
    pipelines
}

/// Who is told how the run ended, and may not be there to hear it.
fn draw_hook(pipeline: &mut Pipeline, dice: &mut Dice) {
    if dice.strikes(400) {
        let needs = (0..).take(pipeline.tasks.len()).map(Ordinal).collect();
        let run_if = dice.pick(&[RunIf::AnyFailed, RunIf::NoneFailed]);
        let policy = Policy { run_if, hook: true, retries: 1, ..Policy::default() };
        let script = dice.pick(&[Script::Succeeds, Script::WorksAfter(1), Script::NeverWorks]);
        pipeline.tasks.push(Task { needs, policy, script, items: Vec::new(), pool: None, longest: 500 });
    }
}

/// Puts some tasks into pools, limits some pipelines' tasks, lets some tasks ask people, and takes some over as a re-run does. From dice of its own, so that
/// what else a world draws stays as it was.
pub fn limit(pipelines: &mut [Pipeline], dice: &mut Dice) {
    for pipeline in pipelines {
        pipeline.concurrency.max_tasks = dice.pick(&[None, None, Some(1), Some(3)]);
        for task in &mut pipeline.tasks {
            if dice.strikes(400) {
                let pool = dice.below(POOLS.len());
                let slots = if pool == 1 { dice.pick(&[1, 1, 2, 3]) } else { 1 };
                task.pool = Some((pool, slots));
            }
            if dice.strikes(60) {
                task.policy.taken = Some(dice.pick(&[Taken::Succeeded, Taken::Succeeded, Taken::Skipped]));
                task.items.clear();
            }
            if task.items.is_empty() && dice.strikes(150) {
                task.script = Script::Asks(dice.pick(&[Fate::Approved, Fate::Approved, Fate::Rejected, Fate::Unheard]));
            }
        }
    }
}

fn draw_items(task: &mut Task, dice: &mut Dice) {
    if !dice.strikes(300) {
        return;
    }
    let most = dice.pick(&[1, 4, 9]);
    let trouble = dice.pick(&[0, 0, 300]);
    let scripts =
        [Script::Breaks, Script::NeverWorks, Script::WorksAfter(1), Script::WaitsUntil(1), Script::DoesNotApply];
    let mut item = || if dice.strikes(trouble) { dice.pick(&scripts) } else { Script::Succeeds };
    task.items = (0..most).map(|_| item()).collect();
    task.policy.max_parallel = dice.pick(&[None, Some(1), Some(2), Some(5)]);
}

fn pipeline(name: String, dice: &mut Dice) -> Pipeline {
    let most = dice.pick(&[3, 6, 12, 30]);
    let size = 1 + dice.below(most);
    let density = dice.pick(&[80, 200, 500]);
    let overlap = [OnOverlap::Queue, OnOverlap::Queue, OnOverlap::Skip, OnOverlap::CancelRunning, OnOverlap::Allow];
    let concurrency =
        Concurrency { max_runs: dice.pick(&[1, 1, 2, 3]), on_overlap: dice.pick(&overlap), max_tasks: None };
    let kind = dice.pick(&[100, 300, 700]);
    let tasks = (0..size).map(|n| task(n, density, kind, dice)).collect();
    Pipeline { name, concurrency, tasks }
}

fn task(n: usize, density: u64, trouble: u64, dice: &mut Dice) -> Task {
    let before = |n: usize| u32::try_from(n).map(Ordinal).expect("a small plan");
    let mut needs: Vec<Ordinal> = (0..n).filter(|_| dice.strikes(density)).map(before).collect();
    if needs.is_empty() && n > 0 && dice.strikes(700) {
        needs.push(before(n - 1));
    }
    let k = u32::try_from(dice.between(1, 2)).unwrap_or(1);
    let scripts = [
        Script::Breaks,
        Script::NeverWorks,
        Script::WorksAfter(k),
        Script::WorksAfter(k),
        Script::WaitsUntil(k),
        Script::DoesNotApply,
    ];
    let script = if dice.strikes(trouble) { dice.pick(&scripts) } else { Script::Succeeds };
    let rules = [RunIf::AllDone, RunIf::AnyFailed, RunIf::AnySucceeded, RunIf::NoneFailed];
    let run_if = if dice.strikes(trouble) { dice.pick(&rules) } else { RunIf::AllSucceeded };
    let backoff = Backoff { initial: Span::seconds(1), max: Span::seconds(5), factor: 2.0 };
    Task {
        needs,
        policy: Policy { run_if, retries: 2, backoff, ..Policy::default() },
        script,
        items: Vec::new(),
        pool: None,
        longest: dice.pick(&[1, 500, 3_000, 9_000]),
    }
}

impl Script {
    /// How a task ends that does this, if it runs at all.
    const fn ends(self) -> TaskState {
        match self {
            Self::Succeeds | Self::WorksAfter(_) | Self::WaitsUntil(_) => TaskState::Succeeded,
            Self::Asks(Fate::Approved) => TaskState::Succeeded,
            Self::Breaks | Self::NeverWorks | Self::Asks(Fate::Rejected) => TaskState::Failed,
            Self::DoesNotApply | Self::Asks(Fate::Unheard) => TaskState::Skipped,
        }
    }

    /// Whether this attempt still falls short.
    pub const fn falls_short(self, attempt: Attempt) -> bool {
        match self {
            Self::WorksAfter(last) | Self::WaitsUntil(last) => attempt.0 <= last,
            Self::Succeeds | Self::Breaks | Self::NeverWorks | Self::DoesNotApply | Self::Asks(_) => false,
        }
    }
}

impl Pipeline {
    /// Where every task must stand in the end, from the definition alone.
    pub fn must_end(&self) -> Ends {
        let mut ends: Vec<TaskState> = Vec::new();
        let mut items = BTreeMap::new();
        for (task, ordinal) in self.tasks.iter().zip(0..) {
            if let Some(taken) = task.policy.taken {
                ends.push(match taken {
                    Taken::Succeeded => TaskState::Succeeded,
                    Taken::Skipped => TaskState::Skipped,
                });
                continue;
            }
            let before: Vec<TaskState> = task.needs.iter().map(|o| ends[o.0 as usize]).collect();
            let any = |wanted: &[TaskState]| before.iter().any(|state| wanted.contains(state));
            let trouble = any(&[TaskState::Failed, TaskState::UpstreamFailed]);
            let lets_go = match task.policy.run_if {
                RunIf::AllSucceeded => before.iter().all(|state| *state == TaskState::Succeeded),
                RunIf::AllDone => true,
                RunIf::AnyFailed => trouble,
                RunIf::AnySucceeded => any(&[TaskState::Succeeded]),
                RunIf::NoneFailed => !trouble,
            };
            ends.push(match (lets_go, trouble) {
                (true, _) if task.script.ends() == TaskState::Succeeded && !task.items.is_empty() => {
                    let mine: Vec<TaskState> = task.items.iter().map(|item| item.ends()).collect();
                    let failed = mine.contains(&TaskState::Failed);
                    items.insert(Ordinal(ordinal), mine);
                    if failed { TaskState::Failed } else { TaskState::Succeeded }
                }
                (true, _) => task.script.ends(),
                (false, true) if !task.policy.hook => TaskState::UpstreamFailed,
                (false, _) => TaskState::Skipped,
            });
        }
        Ends { tasks: ends, items }
    }
}

/// Where everything must stand in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    pub tasks: Vec<TaskState>,
    /// Items in order, by the task whose list they stand in.
    pub items: BTreeMap<Ordinal, Vec<TaskState>>,
}

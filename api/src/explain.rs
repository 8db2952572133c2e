//! What a run or a task waits for, since when, who has it, when it is looked at next, and what would unblock it.

use serde::Serialize;
use tidemill_dag::id::{RunId, TaskKey};
use tidemill_dag::limits::Gate;
use tidemill_dag::spec::OnExpiry;
use tidemill_dag::state::{RunState, TaskState};
use tidemill_dag::time::{Span, Timestamp};
use tidemill_store::{
    ApprovalFilter, ApprovalRecord, GateRecord, PipelineRecord, RunRecord, Store, StoreError, TaskRecord,
};
use utoipa::ToSchema;

/// In words, with the facts behind them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explained {
    /// The run or the task.
    pub subject: String,
    /// Its state.
    pub state: String,
    /// Whole sentences.
    pub sentences: Vec<String>,
    /// What would move it on, if anything has to be done.
    pub unblock: Option<String>,
    /// When somebody looks at it next.
    pub next_look: Option<String>,
    /// Who has it.
    pub owner: Option<String>,
    /// The tasks that keep a run from going on; for a task, the tasks it waits for.
    #[schema(no_recursion)]
    pub waits_for: Vec<Self>,
}

fn word<T: Serialize>(state: T) -> String {
    serde_json::to_value(state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A length of time as people say it.
pub fn ago(earlier: Timestamp, now: Timestamp) -> String {
    span(now.since(earlier))
}

fn span(length: std::time::Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..60 => Span::seconds(seconds).to_string(),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// What a look around a run found: who holds the slots that its tasks wait for, who is asked, whether its pipeline is paused.
#[derive(Debug, Clone, Default)]
pub struct Around {
    gates: Vec<GateRecord>,
    approvals: Vec<ApprovalRecord>,
    paused: Option<String>,
    /// The run that it does again.
    rerun_of: Option<RunId>,
}

/// Looks around a run.
///
/// # Errors
/// The state failed.
pub async fn around(store: &Store, run: &RunRecord, tasks: &[TaskRecord]) -> Result<Around, StoreError> {
    let mut found = Around { rerun_of: run.rerun_of, ..Around::default() };
    let mut gates: Vec<&Gate> = tasks.iter().filter_map(|task| task.standby.as_ref()).collect();
    gates.sort();
    gates.dedup();
    for gate in gates {
        found.gates.push(store.gate(gate).await?);
    }
    if tasks.iter().any(|task| task.asks.is_some()) {
        found.approvals = store.approvals(&ApprovalFilter { run: Some(run.id), ..ApprovalFilter::default() }).await?;
    }
    if run.state == RunState::Queued {
        let pipeline = store.pipelines().await?.into_iter().find(|pipeline| pipeline.name == run.pipeline);
        let why = |pipeline: PipelineRecord| {
            pipeline.paused_at?;
            Some(pipeline.paused_reason.map(|reason| format!(" ({reason})")).unwrap_or_default())
        };
        found.paused = pipeline.and_then(why);
    }
    Ok(found)
}

/// A run: what keeps it from its end.
pub fn run(run: &RunRecord, tasks: &[TaskRecord], around: &Around, now: Timestamp) -> Explained {
    let mut told = Explained {
        subject: run.id.to_string(),
        state: word(run.state),
        sentences: vec![accepted(run, now)],
        unblock: None,
        next_look: None,
        owner: None,
        waits_for: Vec::new(),
    };
    if let Some(late) = run.late_since.filter(|_| !run.state.is_finished()) {
        told.sentences.push(format!("It is late: it should have ended {} ago.", ago(late, now)));
    }
    if let Some(end) = run.deadline_at.filter(|_| !run.state.is_finished()) {
        told.sentences.push(format!("It is stopped in {} if it has not ended by then.", ago(now, end)));
    }
    let done = run.tasks_total - run.tasks_left;
    match run.state {
        RunState::Queued if around.paused.is_some() => {
            let why = around.paused.as_deref().unwrap_or_default();
            told.sentences.push(format!("It waits because its pipeline is paused{why}: no new runs of it start."));
            told.unblock = Some(format!("`tidemill unpause {}`", run.pipeline));
        }
        RunState::Queued => {
            told.sentences
                .push("It waits for its place: as many runs of this pipeline are running as `max_runs` allows.".into());
            told.unblock = Some("it starts by itself when one of them ends; or cancel one".into());
        }
        RunState::Running => {
            told.sentences.push(format!("{done} of {} tasks have finished.", run.tasks_total));
            told.waits_for = moving(tasks).map(|t| task(t, tasks, around, now)).collect();
            told.next_look = told.waits_for.iter().filter_map(|t| t.next_look.clone()).min();
        }
        RunState::Succeeded => told.sentences.push(ended(run, "It succeeded", now)),
        RunState::Failed => {
            told.sentences.push(ended(run, "It failed", now));
            told.waits_for =
                tasks.iter().filter(|t| t.state == TaskState::Failed).map(|t| task(t, tasks, around, now)).collect();
            told.unblock =
                Some(format!("mend the cause, then `tidemill resume {}`: what succeeded is not done again", run.id));
        }
        RunState::Cancelled => {
            told.sentences.push(ended(run, "It was cancelled", now));
            told.sentences.extend(run.reason.as_ref().map(|reason| format!("Reason: {reason}.")));
            told.unblock = Some(format!("`tidemill resume {}` goes on where it stopped", run.id));
        }
    }
    told
}

fn accepted(run: &RunRecord, now: Timestamp) -> String {
    let how = word(run.trigger);
    format!("A run of `{}`, accepted {} ago ({how}).", run.pipeline, ago(run.created_at, now))
}

fn ended(run: &RunRecord, how: &str, now: Timestamp) -> String {
    let took = run.started_at.zip(run.finished_at).map(|(s, e)| format!(" after {}", ago(s, e)));
    let when = run.finished_at.map(|at| format!(", {} ago", ago(at, now)));
    format!("{how}{}{}.", took.unwrap_or_default(), when.unwrap_or_default())
}

/// Tasks that something is happening to, or should be.
fn moving(tasks: &[TaskRecord]) -> impl Iterator<Item = &TaskRecord> {
    let works = |t: &&TaskRecord| matches!(t.state, TaskState::Ready | TaskState::Running | TaskState::Waiting);
    tasks.iter().filter(move |t| {
        works(t) || t.items.as_ref().is_some_and(|items| items.finished() < items.total && !t.state.is_finished())
    })
}

/// One task.
pub fn task(task: &TaskRecord, all: &[TaskRecord], around: &Around, now: Timestamp) -> Explained {
    let mut told = Explained {
        subject: task.name.clone(),
        state: word(task.state),
        sentences: Vec::new(),
        unblock: None,
        next_look: None,
        owner: task.owner.as_ref().map(ToString::to_string),
        waits_for: Vec::new(),
    };
    if let Some(items) = task.items.as_ref().filter(|_| !task.state.is_finished()) {
        let (done, total) = (items.finished(), items.total);
        told.sentences
            .push(format!("{done} of its {total} items have finished, {} failed.", items.of(TaskState::Failed)));
    }
    match task.state {
        TaskState::Blocked => blocked(task, (all, around), now, &mut told),
        TaskState::Ready if task.standby.is_some() => stands_by(task, around, now, &mut told),
        TaskState::Ready => ready(task, now, &mut told),
        TaskState::Running => running(task, now, &mut told),
        TaskState::Waiting if task.asks.is_some() => asks(task, around, now, &mut told),
        TaskState::Waiting => waiting(task, now, &mut told),
        TaskState::Succeeded => told.sentences.push(match around.rerun_of.filter(|_| task.started_at.is_none()) {
            Some(earlier) => format!("It was not done again: what it gave is that of {earlier}."),
            None => format!("It succeeded{}.", took(task)),
        }),
        TaskState::Failed => failed(task, &mut told),
        TaskState::Cancelled => told.sentences.push("It was cancelled with its run.".into()),
        TaskState::Skipped => {
            let why = task.reason.clone().unwrap_or_else(|| "its `run_if` did not fit".into());
            told.sentences.push(format!("It was skipped: {why}."));
        }
        TaskState::UpstreamFailed => {
            told.sentences.push("It did not run because a task before it failed.".into());
            told.unblock = Some(format!("mend that task, then `tidemill resume {}`", task.run));
        }
    }
    told
}

fn took(task: &TaskRecord) -> String {
    let length = task.started_at.zip(task.finished_at).map(|(s, e)| format!(" after {}", ago(s, e)));
    let attempts = if task.attempt.0 > 1 { format!(", at attempt {}", task.attempt.0) } else { String::new() };
    length.unwrap_or_default() + &attempts
}

fn blocked(task: &TaskRecord, (all, around): (&[TaskRecord], &Around), now: Timestamp, told: &mut Explained) {
    let tasks = if task.pending == 1 { "task" } else { "tasks" };
    told.sentences.push(format!("It waits for {} {tasks} before it.", task.pending));
    told.waits_for =
        moving(all).filter(|t| t.ordinal < task.ordinal).map(|t| self::task(t, all, around, now)).collect();
    told.next_look = told.waits_for.iter().filter_map(|t| t.next_look.clone()).min();
    told.unblock = Some("it becomes ready by itself when they end".into());
}

fn ready(task: &TaskRecord, now: Timestamp, told: &mut Explained) {
    let since = task.ready_at.map(|at| format!(" It is ready since {}.", ago(at, now))).unwrap_or_default();
    told.sentences.push(format!("It waits for a free worker of queue `{}`.{since}", task.queue));
    if task.crashes > 0 {
        told.sentences
            .push(format!("It lost its worker {} so far; after 5 times it is given up.", times(task.crashes)));
    }
    match task.offered_at {
        Some(at) => told.sentences.push(format!("It was last offered {} ago; a sweep offers it again.", ago(at, now))),
        None => told.sentences.push("It has not been offered yet; the next sweep does that.".into()),
    }
    told.unblock =
        Some(format!("a worker: `tidemill dev` runs one, and `tidemill resume {}` drives just this run", task.run));
}

/// Ready, but a limit has no slot: which one, who holds it, and what changes that.
fn stands_by(task: &TaskRecord, around: &Around, now: Timestamp, told: &mut Explained) {
    let Some(gate) = &task.standby else { return };
    let (what, name) = match gate {
        Gate::Pool(name) => (format!("pool `{name}`"), name),
        Gate::Pipeline(name) => (format!("pipeline `{name}` (`concurrency.max_tasks`)"), name),
        Gate::Tenant(name) => (format!("tenant `{name}`"), name),
    };
    let slots = if task.pool_slots > 1 && matches!(gate, Gate::Pool(_)) {
        format!("{} free slots", task.pool_slots)
    } else {
        "a free slot".to_owned()
    };
    let since = task.ready_at.map(|at| format!(" It is ready since {}.", ago(at, now))).unwrap_or_default();
    told.sentences.push(format!("It waits for {slots} of {what}.{since}"));
    let Some(found) = around.gates.iter().find(|found| found.gate == *gate) else { return };
    let held: u32 = found.holders.iter().map(|holder| holder.slots).sum();
    match (gate, found.size) {
        (Gate::Pool(_), None) => {
            told.sentences.push("There is no such pool.".into());
            told.unblock = Some(format!("`tidemill pools set {name} --slots N` makes it"));
            return;
        }
        (Gate::Pool(_), Some(size)) if task.pool_slots > size => {
            told.sentences.push(format!("The pool has {size} slots in all, fewer than the task wants."));
            told.unblock = Some(format!("enlarge it: `tidemill pools set {name} --slots {}`", task.pool_slots));
            return;
        }
        (_, Some(size)) => {
            told.sentences.push(format!("{held} of {size} are held, and {} tasks wait for one.", found.waiting));
        }
        (_, None) => {}
    }
    for holder in found.holders.iter().take(5) {
        told.sentences.push(format!(
            "`{}` of {} ({}) holds {} since {}, on worker {}.",
            holder.task,
            holder.run,
            holder.pipeline,
            holder.slots,
            ago(holder.since, now),
            holder.owner
        ));
    }
    told.unblock = Some("it starts by itself when one of them ends and it is its turn".into());
}

/// People are asked: which approval, who may answer, until when.
fn asks(task: &TaskRecord, around: &Around, now: Timestamp, told: &mut Explained) {
    let open = around.approvals.iter().find(|it| it.open && it.ordinal == task.ordinal);
    let Some(approval) = open else { return waiting(task, now, told) };
    let question = &approval.question;
    let id = approval.ticket();
    let who = if question.approvers.is_empty() { "anybody".to_owned() } else { question.approvers.join(" or ") };
    told.sentences.push(format!("It asks {who}: {}", question.message));
    let given: Vec<&str> =
        approval.answers.iter().filter(|it| it.answer.approve).map(|it| it.answer.who.as_str()).collect();
    if question.required > 1 || !given.is_empty() {
        let names = if given.is_empty() { "nobody yet".to_owned() } else { given.join(", ") };
        told.sentences.push(format!("{} different people must approve; so far: {names}.", question.required));
    }
    told.sentences
        .extend(question.excluded.as_ref().map(|name| format!("`{name}` started the run and must not answer.")));
    let left = if question.expires_at > now { format!("in {}", ago(now, question.expires_at)) } else { "now".into() };
    let then = match question.on_expiry {
        OnExpiry::Fail => "the task fails",
        OnExpiry::Skip => "the task is skipped",
        OnExpiry::Approve => "it counts as approved",
    };
    told.sentences.push(format!("It runs out {left} ({}); then {then}.", question.expires_at));
    told.next_look = Some(question.expires_at.to_string());
    told.unblock = Some(format!("`tidemill approve {id}` or `tidemill reject {id} --reason …`"));
}

fn running(task: &TaskRecord, now: Timestamp, told: &mut Explained) {
    let owner = told.owner.clone().unwrap_or_else(|| "a worker".into());
    let since = task.started_at.map(|at| format!(" for {}", ago(at, now))).unwrap_or_default();
    told.sentences.push(format!("Worker {owner} has it{since} (attempt {}).", task.attempt.0));
    if let Some(until) = task.lease_until {
        told.next_look = Some(until.to_string());
        if until > now {
            told.sentences
                .push(format!("Its lease holds for {} more and is renewed while the worker lives.", ago(now, until)));
        } else {
            told.sentences.push(format!(
                "Its lease ended {} ago: the next sweep gives the task to another worker.",
                ago(until, now)
            ));
            told.unblock = Some("any running process sweeps: `tidemill dev`, or `tidemill resume`".into());
        }
    }
}

fn waiting(task: &TaskRecord, now: Timestamp, told: &mut Explained) {
    if let Some(error) = &task.error {
        told.sentences.push(format!("Attempt {} failed ({}): {}", task.attempt.0, error.code, error.message));
    }
    let what =
        task.reason.clone().unwrap_or_else(|| if task.failures > 0 { "the next try" } else { "a moment" }.to_owned());
    if let Some(wake) = task.wake_at {
        told.next_look = Some(wake.to_string());
        let when = if wake > now { format!("in {}", ago(now, wake)) } else { format!("due for {}", ago(wake, now)) };
        told.sentences.push(format!("It waits for {what}; it is looked at next {when}."));
    } else {
        told.sentences.push(format!("It waits for {what}."));
    }
}

fn failed(task: &TaskRecord, told: &mut Explained) {
    match &task.error {
        Some(error) => {
            told.sentences.push(format!("It failed ({}): {}", error.code, error.message));
            told.unblock.clone_from(&error.help);
        }
        None => told.sentences.push("It failed.".into()),
    }
    if task.failures > 1 || task.crashes > 0 {
        told.sentences.push(format!("It failed {} and lost its worker {}.", times(task.failures), times(task.crashes)));
    }
}

fn times(n: u32) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

/// The key of a task, from its text or from `RUN.TASK`.
pub fn key(text: &str) -> Option<TaskKey> {
    text.parse().ok()
}

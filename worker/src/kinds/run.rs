//! `run`: another pipeline, once per run of this one (and per item). While it runs, the task is parked: its end wakes the task.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tidemill_dag::{
    id::RunId,
    params,
    spec::{Pipeline, RunPipeline},
    state::RunState,
    template::{self, Context, Interval, RunFacts},
    time::Timestamp,
};
use tidemill_store::{Bounds, NewRun, RunRecord, StoreError, TriggerKind};

use crate::{
    attempt::{Attempt, Done, facts_of},
    error::TaskError,
    plans::Loaded,
};

/// More pipelines than this do not start each other: one of them is started again by itself.
const MAX_DEPTH: u32 = 16;
/// The first and the longest pause between two looks at a run; usually its end comes first.
const LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

pub(super) async fn perform(attempt: &Attempt<'_>, run: &RunPipeline) -> Result<Done, TaskError> {
    let store = &attempt.site.wiring.store;
    let key = key(attempt);
    let Some(child) = store.run_of_key(&run.pipeline, &key).await? else {
        let child = start(attempt, run, key).await?;
        attempt.log.say(&format!("started {child}"));
        return if run.wait { Ok(wait(attempt, run, child)) } else { Done::result(json!({ "run": child })) };
    };
    if !run.wait {
        return Done::result(json!({ "run": child.id }));
    }
    match child.state {
        RunState::Queued | RunState::Running => still_running(attempt, run, &child).await,
        RunState::Succeeded => {
            let outputs = outputs(attempt, &child).await?;
            Done::result(json!({ "run": child.id, "state": child.state, "outputs": outputs }))
        }
        RunState::Failed | RunState::Cancelled => {
            // It ended before this task became ready: this run was resumed, and so is that one.
            let before = child.finished_at.is_some_and(|at| at < attempt.claimed.ready_at);
            if !before {
                let reason = child.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                return Err(TaskError::ChildEnded { run: child.id, state: child.state.name(), reason });
            }
            match store.resume_run(child.id).await {
                Ok(_) => attempt.log.say(&format!("resumed {}", child.id)),
                // Somebody else was faster.
                Err(StoreError::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(wait(attempt, run, child.id))
        }
    }
}

/// Names the run of this task or item, whatever the attempt.
fn key(attempt: &Attempt<'_>) -> String {
    let index = attempt.claimed.item.as_ref().map(|item| format!("/{}", item.index)).unwrap_or_default();
    format!("run/{}/{}{index}", attempt.claimed.run.id, attempt.planned.name)
}

async fn still_running(attempt: &Attempt<'_>, run: &RunPipeline, child: &RunRecord) -> Result<Done, TaskError> {
    if let Some(limit) = attempt.planned.task.timeout
        && attempt.now() >= attempt.claimed.ready_at.after(limit.0)
    {
        let reason = format!("`{}` waited for it no longer than {limit}", attempt.claimed.name);
        attempt.site.wiring.store.cancel_run(child.id, &reason).await?;
        return Err(TaskError::Timeout(limit.0));
    }
    Ok(wait(attempt, run, child.id))
}

/// Looks grow rarer with the age of the task.
fn wait(attempt: &Attempt<'_>, run: &RunPipeline, child: RunId) -> Done {
    let now = attempt.now();
    let pause = now.since(attempt.claimed.ready_at).clamp(LOOKS.0, LOOKS.1);
    let next = now.after(pause);
    let end = attempt.planned.task.timeout.map(|limit| attempt.claimed.ready_at.after(limit.0));
    let wake_at = end.filter(|end| *end > now).map_or(next, |end| end.min(next));
    Done::Park { wake_at, reason: format!("waits until run {child} of `{}` has ended", run.pipeline) }
}

async fn start(attempt: &Attempt<'_>, run: &RunPipeline, key: String) -> Result<RunId, TaskError> {
    let claimed = attempt.claimed;
    let depth = claimed.run.depth + 1;
    let setting = |field, problem| TaskError::Setting { field, problem };
    if depth > MAX_DEPTH {
        let problem = format!("{MAX_DEPTH} pipelines started each other up to here, probably in a circle");
        return Err(setting("run.pipeline", problem));
    }
    let store = &attempt.site.wiring.store;
    let version = store.active(&run.pipeline).await?;
    let version =
        version.ok_or_else(|| setting("run.pipeline", format!("no version of `{}` is active", run.pipeline)))?;
    let loaded = attempt.site.plans.get(&version.id, store).await?;
    let mut given = Map::new();
    for (name, value) in &run.params {
        given.insert(name.clone(), attempt.value(&format!("run.params.{name}"), value)?);
    }
    let pipeline: &Pipeline = &loaded.compiled.pipeline;
    let params = params::bind(pipeline, &given).map_err(|wrong| {
        let texts: Vec<String> = wrong.iter().map(|it| format!("{}: {}", it.path, it.message)).collect();
        setting("run.params", texts.join("; "))
    })?;
    let parent = run.wait.then_some(claimed.ticket.task);
    let new = NewRun {
        version: version.id,
        trigger_key: Some(key.clone()),
        trigger_data: json!({ "run": claimed.run.id, "pipeline": claimed.run.pipeline, "task": claimed.name }),
        params: Value::Object(params),
        interval: claimed.run.interval,
        started_by: claimed.run.started_by.clone(),
        bounds: Bounds { parent, depth, ..Bounds::of(pipeline) },
        ..NewRun::of(id(attempt.now(), &key), &loaded.compiled, TriggerKind::Run)
    };
    Ok(store.create_run(new).await?.run)
}

/// The key decides what chance decides elsewhere, so that no second id is ever thought of.
fn id(now: Timestamp, key: &str) -> RunId {
    let hash = blake3::hash(key.as_bytes());
    let mut bits = [0; 16];
    bits.copy_from_slice(&hash.as_bytes()[..16]);
    RunId::from_parts(now, u128::from_le_bytes(bits))
}

/// What the other definition says that it gives.
async fn outputs(attempt: &Attempt<'_>, child: &RunRecord) -> Result<Map<String, Value>, TaskError> {
    let store = &attempt.site.wiring.store;
    let loaded = attempt.site.plans.get(&child.version, store).await?;
    let pipeline = &loaded.compiled.pipeline;
    if pipeline.outputs.is_empty() {
        return Ok(Map::new());
    }
    let context = context(&loaded, child, store.tasks(child.id).await?);
    let render = |(name, value): (&String, &Value)| {
        let rendered = template::render_value(value, &context);
        let rendered = rendered
            .map_err(|source| TaskError::Template { field: format!("outputs.{name} of {}", child.pipeline), source })?;
        Ok((name.clone(), rendered))
    };
    pipeline.outputs.iter().map(render).collect()
}

fn context(loaded: &Loaded, child: &RunRecord, tasks: Vec<tidemill_store::TaskRecord>) -> Context {
    let params = child.params.as_object().cloned().unwrap_or_default();
    let started = child.started_at.unwrap_or(child.created_at);
    let facts = RunFacts { id: Some(child.id), pipeline: child.pipeline.clone(), started };
    let mut context = Context::new(&loaded.compiled.pipeline, params, facts);
    context.interval = child.interval.map(|interval| Interval { start: interval.start, end: interval.end });
    context.trigger = child.trigger_data.clone();
    context.tasks = tasks.into_iter().map(|task| (task.name, facts_of(task.state, task.output.as_ref()))).collect();
    context
}

//! Runs that fresh data starts.

use std::collections::HashMap;

use serde_json::json;
use tidemill_dag::codes::tm12;
use tidemill_dag::diagnostic::chain;
use tidemill_dag::spec::{DatasetTrigger, Trigger, called};
use tidemill_dag::wake::{self, Decision, MAX_CHAIN, Sleeper, Update};
use tidemill_store::{LetterKind, NewLetter, NewRun, Store, StoreError, TriggerKind, Watcher};

use crate::SchedulerError;
use crate::scheduler::{Planned, Round, Settings, run_of};

/// So much of the updates of a chain that was cut is kept.
const KEPT_BYTES: usize = 16 * 1024;

/// Hands loads on to the triggers that watch them, and starts the runs of those that have waited long enough.
pub(crate) async fn wake(
    store: &Store,
    settings: &Settings,
    planned: &HashMap<String, Planned>,
    round: &mut Round,
) -> Result<(), SchedulerError> {
    store.hand_on_updates(|dataset| watchers(planned, dataset)).await?;
    let now = settings.clock.now();
    for (watcher, updates) in store.waiting_updates().await? {
        let Some(pipeline) = planned.get(&watcher.0) else { continue };
        let Some((_, trigger)) = pipeline.fresh.iter().find(|(index, _)| *index == watcher.1) else {
            // A definition that cannot be read now may be read again; one without the trigger waits for nothing.
            if pipeline.sleeper.is_some() {
                store.drop_updates(&watcher, &updates).await?;
            }
            continue;
        };
        match wake::decide(trigger, &updates, now) {
            Decision::Incomplete => {}
            Decision::Wait(until) => round.next = [round.next, Some(until)].into_iter().flatten().min(),
            Decision::Fire(count) => {
                let updates = &updates[..count];
                match start(store, settings, (&watcher, pipeline, trigger), updates).await {
                    Ok(run) => round.woken.extend(run),
                    Err(SchedulerError::Store(error)) => return Err(error.into()),
                    Err(error) => {
                        tracing::error!(pipeline = watcher.0, error = %chain(&error), "fresh data started no run");
                        let letter = letter(&watcher, trigger, updates, (error_code(&error), &chain(&error)));
                        lose(store, &watcher, updates, &letter).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn watchers(planned: &HashMap<String, Planned>, dataset: &str) -> Vec<Watcher> {
    let watching = |(name, planned): (&String, &Planned)| {
        let fits = planned.fresh.iter().filter(|(_, trigger)| wake::watches(trigger, dataset));
        fits.map(|(index, _)| (name.clone(), *index)).collect::<Vec<Watcher>>()
    };
    planned.iter().flat_map(watching).collect()
}

/// The run of a set of updates; none if it was cut off, or somebody else was faster.
async fn start(
    store: &Store,
    settings: &Settings,
    (watcher, pipeline, trigger): (&Watcher, &Planned, &DatasetTrigger),
    updates: &[Update],
) -> Result<Option<tidemill_dag::id::RunId>, SchedulerError> {
    if wake::chain(updates) > MAX_CHAIN {
        let reason = format!("{MAX_CHAIN} runs in a row were started by each other's loads; the next was not");
        tracing::error!(pipeline = watcher.0, reason, "a chain of pipelines was cut");
        lose(store, watcher, updates, &letter(watcher, trigger, updates, (tm12::CHAIN_TOO_LONG, &reason))).await?;
        return Ok(None);
    }
    let name = name(watcher, trigger);
    let run = NewRun {
        trigger: TriggerKind::Dataset,
        trigger_data: wake::trigger_data(&name, updates),
        ..run_of(&store.version(&pipeline.version).await?, settings)?
    };
    let Some(created) = store.fire_updates(watcher.1, updates, run).await? else { return Ok(None) };
    tracing::info!(pipeline = watcher.0, updates = updates.len(), run = %created.run, "fresh data started a run");
    Ok(Some(created.run))
}

fn name(watcher: &Watcher, trigger: &DatasetTrigger) -> String {
    let place = usize::try_from(watcher.1).unwrap_or(usize::MAX);
    called(place, &Trigger::Dataset(trigger.clone()))
}

/// Keeps a letter and lets the updates go; in this order, so that they are never gone without a word.
async fn lose(store: &Store, watcher: &Watcher, updates: &[Update], letter: &NewLetter) -> Result<(), StoreError> {
    store.bury(letter).await?;
    store.drop_updates(watcher, updates).await
}

fn error_code(error: &SchedulerError) -> &'static str {
    match error {
        SchedulerError::Definition { found, .. } => found.first().map_or(tm12::MAPPING_FAILED, |finding| finding.code),
        _ => tm12::MAPPING_FAILED,
    }
}

fn letter(watcher: &Watcher, trigger: &DatasetTrigger, updates: &[Update], (code, reason): (&str, &str)) -> NewLetter {
    let body = json!(updates).to_string();
    let cut = body.floor_char_boundary(KEPT_BYTES);
    NewLetter {
        pipeline: watcher.0.clone(),
        hook: name(watcher, trigger),
        kind: LetterKind::Failed,
        code: code.to_owned(),
        reason: reason.to_owned(),
        headers: json!({}),
        body: body[..cut].to_owned(),
        body_bytes: u32::try_from(body.len()).unwrap_or(u32::MAX),
        whole: false,
    }
}

/// Says in the log which circles a pipeline that became active closes.
pub(crate) fn tell_circles(name: &str, planned: &HashMap<String, Planned>) {
    let sleepers: Vec<Sleeper> = planned.values().filter_map(|planned| planned.sleeper.clone()).collect();
    for circle in wake::circles(&sleepers).iter().filter(|circle| circle.iter().any(|it| it == name)) {
        let way = circle.join(" → ");
        tracing::warn!(
            code = tm12::WAKES_ITSELF,
            way,
            "pipelines wake each other in a circle; it is cut after {MAX_CHAIN} runs"
        );
    }
}

//! Schedules of active versions: when they fire, and a way to stop one.

use serde_json::json;
use tidemill_api::start::StartError;
use tidemill_dag::schedule::Schedule;
use tidemill_dag::spec::{CronTrigger, Pipeline, Trigger, called, trigger_called};
use tidemill_dag::time::Timestamp;
use tidemill_store::{ScheduleState, Store};

use crate::args::{ScheduleRef, Schedules, SchedulesCommand};
use crate::clock;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::words;

struct Known {
    pipeline: String,
    place: u32,
    name: String,
    cron: CronTrigger,
    state: Option<ScheduleState>,
}

impl Known {
    /// When it fires next, from what was dealt with; nothing while it is paused.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if self.state.is_some_and(|state| state.paused_at.is_some()) {
            return None;
        }
        let schedule = Schedule::of(&self.cron).ok()?;
        let schedule = schedule.with_jitter(self.cron.jitter, &format!("{}/{}", self.pipeline, self.place));
        schedule.next(self.state.map_or(now, |state| state.through)).map(|moment| schedule.fires_at(moment))
    }
}

/// Lists, pauses, resumes.
pub async fn run(project: &Project, args: Schedules, out: Out) -> Result<Exit, CliError> {
    match args.command {
        None => list(&project.look().await?, out).await,
        Some(SchedulesCommand::Pause(which)) => pause(project, which, true, out).await,
        Some(SchedulesCommand::Resume(which)) => pause(project, which, false, out).await,
    }
}

async fn of(store: &Store, pipeline: &str) -> Result<Vec<Known>, CliError> {
    let Some(version) = store.active(pipeline).await? else { return Ok(Vec::new()) };
    let stored = |source| CliError::Start(StartError::Stored { pipeline: pipeline.to_owned(), source });
    let definition: Pipeline = serde_json::from_value(version.definition).map_err(stored)?;
    let mut known = Vec::new();
    for (place, trigger) in definition.triggers.iter().enumerate() {
        let Trigger::Cron(cron) = trigger else { continue };
        let index = u32::try_from(place).unwrap_or(u32::MAX);
        let state = store.schedule_state(pipeline, index).await?;
        let name = called(place, trigger);
        known.push(Known { pipeline: pipeline.to_owned(), place: index, name, cron: cron.clone(), state });
    }
    Ok(known)
}

async fn list(store: &Store, out: Out) -> Result<Exit, CliError> {
    let mut all = Vec::new();
    for pipeline in store.pipelines().await? {
        all.extend(of(store, &pipeline.name).await?);
    }
    let now = clock::clock().now();
    if out.json {
        out.value(&all.iter().map(|known| document(known, now)).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    if all.is_empty() {
        out.line("there are no schedules: no active pipeline has a `cron` trigger")?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["pipeline", "schedule", "cron", "zone", "fires next", "last run"]);
    for known in &all {
        let paused = known.state.and_then(|state| state.paused_at);
        let next = match (paused, known.next(now)) {
            (Some(since), _) => format!("paused for {}", words::duration(now.since(since))),
            (None, Some(next)) => next.to_string(),
            (None, None) => "never".to_owned(),
        };
        table.row(vec![
            known.pipeline.clone(),
            known.name.clone(),
            known.cron.cron.clone(),
            known.cron.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
            next,
            known.state.and_then(|state| state.last_run).map(|run| run.to_string()).unwrap_or_default(),
        ]);
    }
    out.text(&table.render(out.width.max(120), out.paint))?;
    Ok(Exit::Ok)
}

fn document(known: &Known, now: Timestamp) -> serde_json::Value {
    json!({
        "pipeline": known.pipeline, "schedule": known.name, "place": known.place, "trigger": known.cron,
        "next": known.next(now).map(|next| next.to_string()),
        "through": known.state.map(|state| state.through.to_string()),
        "last_run": known.state.and_then(|state| state.last_run),
        "paused_at": known.state.and_then(|state| state.paused_at).map(|at| at.to_string()),
    })
}

async fn pause(project: &Project, which: ScheduleRef, paused: bool, out: Out) -> Result<Exit, CliError> {
    let (store, _) = project.open().await?;
    let known = of(&store, &which.pipeline).await?;
    let found = match &which.trigger {
        Some(text) => {
            let triggers: Vec<Trigger> = known.iter().map(|it| Trigger::Cron(it.cron.clone())).collect();
            let by_name = trigger_called(&triggers, text).filter(|(_, trigger)| trigger.name() == Some(text));
            let by_place = || known.iter().position(|it| it.place.to_string() == *text);
            by_name.map(|(place, _)| place).or_else(by_place)
        }
        None => (known.len() == 1).then_some(0),
    };
    let Some(found) = found.and_then(|place| known.get(place)) else {
        let known = known.iter().map(|it| it.name.clone()).collect();
        return Err(CliError::NoSchedule { pipeline: which.pipeline, trigger: which.trigger, known });
    };
    store.pause_schedule(&found.pipeline, found.place, paused).await?;
    if out.json {
        out.value(&json!({"pipeline": found.pipeline, "schedule": found.name, "paused": paused}))?;
    } else {
        let what = if paused { "is paused" } else { "goes on" };
        out.line(format!("the schedule `{}` of {} {what}", found.name, found.pipeline))?;
    }
    Ok(Exit::Ok)
}

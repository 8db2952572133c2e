//! One attempt of one task: everything its executor may ask for.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use serde_json::{Value, json};
use tidemill_dag::{
    approval::Question,
    id::{Attempt as Number, Ordinal},
    plan::PlannedTask,
    state::TaskState,
    template::{self, Context, Interval, RunFacts, TaskFacts},
    time::Timestamp,
};
use tidemill_store::{Claimed, Outcome, Upstream};

use crate::{
    error::TaskError,
    kinds,
    logs::AttemptLog,
    mapped::{self, Before},
    plans::Loaded,
    scratch::Scratch,
    secret::{Masks, Secret, resolve},
    worker::Site,
};

/// JSON results and receipts larger than this are not kept with a task.
pub(crate) const MAX_RESULT: usize = 1 << 20;

/// What an executor gives back.
#[derive(Debug)]
pub(crate) enum Done {
    /// The task did what it should: `{"manifest": …}`, `{"result": …}`, `{"receipt": …}` or `{"check": …}`.
    Output(Value),
    /// Nothing to do until then.
    Park {
        /// When to look again.
        wake_at: Timestamp,
        /// What it waits for.
        reason: String,
    },
    /// People are asked.
    Ask(Box<Question>),
    /// Its `when` is false.
    Skip(String),
    /// The list of its `for_each`, which is not empty.
    Expand(Vec<Value>),
}

impl Done {
    /// A JSON value as `tasks.x.result`.
    ///
    /// # Errors
    /// When it is too large to be kept.
    pub fn result(value: Value) -> Result<Self, TaskError> {
        if value.to_string().len() > MAX_RESULT {
            return Err(TaskError::TooLarge { limit: MAX_RESULT });
        }
        Ok(Self::Output(json!({ "result": value })))
    }
}

/// What an executor works with.
pub(crate) struct Attempt<'a> {
    pub site: &'a Arc<Site>,
    pub claimed: &'a Claimed,
    pub planned: &'a PlannedTask,
    pub before: Arc<Before>,
    pub log: &'a AttemptLog,
    context: Context,
}

/// Runs a claimed task to its outcome. Dropping the future stops everything the task started.
pub(crate) async fn run(site: &Arc<Site>, mut claimed: Claimed) -> Outcome {
    let log = AttemptLog::new(site.logs.clone(), claimed.ticket);
    let done = AssertUnwindSafe(perform(site, &mut claimed, &log)).catch_unwind().await;
    let done = done.unwrap_or_else(|_| Err(TaskError::Internal("the handler panicked".to_owned())));
    let masks = log.masks();
    let outcome = match done {
        Ok(Done::Output(output)) => Outcome::Succeeded { output: masked(output, &masks) },
        Ok(Done::Park { wake_at, reason }) => Outcome::Parked { wake_at, reason: masks.apply(&reason).into_owned() },
        Ok(Done::Ask(mut question)) => {
            question.message = masks.apply(&question.message).into_owned();
            masks.apply_to_json(&mut question.subject);
            Outcome::Asked { question }
        }
        Ok(Done::Skip(reason)) => Outcome::Skipped { reason },
        Ok(Done::Expand(mut items)) => {
            items.iter_mut().for_each(|item| masks.apply_to_json(item));
            Outcome::Expanded { items }
        }
        Err(error) => {
            let mut failure = error.failure();
            failure.message = masks.apply(&failure.message).into_owned();
            log.say(&format!("failed [{}]: {}", failure.code, failure.message.lines().next().unwrap_or_default()));
            Outcome::Failed { error: failure }
        }
    };
    log.finish().await;
    outcome
}

/// Hides secrets in what the user's side said. Manifests are ours: their hashes and file names must stay.
fn masked(mut output: Value, masks: &Masks) -> Value {
    for (key, part) in output.as_object_mut().into_iter().flatten() {
        if !matches!(key.as_str(), "manifest" | "quarantine") {
            masks.apply_to_json(part);
        }
    }
    output
}

async fn perform(site: &Arc<Site>, claimed: &mut Claimed, log: &AttemptLog) -> Result<Done, TaskError> {
    let loaded = site.plans.get(&claimed.run.version, &site.wiring.store).await?;
    loaded.warm(|limits| site.python.warm(limits));
    let ordinal = claimed.item.as_ref().map_or(claimed.ticket.task.ordinal, |item| item.of);
    let planned = loaded.compiled.plan.get(ordinal).ok_or_else(|| TaskError::Definition {
        version: claimed.run.version.to_string(),
        problem: format!("it has no task number {}", ordinal.0),
    })?;
    let before = mapped::before(site, claimed, planned).await?;
    let context = context(&loaded, claimed, &before);
    let attempt = Attempt { site, claimed, planned, before, log, context };
    if let Some(when) = &planned.task.when
        && attempt.asks(when)
        && !template::render_bool(when, &attempt.context).map_err(template_error("when"))?
    {
        return Ok(Done::Skip(format!("`when: {when}` is false")));
    }
    let work = async {
        match &planned.task.for_each {
            Some(_) if attempt.claimed.items.is_some() => mapped::collect(&attempt),
            Some(for_each) if attempt.claimed.item.is_none() => mapped::expand(&attempt, for_each).await,
            Some(_) | None => kinds::perform(&attempt).await,
        }
    };
    match planned.task.timeout {
        Some(limit) => tokio::time::timeout(limit.0, work).await.unwrap_or(Err(TaskError::Timeout(limit.0))),
        None => work.await,
    }
}

fn context(loaded: &Loaded, claimed: &Claimed, before: &Before) -> Context {
    let run = &claimed.run;
    let params = run.params.as_object().cloned().unwrap_or_default();
    let facts = RunFacts { id: Some(run.id), pipeline: run.pipeline.clone(), started: run.started_at };
    let mut context = Context::new(&loaded.compiled.pipeline, params, facts);
    context.interval = run.interval.map(|interval| Interval { start: interval.start, end: interval.end });
    context.trigger = run.trigger_data.clone();
    context.tasks = before.facts.clone();
    context.item = claimed.item.as_ref().map(|item| (item.index, item.value.clone()));
    context
}

/// What templates see of a task.
pub(crate) fn facts(task: &Upstream) -> TaskFacts {
    facts_of(task.state, task.output.as_ref())
}

/// The same of its parts.
pub(crate) fn facts_of(state: TaskState, output: Option<&Value>) -> TaskFacts {
    let output = |key: &str| output.and_then(|output| output.get(key));
    let result = ["result", "receipt", "check"].into_iter().find_map(output).cloned().unwrap_or_default();
    let rows = ["manifest", "receipt"].into_iter().find_map(output);
    let rows = rows.and_then(|output| output.get("rows")).and_then(Value::as_u64);
    TaskFacts { state, result, rows }
}

fn template_error(field: &str) -> impl FnOnce(template::TemplateError) -> TaskError {
    let field = field.to_owned();
    move |source| TaskError::Template { field, source }
}

impl Attempt<'_> {
    /// Whether a condition is to be asked now: of a task with `for_each`, once for the whole or once per item.
    fn asks(&self, when: &str) -> bool {
        match (&self.planned.task.for_each, &self.claimed.item) {
            (None, _) => true,
            (Some(_), Some(_)) => template::is_about_items(when),
            (Some(_), None) => self.claimed.items.is_none() && !template::is_about_items(when),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.site.wiring.clock.now()
    }

    /// Renders plain text.
    pub fn text(&self, field: &str, written: &str) -> Result<String, TaskError> {
        template::render_text(written, &self.context).map_err(template_error(field))
    }

    /// Renders SQL.
    pub fn sql(&self, field: &str, written: &str) -> Result<String, TaskError> {
        template::render_sql(written, &self.context).map_err(template_error(field))
    }

    /// Renders every text of a JSON value.
    pub fn value(&self, field: &str, written: &Value) -> Result<Value, TaskError> {
        template::render_value(written, &self.context).map_err(template_error(field))
    }

    /// Renders text with secret places; from now on the log hides what they hold.
    pub fn secret(&self, field: &str, written: &str) -> Result<Secret, TaskError> {
        let mut masks: Masks = self.log.masks();
        let resolved = resolve(written, &mut masks, |plain| self.text(field, plain));
        self.log.hide(&masks);
        resolved
    }

    /// Environment variables of a process, with their secrets.
    pub fn environment<'e>(
        &self,
        env: impl IntoIterator<Item = (&'e String, &'e String)>,
    ) -> Result<Vec<(String, Secret)>, TaskError> {
        env.into_iter()
            .map(|(name, written)| Ok((name.clone(), self.secret(&format!("env.{name}"), written)?)))
            .collect()
    }

    /// The output of a task before this one.
    pub async fn output_of(&self, ordinal: Ordinal) -> Result<Option<Value>, TaskError> {
        if let Some(task) = self.before.upstream.iter().find(|task| task.ordinal == ordinal) {
            return Ok(task.output.clone());
        }
        // Not one of its direct needs, as the input of a check that lets its rows through.
        let tasks = self.site.wiring.store.tasks(self.claimed.run.id).await?;
        Ok(tasks.into_iter().find(|task| task.ordinal == ordinal).and_then(|task| task.output))
    }

    /// Where this attempt keeps its data sets.
    pub fn prefix(&self) -> String {
        self.prefix_of(self.claimed.ticket.attempt)
    }

    /// Where another attempt of the same task kept them.
    pub fn prefix_of(&self, attempt: Number) -> String {
        let item = self.claimed.item.as_ref().map(|item| format!("/item-{}", item.index)).unwrap_or_default();
        format!("runs/{}/{}{item}/{}", self.claimed.run.id, self.planned.name, attempt.0)
    }

    /// A folder of its own, removed when the guard is dropped.
    pub fn scratch(&self) -> Result<Scratch, TaskError> {
        Scratch::new(self.site.scratch.join(self.claimed.ticket.to_string().replace('#', "-")))
    }

    /// How long until a moment; nothing if it has passed.
    pub fn until(&self, moment: Timestamp) -> Duration {
        moment.since(self.now())
    }
}

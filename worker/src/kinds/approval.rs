//! `approval`: asks people. The question lies in the store, so no slot and no lease is held while they think.

use serde_json::{Map, Value, json};
use tidemill_dag::{approval::Question, spec::Approval};

use crate::{
    attempt::{Attempt, Done},
    error::TaskError,
};

/// Parts of an output that people can judge; a data set is shown by its rows and where to look.
const SHOWN: [&str; 4] = ["result", "check", "receipt", "manifest"];

pub(super) async fn perform(attempt: &Attempt<'_>, approval: &Approval) -> Result<Done, TaskError> {
    let message = attempt.text("approval.message", &approval.message)?;
    let mut subject = Map::new();
    for name in &approval.shows {
        let Some(task) = attempt.before.upstream.iter().find(|task| task.name == *name) else { continue };
        let part = |key: &&str| Some(((*key).to_owned(), task.output.as_ref()?.get(*key)?.clone()));
        let mut shown: Map<String, Value> = SHOWN.iter().filter_map(part).collect();
        shown.insert("state".to_owned(), json!(task.state));
        shown.insert("look".to_owned(), json!(format!("tidemill show {}.{name}", attempt.claimed.run.id)));
        subject.insert(name.clone(), Value::Object(shown));
    }
    let excluded = attempt.claimed.run.started_by.clone().filter(|_| approval.exclude_starter);
    Ok(Done::Ask(Box::new(Question {
        message,
        subject: Value::Object(subject),
        approvers: approval.approvers.clone(),
        required: approval.required.max(1),
        excluded,
        expires_at: attempt.now().after(approval.expires.0),
        on_expiry: approval.on_expiry,
    })))
}

//! What tasks do, one file per kind.

mod approval;
mod check;
mod extract;
mod http;
mod load;
mod notify;
mod python;
mod run;
mod shell;
mod sql;
mod wait;

use tidemill_dag::spec::{Limits, TaskKind};

pub(crate) use http::client as http_client;

use crate::{
    attempt::{Attempt, Done},
    error::TaskError,
    sandbox::{self, Holds},
};

/// Does what the task is there for.
pub(crate) async fn perform(attempt: &Attempt<'_>) -> Result<Done, TaskError> {
    match &attempt.planned.task.kind {
        TaskKind::Extract(body) => extract::perform(attempt, body).await,
        TaskKind::Sql(body) => sql::perform(attempt, body).await,
        TaskKind::Check(body) => check::perform(attempt, body).await,
        TaskKind::Load(body) => load::perform(attempt, body).await,
        TaskKind::Shell(body) => shell::perform(attempt, body).await,
        TaskKind::Python(body) => python::perform(attempt, body).await,
        TaskKind::Http(body) => http::perform(attempt, body).await,
        TaskKind::Wait(body) => wait::perform(attempt, body).await,
        TaskKind::Run(body) => run::perform(attempt, body).await,
        TaskKind::Notify(body) => notify::perform(attempt, body).await,
        TaskKind::Approval(body) => approval::perform(attempt, body).await,
        kind @ TaskKind::Llm(_) => Err(TaskError::Definition {
            version: attempt.claimed.run.version.to_string(),
            problem: format!("this worker does not know the kind `{}`", kind.name()),
        }),
    }
}

/// Says in the task's log which of its limits do not hold on this machine.
fn say_missing_limits(attempt: &Attempt<'_>, limits: &Limits, confined_files: bool) {
    let found = sandbox::probe();
    let wanted = [
        ("memory", true, &found.memory),
        ("network", !limits.network, &found.network),
        ("files", confined_files, &found.files),
    ];
    for (name, wanted, holds) in wanted {
        if wanted && !matches!(holds, Holds::Yes(_)) {
            attempt.log.say(&format!("the limit on {name} {holds}"));
        }
    }
}

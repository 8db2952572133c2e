//! `shell`: a program in a process group of its own.
//!
//! It starts in the project's folder and sees a few of the worker's environment variables, those of
//! `env`, and `TIDEMILL_RUN`, `TIDEMILL_PIPELINE`, `TIDEMILL_TASK`, `TIDEMILL_ATTEMPT`, `TMPDIR` (its own,
//! removed afterwards) and `TIDEMILL_RESULT`: a file in which the last line that is a JSON object
//! becomes the task's `result`. It may write wherever the worker's user may; Landlock is for Python.

use std::{ffi::OsString, path::Path, sync::Arc};

use serde_json::Value;
use tidemill_dag::spec::{Command, Shell};

use crate::{
    attempt::{Attempt, Done, MAX_RESULT},
    error::{TaskError, files},
    process::{Program, describe_end},
    sandbox::Confinement,
};

pub(super) async fn perform(attempt: &Attempt<'_>, shell: &Shell) -> Result<Done, TaskError> {
    let scratch = attempt.scratch()?;
    let result = scratch.path().join("result");
    let words = words(attempt, &shell.command)?;
    let name = words[0].to_string_lossy().into_owned();
    let cannot_start = |source| TaskError::Start { program: name.clone(), source };
    super::say_missing_limits(attempt, &shell.limits, false);
    let program = Program {
        words,
        env: environment(attempt, shell, scratch.path(), &result)?,
        folder: attempt.site.config.project_dir.clone(),
        stdin: None,
        confinement: Arc::new(Confinement::prepare(&shell.limits, None).map_err(cannot_start)?),
    };
    let mut running = attempt.site.starter.start(program).await.map_err(cannot_start)?;
    let status = tokio::select! {
        status = running.leader.wait() => status,
        never = running.output.pump(attempt.log) => match never {},
    };
    let status = status.map_err(|source| TaskError::Internal(format!("no status of a process: {source}")))?;
    running.output.drain(|stream, bytes| attempt.log.printed(stream, bytes));
    if !status.success() {
        let last = attempt.log.last_lines().iter().map(|line| format!("\n  {line}")).collect();
        return Err(TaskError::Exit { how: describe_end(status), last });
    }
    Done::result(read_result(&result)?)
}

fn words(attempt: &Attempt<'_>, command: &Command) -> Result<Vec<OsString>, TaskError> {
    match command {
        // No templates: what a template brings in would be read as shell code.
        Command::Text(text) => Ok(vec!["/bin/sh".into(), "-c".into(), text.into()]),
        Command::List(list) if list.is_empty() => {
            Err(TaskError::Setting { field: "shell.command", problem: "the list is empty".to_owned() })
        }
        Command::List(list) => list.iter().map(|word| Ok(attempt.text("shell.command", word)?.into())).collect(),
    }
}

fn environment(
    attempt: &Attempt<'_>,
    shell: &Shell,
    scratch: &Path,
    result: &Path,
) -> Result<Vec<(OsString, OsString)>, TaskError> {
    let claimed = attempt.claimed;
    let own = [
        ("TMPDIR", scratch.as_os_str().to_owned()),
        ("TIDEMILL_RESULT", result.as_os_str().to_owned()),
        ("TIDEMILL_RUN", claimed.run.id.to_string().into()),
        ("TIDEMILL_PIPELINE", claimed.run.pipeline.clone().into()),
        ("TIDEMILL_TASK", claimed.name.clone().into()),
        ("TIDEMILL_ATTEMPT", claimed.ticket.attempt.0.to_string().into()),
    ];
    let mut env: Vec<(OsString, OsString)> = own.into_iter().map(|(name, value)| (name.into(), value)).collect();
    for (name, value) in attempt.environment(&shell.env)? {
        env.push((name.into(), value.expose().into()));
    }
    Ok(env)
}

/// The last line that is a JSON object; null if the program wrote none.
fn read_result(path: &Path) -> Result<Value, TaskError> {
    let size = match std::fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(Value::Null),
        Err(source) => return Err(files("read", path)(source)),
    };
    if size > MAX_RESULT as u64 * 2 {
        return Err(TaskError::TooLarge { limit: MAX_RESULT });
    }
    let text = std::fs::read(path).map_err(files("read", path))?;
    let text = String::from_utf8_lossy(&text);
    let objects = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(objects.into_iter().find(Value::is_object).unwrap_or_default())
}

//! `python`: a function in a warm host process.

use std::{
    path::{Component, Path},
    sync::atomic::{AtomicU64, Ordering},
};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use tidemill_dag::spec::{Python, Returns};

use crate::{
    attempt::{Attempt, Done, MAX_RESULT},
    datasets,
    error::{TaskError, files},
    python::{Call, Host, Input, Reply, rows, write_input},
    scratch::Scratch,
    session::Tables,
};

/// Names the folders of calls within a host's own.
static CALLS: AtomicU64 = AtomicU64::new(0);

pub(super) async fn perform(attempt: &Attempt<'_>, python: &Python) -> Result<Done, TaskError> {
    let source = source(attempt, python)?;
    super::say_missing_limits(attempt, &python.limits, true);
    let args = args(attempt, python)?;
    let env: IndexMap<String, String> =
        attempt.environment(&python.env)?.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect();
    let mut host = attempt.site.python.acquire(&python.limits).await?;
    let serial = CALLS.fetch_add(1, Ordering::Relaxed);
    let scratch = Scratch::new(host.scratch().join(format!("call-{serial}")))?;
    let call = Call {
        hash: blake3::hash(format!("{}\0{}", source.file, source.code).as_bytes()).to_hex().to_string(),
        code: source.code,
        file: source.file,
        folder: source.folder,
        function: python.function.clone(),
        args,
        inputs: inputs(attempt, python, &host, scratch.path()).await?,
        returns: match python.returns {
            Returns::Value => "value",
            Returns::Rows => "rows",
        },
        scratch: scratch.path().to_owned(),
        env,
        limit: MAX_RESULT,
    };
    let reply = host.call(&call, attempt.log).await;
    let done = match reply {
        Ok(Reply::Value(value)) => Done::result(value),
        Ok(Reply::Rows(written)) => {
            let manifest = datasets::write(attempt, "rows", rows(&written)?).await?;
            Ok(Done::Output(json!({ "manifest": manifest, "result": { "rows": written.rows } })))
        }
        Err(error) => Err(error),
    };
    drop(scratch);
    attempt.site.python.release(host);
    done
}

struct Source {
    code: String,
    file: String,
    folder: Option<String>,
}

fn source(attempt: &Attempt<'_>, python: &Python) -> Result<Source, TaskError> {
    if let Some(code) = &python.code {
        return Ok(Source { code: code.clone(), file: format!("tasks.{}.code", attempt.planned.name), folder: None });
    }
    let setting = |problem: String| TaskError::Setting { field: "python.script", problem };
    let script = python.script.as_deref().ok_or_else(|| setting("there is neither `script` nor `code`".to_owned()))?;
    let inside = Path::new(script).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(setting(format!("`{script}` is outside the project's folder")));
    }
    let path = attempt.site.config.project_dir.join(script);
    let code = std::fs::read_to_string(&path).map_err(files("read", &path))?;
    let folder = path.parent().map(|folder| folder.to_string_lossy().into_owned());
    Ok(Source { code, file: path.to_string_lossy().into_owned(), folder })
}

fn args(attempt: &Attempt<'_>, python: &Python) -> Result<Map<String, Value>, TaskError> {
    python
        .args
        .iter()
        .map(|(name, written)| Ok((name.clone(), attempt.value(&format!("python.args.{name}"), written)?)))
        .collect()
}

/// Spools the rows of every input into the call's folder.
async fn inputs(
    attempt: &Attempt<'_>,
    python: &Python,
    host: &Host,
    folder: &Path,
) -> Result<IndexMap<String, Input>, TaskError> {
    let mut inputs = IndexMap::new();
    if python.inputs.is_empty() {
        return Ok(inputs);
    }
    let tables = Tables::open(attempt).await?;
    for (index, (argument, relation)) in python.inputs.iter().enumerate() {
        let rows = tables.rows(relation).await?;
        let path = folder.join(format!("input-{index}"));
        inputs.insert(argument.clone(), write_input(path, rows, host.arrow()).await?);
    }
    Ok(inputs)
}

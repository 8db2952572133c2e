//! A load from the first batch to the receipt.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tidemill_dag::spec::LoadMode;
use tokio::{sync::mpsc, time::Instant};

use super::{
    KIND,
    adapt::adapt,
    config::{Compression, Format, TableConfig},
    contract::settle,
    find::Root,
    manifest::{Manifest, Part},
    publish::{Prepared, Staging, TableLock, Target},
    render::check_types,
    write::{self, Plan},
};
use crate::{BatchStream, CommitGuard, ConnectorError, LoadRequest, Receipt};

/// Longest wait for another writer's commit.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a lock that is taken.
const PAUSE: Duration = Duration::from_millis(10);

/// Checks a name that becomes a folder.
pub fn check_name(table: &str) -> Result<(), ConnectorError> {
    let problem = match table {
        "" => "it is empty",
        _ if table.len() > 200 => "it is longer than 200 bytes",
        _ if table.starts_with(['.', '_']) => "it begins with `.` or `_`, which marks hidden files",
        _ if table.contains(['/', '\\']) => "it contains `/` or `\\`",
        _ if table.chars().any(char::is_control) => "it contains a control character",
        _ => return Ok(()),
    };
    Err(ConnectorError::TableName { table: table.to_owned(), problem: problem.into() })
}

/// Where a load goes. Blocking.
pub fn target(root: &Root, table: &str, settings: &TableConfig) -> Result<Target, ConnectorError> {
    check_name(table)?;
    let refuse = |problem: String| Err(ConnectorError::TableName { table: table.to_owned(), problem });
    let below = settings.path.as_deref().unwrap_or(table);
    let plain = Path::new(below).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain || below.contains(['*', '?', '[']) {
        return refuse(format!("its path `{below}` is no folder below the connection's; loads need one"));
    }
    let folder = root.path.join(below);
    let mut part = root.path.clone();
    for name in Path::new(below).components() {
        part.push(name);
        match fs::symlink_metadata(&part) {
            Ok(meta) if meta.file_type().is_symlink() => {
                return refuse(format!("`{}` is a symbolic link; loads do not follow links", root.shown(&part)));
            }
            Ok(meta) if !meta.is_dir() => return refuse(format!("`{}` is a file", root.shown(&part))),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(source) => return Err(ConnectorError::Unreadable { path: part, source }),
        }
    }
    let shown = root.shown(&folder);
    if Manifest::read(&folder)?.is_none() {
        let taken = if settings.path.is_none() { root.tables()?.remove(table) } else { None };
        // Asked again, for another load may have made the table since.
        if let Some(path) = taken.and_then(|mut paths| paths.pop())
            && Manifest::read(&folder)?.is_none()
        {
            let path = root.shown(&path);
            return refuse(format!("`{path}` has this name already and was not written by a load; it is left alone"));
        }
    }
    Ok(Target { table: table.to_owned(), folder, shown })
}

/// Nothing is loaded to a web server.
pub fn read_only(table: &str) -> ConnectorError {
    ConnectorError::Mode {
        kind: KIND,
        mode: "load",
        table: table.to_owned(),
        advice: "files behind http(s) can only be read; load to a connection whose `path` is a folder".into(),
    }
}

/// The checks that need no rows.
pub fn check_request(load: &LoadRequest) -> Result<(), ConnectorError> {
    if load.mode == LoadMode::Merge {
        return Err(ConnectorError::Mode {
            kind: KIND,
            mode: "merge",
            table: load.table.clone(),
            advice:
                "files cannot change single rows; read the table, combine it with the new rows in SQL and load the \
                     result with `mode: replace`"
                    .into(),
        });
    }
    if load.schema.fields().is_empty() {
        let problem = "the rows have no columns".into();
        return Err(ConnectorError::Drift { table: load.table.clone(), contract: "any", problem });
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, ConnectorError> + Send + 'static,
) -> Result<T, ConnectorError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(ConnectorError::CutShort { doing: doing.into() }))
}

async fn lock(target: &Target) -> Result<TableLock, ConnectorError> {
    let since = Instant::now();
    loop {
        let target_too = target.clone();
        if let Some(lock) = blocking("locking a table", move || target_too.try_lock()).await? {
            return Ok(lock);
        }
        if since.elapsed() > PATIENCE {
            return Err(ConnectorError::Busy { table: target.table.clone(), seconds: PATIENCE.as_secs() });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Writes `rows` and publishes them.
pub async fn load(
    target: Target,
    settings: &TableConfig,
    load: LoadRequest,
    rows: BatchStream,
    guard: &dyn CommitGuard,
) -> Result<Receipt, ConnectorError> {
    let load = Arc::new(load);
    let format = settings.format.unwrap_or(Format::Parquet);
    let begun = {
        let lock = lock(&target).await?;
        let (target, load) = (target.clone(), Arc::clone(&load));
        blocking("beginning a load", move || begin(&target, &load, format, &lock)).await?
    };
    let (staging, written) = match begun {
        Begun::Already(receipt) => return Ok(receipt),
        Begun::Open { staging, written } => (staging, written),
    };
    let plan = Plan {
        folder: staging.folder.clone(),
        prefix: Target::prefix(&load, &staging),
        format,
        compression: settings.compression.unwrap_or(Compression::None),
        schema: written,
    };
    let parts = write_all(plan, rows).await?;
    let lock = lock(&target).await?;
    let prepared = {
        let load = Arc::clone(&load);
        blocking("preparing a commit", move || target.prepare(&load, parts, staging, lock)).await?
    };
    match prepared {
        Err(receipt) => Ok(receipt),
        Ok(prepared) => commit(prepared, &load, guard).await,
    }
}

async fn commit(prepared: Prepared, load: &LoadRequest, guard: &dyn CommitGuard) -> Result<Receipt, ConnectorError> {
    if guard.may_commit().await {
        return blocking("committing", move || prepared.publish()).await;
    }
    blocking("giving up a commit", move || {
        drop(prepared);
        Ok(())
    })
    .await?;
    Err(ConnectorError::NotCurrent { table: load.table.clone(), load: load.load_id.to_string() })
}

enum Begun {
    Already(Receipt),
    Open { staging: Staging, written: SchemaRef },
}

fn begin(target: &Target, load: &LoadRequest, format: Format, lock: &TableLock) -> Result<Begun, ConnectorError> {
    if let Some(receipt) = target.find(&load.load_id)? {
        return Ok(Begun::Already(receipt));
    }
    let manifest = Manifest::read(&target.folder)?;
    let existing = manifest.as_ref().map(Manifest::schema).transpose()?;
    let settled = settle(&target.table, existing.as_deref(), &load.schema, load.mode, load.contract)?;
    check_types(&settled.written, format)?;
    Ok(Begun::Open { staging: target.stage(load, lock)?, written: settled.written })
}

/// Feeds the writing thread. Whatever ends early, both sides end.
async fn write_all(plan: Plan, mut rows: BatchStream) -> Result<Vec<Part>, ConnectorError> {
    let schema = Arc::clone(&plan.schema);
    let (give, take) = mpsc::channel(2);
    let writing = tokio::task::spawn_blocking(move || write::write(&plan, take));
    let mut failed = None;
    while let Some(batch) = rows.next().await {
        let fitted = batch.and_then(|batch| {
            adapt(&batch, &schema)
                .map_err(|source| ConnectorError::Arrow { doing: "fitting rows to the table".into(), source })
        });
        let given = match fitted {
            Ok(batch) => give.send(batch).await.is_ok(),
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        // If nobody takes, the writer failed, and says why when it is joined.
        if !given {
            break;
        }
    }
    drop(give);
    let written = writing.await.unwrap_or_else(|_| Err(ConnectorError::CutShort { doing: "writing parts".into() }));
    match failed {
        Some(error) => Err(error),
        None => written,
    }
}

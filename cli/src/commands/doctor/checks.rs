//! One function per dependency.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize;
use tidemill_api::health::PROBE;
use tidemill_dag::time::Timestamp;
use tidemill_store::Store;

use crate::clock;
use crate::error::CliError;
use crate::node;
use crate::project::{Project, shown};
use crate::report;
use crate::words;

/// How a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It does what it should.
    Fine,
    /// It works, but somebody should look at it.
    Doubtful,
    /// It does not work.
    Broken,
}

/// What a look at a dependency gave.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// The dependency.
    pub name: &'static str,
    /// How it is.
    pub level: Level,
    /// What was seen.
    pub detail: String,
}

/// An answer slower than this makes everything slow.
const SLOW: Duration = Duration::from_millis(200);
/// Clocks further apart than this make times in logs and tables misleading.
const SKEW: Duration = Duration::from_secs(2);
/// A dependency that has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(10);
/// Less free space than this is soon none.
const LITTLE: u64 = 1 << 30;
/// With less than this, runs fail.
const NONE: u64 = 100 << 20;

fn fine(name: &'static str, detail: impl Into<String>) -> Checked {
    Checked { name, level: Level::Fine, detail: detail.into() }
}

fn doubtful(name: &'static str, detail: impl Into<String>) -> Checked {
    Checked { name, level: Level::Doubtful, detail: detail.into() }
}

fn broken(name: &'static str, detail: impl Into<String>) -> Checked {
    Checked { name, level: Level::Broken, detail: detail.into() }
}

/// A dependency that failed with an error, told with its causes.
pub fn failed(name: &'static str, error: &CliError) -> Checked {
    let causes = report::causes(error).into_iter().map(|cause| format!(": {cause}")).collect::<String>();
    broken(name, format!("[{}] {error}{causes}", error.code()))
}

/// The database: its kind and version, how soon it answers, its schema, its clock.
pub async fn database(store: &Store) -> Vec<Checked> {
    let start = Instant::now();
    let facts = match store.database().await {
        Ok(facts) => facts,
        Err(error) => return vec![failed("database", &error.into())],
    };
    let took = start.elapsed();
    let answer = format!("{} {}, answers in {}", facts.kind, facts.version, words::duration(took));
    let mut checked = vec![if took > SLOW { doubtful("database", answer) } else { fine("database", answer) }];
    checked.push(if facts.schema == facts.known {
        fine("schema", format!("step {}", facts.schema))
    } else {
        let (schema, known) = (facts.schema, facts.known);
        broken("schema", format!("it is at step {schema}, and this program knows {known}: another version was here"))
    });
    checked.extend(facts.time.map(|time| skew(time, clock::clock().now())));
    checked
}

fn skew(database: Timestamp, here: Timestamp) -> Checked {
    let apart = here.since(database).max(database.since(here));
    let detail = format!("{} apart from the database's, by which everything goes", words::duration(apart));
    if apart > SKEW { doubtful("clock", detail) } else { fine("clock", detail) }
}

/// Everything but the database.
pub async fn without_database(project: &Project) -> Vec<Checked> {
    let mut checked = Vec::new();
    checked.extend(queue(project).await);
    // A project that nobody ran in yet has no place for data sets; a cluster must have one.
    if project.state.dir.exists() || matches!(project.cluster(), Ok(Ok(_))) {
        checked.push(data_sets(project).await);
        checked.push(disk(&project.state.dir));
    }
    checked.push(python(&project.config.worker.python).await);
    checked
}

/// The Redis of a cluster, where one is configured.
async fn queue(project: &Project) -> Option<Checked> {
    let transport = match project.queue_transport() {
        Ok(transport) => transport?,
        Err(error) => return Some(failed("queue", &error)),
    };
    let start = Instant::now();
    Some(match tokio::time::timeout(PATIENCE, transport.condition()).await {
        Ok(Ok(_)) => fine("queue", format!("Redis answers in {}", words::duration(start.elapsed()))),
        Ok(Err(error)) => failed("queue", &CliError::Store(error.into())),
        Err(_) => broken("queue", format!("Redis does not answer within {} s", PATIENCE.as_secs())),
    })
}

/// Data sets can be written, read and removed.
async fn data_sets(project: &Project) -> Checked {
    let start = Instant::now();
    let blobs = match node::blobs(project).await {
        Ok(blobs) => blobs,
        Err(error) => return failed("data sets", &error),
    };
    let tried = async {
        blobs.put(PROBE, "ok".into()).await?;
        blobs.read_range(PROBE, 0..2).await?;
        blobs.delete_prefix(PROBE).await
    };
    match tokio::time::timeout(PATIENCE, tried).await {
        Ok(Ok(())) => fine("data sets", format!("written, read and removed in {}", words::duration(start.elapsed()))),
        Ok(Err(error)) => broken("data sets", format!("[{}] {error}", error.code())),
        Err(_) => broken("data sets", format!("their place does not answer within {} s", PATIENCE.as_secs())),
    }
}

/// Free space where the state lies.
fn disk(folder: &Path) -> Checked {
    match nix::sys::statvfs::statvfs(folder) {
        Err(error) => doubtful("disk", format!("cannot be looked at: {error}")),
        Ok(stat) => {
            let free = stat.blocks_available().saturating_mul(stat.fragment_size());
            let detail = format!("{} free in {}", words::bytes(free), shown(folder));
            match free {
                0..NONE => broken("disk", detail),
                NONE..LITTLE => doubtful("disk", detail),
                _ => fine("disk", detail),
            }
        }
    }
}

/// The interpreter for `python` tasks. Projects without such tasks need none.
async fn python(interpreter: &str) -> Checked {
    let mut command = tokio::process::Command::new(interpreter);
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            fine("python", format!("{text} ({interpreter})"))
        }
        Ok(Ok(output)) => doubtful("python", format!("`{interpreter} --version` ended with {}", output.status)),
        Ok(Err(error)) => doubtful("python", format!("`{interpreter}` cannot be started: {error}")),
        Err(_) => doubtful("python", format!("`{interpreter} --version` does not end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_a_little_either_way() {
        let at = Timestamp::from_millis;
        assert_eq!(skew(at(10_000), at(11_500)).level, Level::Fine);
        assert_eq!(skew(at(11_500), at(10_000)).level, Level::Fine);
        assert_eq!(skew(at(10_000), at(13_000)).level, Level::Doubtful);
        assert_eq!(skew(at(13_000), at(10_000)).level, Level::Doubtful);
    }
}

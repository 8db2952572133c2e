use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::words;

/// A connection that has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

struct Probe {
    name: String,
    kind: &'static str,
    tables: Result<Vec<String>, (String, Option<String>)>,
    took: Duration,
}

/// Probes every connection, all at the same time.
pub async fn run(project: &Project, out: Out) -> Result<Exit, CliError> {
    let connections = project.connections()?;
    let probes = connections.0.iter().map(|(name, connection)| async move {
        let start = Instant::now();
        let tables = match tokio::time::timeout(PATIENCE, connection.tables()).await {
            Ok(Ok(tables)) => Ok(tables),
            Ok(Err(error)) => {
                let message = format!("[{}] {}", error.code(), error.chain());
                Err((message, error.help()))
            }
            Err(_) => Err((format!("no answer within {}", words::duration(PATIENCE)), None)),
        };
        Probe { name: name.clone(), kind: connection.kind(), tables, took: start.elapsed() }
    });
    let probes = futures::future::join_all(probes).await;
    let wrong = probes.iter().any(|probe| probe.tables.is_err());
    if out.json {
        out.value(&probes.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        for probe in &probes {
            out.line(line(probe, out))?;
        }
        if probes.is_empty() {
            out.line("there are no connections; `tidemill init` writes a project with two")?;
        }
    }
    Ok(if wrong { Exit::Failed } else { Exit::Ok })
}

fn line(probe: &Probe, out: Out) -> String {
    let name = out.paint.bold(&probe.name);
    match &probe.tables {
        Ok(tables) => {
            let took = words::duration(probe.took);
            format!("{} {name} ({}): ok, {} tables, {took}", out.paint.green("✓"), probe.kind, tables.len())
        }
        Err((message, help)) => {
            let help = help.as_ref().map(|h| format!("\n    help: {h}")).unwrap_or_default();
            format!("{} {name} ({}): {message}{help}", out.paint.red("✗"), probe.kind)
        }
    }
}

fn as_json(probe: &Probe) -> serde_json::Value {
    let (tables, error, help) = match &probe.tables {
        Ok(tables) => (Some(tables), None, None),
        Err((message, help)) => (None, Some(message), help.as_ref()),
    };
    json!({
        "name": probe.name, "kind": probe.kind, "ok": probe.tables.is_ok(), "tables": tables, "error": error,
        "help": help, "seconds": probe.took.as_secs_f64(),
    })
}

use serde_json::json;

use crate::args::ConfigCommand;
use crate::config;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::{Project, shown};

/// Prints or checks the settings.
pub fn run(
    project: impl Fn() -> Result<Project, CliError>,
    command: ConfigCommand,
    out: Out,
) -> Result<Exit, CliError> {
    match command {
        ConfigCommand::Print => print(&project()?, out),
        ConfigCommand::Check => check(&project()?, out),
        ConfigCommand::Reference => {
            if out.json {
                out.value(&schemars::schema_for!(config::Config))?;
            } else {
                out.text(&config::reference())?;
            }
            Ok(Exit::Ok)
        }
    }
}

fn print(project: &Project, out: Out) -> Result<Exit, CliError> {
    let value = serde_json::to_value(&project.config).map_err(|source| CliError::Json { source })?;
    if out.json {
        let answer = json!({"root": project.root, "file": project.file, "settings": value});
        out.value(&answer)?;
        return Ok(Exit::Ok);
    }
    let from = match &project.file {
        Some(file) => format!("# {} and defaults", shown(file)),
        None => format!("# defaults: there is no {} in {}", config::FILE, project.root.display()),
    };
    out.line(out.paint.dim(&from))?;
    out.text(&crate::yaml::block(&value))?;
    Ok(Exit::Ok)
}

/// Reading the project found nothing wrong; opening the connections looks a little deeper.
fn check(project: &Project, out: Out) -> Result<Exit, CliError> {
    let connections = project.connections()?;
    let count = connections.0.len();
    if out.json {
        out.value(&json!([]))?;
    } else {
        let file =
            project.file.as_deref().map_or_else(|| "the defaults are".to_owned(), |f| format!("{} is", shown(f)));
        out.line(format!("{} {file} fine; {count} connections", out.paint.green("✓")))?;
    }
    Ok(Exit::Ok)
}

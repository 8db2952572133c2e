use std::path::PathBuf;

use tidemill_dag::diagnostic::Severity;

use crate::args::Validate;
use crate::definition;
use crate::error::{CliError, Exit, Findings};
use crate::out::Out;
use crate::project::{Project, shown};
use crate::report;

/// Checks every file: what is wrong with one does not hide the others.
pub async fn run(project: &Project, args: Validate, out: Out) -> Result<Exit, CliError> {
    let workbench = project.workbench()?;
    let mut found: Vec<Findings> = Vec::new();
    let mut names = std::collections::BTreeMap::new();
    let mut sound = 0_usize;
    for path in definition::files(&places(project, args))? {
        let bytes = definition::bytes(&path)?;
        let list = match workbench.check(&bytes).await {
            Ok(checked) => {
                sound += 1;
                let name = checked.compiled.pipeline.pipeline.clone();
                if let Some(first) = names.insert(name.clone(), path.clone()) {
                    out.note(format!("{} and {} both define `{name}`", shown(&first), shown(&path)));
                }
                checked.warnings()
            }
            Err(list) => list,
        };
        if !list.is_empty() {
            found.push(definition::findings(&path, &bytes, list));
        }
    }
    let errors = |f: &Findings| f.list.iter().filter(|d| d.severity == Severity::Error).count();
    let wrong: usize = found.iter().map(errors).sum();
    let files = found.iter().filter(|f| errors(f) > 0).count();
    if out.json {
        out.value(&report::entries(&CliError::Definitions(found)))?;
    } else {
        tell(&found, (wrong, files, sound), out)?;
    }
    Ok(if wrong == 0 { Exit::Ok } else { Exit::Invalid })
}

fn tell(found: &[Findings], (wrong, files, sound): (usize, usize, usize), out: Out) -> Result<(), CliError> {
    for findings in found {
        out.note(format!("{}\n", report::findings(findings, out.paint_err)));
    }
    if wrong == 0 {
        return out.line(format!("{} {} fine", out.paint.green("✓"), plural(sound, "definition", "is", "are")));
    }
    let (errors, places) = (plural(wrong, "error", "", ""), plural(files, "file", "", ""));
    out.note(format!("{} in {}; {sound} fine", errors.trim_end(), places.trim_end()));
    Ok(())
}

fn plural(n: usize, word: &str, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {word} {one}") } else { format!("{n} {word}s {many}") }
}

/// The default folder belongs to the project, not to where the command was given.
fn places(project: &Project, args: Validate) -> Vec<PathBuf> {
    let default = [PathBuf::from("pipelines")];
    if args.paths == default && !default[0].exists() { vec![project.pipelines()] } else { args.paths }
}

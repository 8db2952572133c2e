//! Definitions become what runs: all of a folder, or none of it.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;
use tidemill_api::definitions::{self, Change, Checked, Entry, actor};
use tidemill_api::view::ChangeView;
use tidemill_dag::state::{Expected, VersionState};

use crate::args::Apply;
use crate::clock;
use crate::definition;
use crate::difference;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::{Project, shown};

/// Shows what would change, asks, and applies.
pub async fn run(project: &Project, args: Apply, out: Out) -> Result<Exit, CliError> {
    let mut places = [args.places.as_slice(), &args.files].concat();
    if places.is_empty() {
        places.push(project.pipelines());
    }
    let files = definition::files(&places)?;
    let workbench = project.workbench()?;
    let checked = check(&workbench, &files).await?;
    let (store, _transport) = project.open().await?;
    let now = clock::clock().now();
    let mut changes = Vec::with_capacity(checked.len());
    for each in &checked {
        changes.push(definitions::plan(&store, &workbench, each, now).await.map_err(CliError::Start)?);
    }
    let changed = changes.iter().filter(|change| change.changed()).count();
    if !out.json {
        tell(&changes, out)?;
    }
    let go = !args.plan && (changed == 0 || args.yes || confirmed(changed, out)?);
    let mut views: Vec<ChangeView> = changes.iter().map(ChangeView::planned).collect();
    if go {
        let set: Vec<_> =
            files.iter().zip(checked.iter().zip(&changes)).map(|(file, each)| adopt(file, each, &args)).collect();
        let actor = actor(&json!({"from": "apply", "by": whoami()}));
        let adopted = store.adopt(&set, &actor).await?;
        views = views.into_iter().zip(&adopted).map(|(view, each)| view.applied(each.version.number)).collect();
    }
    if out.json {
        out.value(&json!({"applied": go, "changes": views}))?;
    } else if go {
        let unchanged = changes.len() - changed;
        out.line(format!("{} {changed} changed, {unchanged} unchanged", out.paint.green("✓")))?;
    }
    store.close().await;
    Ok(if go || args.plan { Exit::Ok } else { Exit::Failed })
}

/// Every error of every file at once.
async fn check(workbench: &tidemill_api::Workbench, files: &[PathBuf]) -> Result<Vec<Checked>, CliError> {
    let mut entries = Vec::with_capacity(files.len());
    for file in files {
        entries.push(Entry { name: shown(file), bytes: definition::bytes(file)? });
    }
    definitions::check_all(workbench, &entries).await.map_err(|wrong| {
        let findings = wrong.into_iter().map(|(place, list)| {
            let (file, entry) = (&files[place], &entries[place]);
            definition::findings(file, &entry.bytes, list)
        });
        CliError::Definitions(findings.collect())
    })
}

/// What was shown is what is applied: the belief is what the plan saw.
fn adopt(file: &std::path::Path, (checked, change): (&Checked, &Change), args: &Apply) -> tidemill_store::Adopt {
    let origin = json!({"from": "file", "file": shown(file), "by": whoami()});
    let wanted = match (args.draft, args.propose) {
        (true, _) => VersionState::Draft,
        (_, true) => VersionState::Proposed,
        (false, false) => VersionState::Active,
    };
    let expected = change.before.clone().map_or(Expected::Nothing, Expected::Version);
    checked.adopt(origin, wanted, expected)
}

/// Who sits at this terminal, as the machine knows them.
pub fn whoami() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "somebody".to_owned())
}

fn tell(changes: &[Change], out: Out) -> Result<(), CliError> {
    for change in changes {
        let (sign, what) = match (change.changed(), change.before.is_some()) {
            (false, _) => (out.paint.dim("="), "unchanged"),
            (true, true) => (out.paint.yellow("~"), "changes"),
            (true, false) => (out.paint.green("+"), "is new"),
        };
        out.line(format!("{sign} {} {what}", out.paint.bold(&change.pipeline)))?;
        if change.changed() {
            out.text(&difference::in_words(&change.diff, out))?;
        }
    }
    Ok(())
}

/// Asks; without a terminal nobody can answer, and nothing is changed.
fn confirmed(changed: usize, out: Out) -> Result<bool, CliError> {
    if !out.asks {
        return Err(CliError::NotConfirmed { changed });
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "apply? [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|source| CliError::Output { source })?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

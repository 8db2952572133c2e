//! The versions of a pipeline: listed, compared, rolled back.

use serde_json::json;
use tidemill_api::definitions;
use tidemill_api::view::{VersionSummaryView, VersionView};
use tidemill_dag::state::{Expected, VersionEvent};
use tidemill_store::{Store, VersionRecord};

use super::apply::whoami;
use crate::args::{DiffArgs, Rollback, Versions};
use crate::clock;
use crate::definition;
use crate::difference;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::words;

/// How many versions are listed.
const SHOWN: u32 = 1_000;

/// Lists versions, newest first.
pub async fn list(project: &Project, args: Versions, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let versions = store.version_page(&args.pipeline, None, SHOWN).await?;
    if versions.is_empty() {
        return Err(unknown(&store, &args.pipeline).await);
    }
    if out.json {
        out.value(&versions.into_iter().map(VersionSummaryView::from).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    let now = clock::clock().now();
    let mut table = Table::new(&["version", "state", "hash", "saved", "from"]);
    for version in versions {
        table.row(vec![
            version.number.to_string(),
            version.state.to_string(),
            version.id.0.chars().take(12).collect(),
            format!("{} ago", words::duration(now.since(version.created_at))),
            definitions::actor(&version.origin),
        ]);
    }
    out.text(&table.render(out.width, out.paint))?;
    Ok(Exit::Ok)
}

/// Shows what is different between two versions, or between one and a file.
pub async fn diff(project: &Project, args: DiffArgs, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let workbench = project.workbench()?;
    let now = clock::clock().now();
    let to = args.to.as_deref().unwrap_or("active");
    let found = match definition::meant(project, to) {
        definition::Meant::File(path) => {
            let checked = definition::check(&workbench, &path).await?;
            let pipeline = checked.compiled.pipeline.pipeline.clone();
            let from = find(&store, &pipeline, split(&args.from).1).await?;
            let diff = definitions::compare_with(&store, &workbench, (&from, &checked), now).await;
            (from.id, checked.compiled.version.clone(), diff.map_err(CliError::Start)?)
        }
        definition::Meant::Stored(to) => {
            let (pipeline, from) = split(&args.from);
            let from = find(&store, pipeline, from).await?;
            let to = match to.rsplit_once('@') {
                Some((pipeline, version)) => find(&store, pipeline, version).await?,
                None => find(&store, pipeline, &to).await?,
            };
            let diff = definitions::compare(&store, &workbench, (&from, &to), now).await.map_err(CliError::Start)?;
            (from.id, to.id, diff)
        }
    };
    let (from, to, diff) = found;
    if out.json {
        out.value(&json!({"from": from, "to": to, "same": diff.is_empty(), "diff": diff}))?;
    } else if diff.is_empty() {
        out.line("they say the same")?;
    } else {
        out.text(&difference::in_words(&diff, out))?;
    }
    Ok(Exit::Ok)
}

/// Makes an earlier version the active one again.
pub async fn rollback(project: &Project, args: Rollback, out: Out) -> Result<Exit, CliError> {
    let (store, _transport) = project.open().await?;
    let Some(active) = store.active(&args.pipeline).await? else {
        if store.version_page(&args.pipeline, None, 1).await?.is_empty() {
            return Err(unknown(&store, &args.pipeline).await);
        }
        return roll(&store, (&args, None), out).await;
    };
    roll(&store, (&args, Some(active)), out).await
}

async fn roll(store: &Store, (args, active): (&Rollback, Option<VersionRecord>), out: Out) -> Result<Exit, CliError> {
    let target = match &args.to {
        Some(version) => find(store, &args.pipeline, version).await?,
        None => store.version_before(&args.pipeline).await?,
    };
    let expected = active.as_ref().map_or(Expected::Nothing, |version| Expected::Version(version.id.clone()));
    let actor = format!("rollback:{}", whoami());
    let activate = (&target.id, VersionEvent::Activate);
    let now = store.move_version(&args.pipeline, activate, &expected, &actor).await?;
    if out.json {
        out.value(&VersionView::from(now))?;
    } else {
        let before = active.map_or_else(|| "none".to_owned(), |version| version.number.to_string());
        out.line(format!("{} runs version {} now (before: {before})", args.pipeline, now.number))?;
    }
    store.close().await;
    Ok(Exit::Ok)
}

/// `PIPELINE@VERSION`, or the active version of a pipeline.
fn split(text: &str) -> (&str, &str) {
    text.rsplit_once('@').unwrap_or((text, "active"))
}

async fn find(store: &Store, pipeline: &str, version: &str) -> Result<VersionRecord, CliError> {
    let found = match version {
        "active" => store.active(pipeline).await?,
        version => store.find_version(pipeline, version).await?,
    };
    match found {
        Some(version) => Ok(version),
        None if store.version_page(pipeline, None, 1).await?.is_empty() => Err(unknown(store, pipeline).await),
        None => Err(CliError::UnknownVersion { pipeline: pipeline.to_owned(), version: version.to_owned() }),
    }
}

async fn unknown(store: &Store, name: &str) -> CliError {
    let known = store.pipelines().await.unwrap_or_default().into_iter().map(|p| p.name).collect();
    CliError::UnknownPipeline { name: name.to_owned(), known }
}

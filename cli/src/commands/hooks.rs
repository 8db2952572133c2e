//! Webhooks: what went wrong with deliveries, and a way to try one out.

use std::sync::Arc;

use serde_json::{Value, json};
use tidemill_api::hooks::{self, HookError, Received, Site};
use tidemill_dag::hook::Headers;
use tidemill_store::{Letter, LetterKind, Store};
use tokio::sync::Notify;

use crate::args::{HooksCommand, HooksList, HooksTest};
use crate::clock;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::words;

/// Lists, shows, replays, tries out.
pub async fn run(project: &Project, command: HooksCommand, out: Out) -> Result<Exit, CliError> {
    match command {
        HooksCommand::List(args) => list(&project.look().await?, args, out).await,
        HooksCommand::Show(args) => show(&project.look().await?, args.id, out).await,
        HooksCommand::Replay(args) => {
            let received = hooks::replay(&site(project).await?, args.id, args.trust).await?;
            told(received, out)
        }
        HooksCommand::Test(args) => test(project, args, out).await,
    }
}

async fn site(project: &Project) -> Result<Site, CliError> {
    let (store, _) = project.open().await?;
    let known = project.workbench()?.names();
    Ok(Site { store, known, clock: clock::clock(), chance: clock::chance(), bell: Arc::new(Notify::new()) })
}

async fn list(store: &Store, args: HooksList, out: Out) -> Result<Exit, CliError> {
    let letters = store.letters(args.pipeline.as_deref(), None, args.limit.clamp(1, 1_000)).await?;
    if out.json {
        out.value(&letters.iter().map(document).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    if letters.is_empty() {
        out.line("there are no dead letters: every delivery so far was used")?;
        return Ok(Exit::Ok);
    }
    let now = clock::clock().now();
    let mut table = Table::new(&["letter", "webhook", "kind", "came", "code", "what was wrong", "replayed as"]);
    for letter in letters {
        table.row(vec![
            letter.id.to_string(),
            format!("{}/{}", letter.pipeline, letter.hook),
            kind(letter.kind).to_owned(),
            format!("{} ago", words::duration(now.since(letter.at))),
            letter.code,
            letter.reason,
            letter.run.map(|run| run.to_string()).unwrap_or_default(),
        ]);
    }
    out.text(&table.render(out.width, out.paint))?;
    Ok(Exit::Ok)
}

const fn kind(kind: LetterKind) -> &'static str {
    match kind {
        LetterKind::Refused => "refused",
        LetterKind::Failed => "failed",
    }
}

async fn show(store: &Store, id: i64, out: Out) -> Result<Exit, CliError> {
    let letter = store.letter(id).await?.ok_or(HookError::NoLetter(id))?;
    if out.json {
        out.value(&document(&letter))?;
        return Ok(Exit::Ok);
    }
    out.line(format!("{} {}/{}, {}", out.paint.bold(&id.to_string()), letter.pipeline, letter.hook, letter.at))?;
    out.line(format!("{}[{}] {}", kind(letter.kind), letter.code, letter.reason))?;
    if let Some(run) = letter.run {
        out.line(format!("replayed as {run}"))?;
    }
    let headers: Headers = serde_json::from_value(letter.headers).unwrap_or_default();
    for (name, value) in headers {
        out.line(format!("{} {value}", out.paint.dim(&format!("{name}:"))))?;
    }
    out.line("")?;
    out.line(&letter.body)?;
    if !letter.whole {
        out.note(format!("the body has {} bytes; this is what was kept of it", letter.body_bytes));
    }
    Ok(Exit::Ok)
}

fn document(letter: &Letter) -> Value {
    json!({
        "id": letter.id, "pipeline": letter.pipeline, "hook": letter.hook, "at": letter.at.to_string(),
        "kind": letter.kind, "code": letter.code, "reason": letter.reason, "headers": letter.headers,
        "body": letter.body, "body_bytes": letter.body_bytes, "whole": letter.whole,
        "replayed_at": letter.replayed_at.map(|at| at.to_string()), "run": letter.run,
    })
}

fn told(received: Received, out: Out) -> Result<Exit, CliError> {
    if out.json {
        let (run, duplicate) = match &received {
            Received::Run { run, duplicate } => (Some(run), *duplicate),
            Received::Echo(_) | Received::Filtered => (None, false),
        };
        out.value(&json!({"accepted": run.is_some(), "run": run, "duplicate": duplicate}))?;
        return Ok(Exit::Ok);
    }
    out.line(match received {
        Received::Run { run, duplicate: false } => run.to_string(),
        Received::Run { run, duplicate: true } => format!("{run} (its event made this run before)"),
        Received::Filtered => "the filter is false for it: no run".to_owned(),
        Received::Echo(_) => "it only asks whether somebody is there: no run".to_owned(),
    })?;
    Ok(Exit::Ok)
}

async fn test(project: &Project, args: HooksTest, out: Out) -> Result<Exit, CliError> {
    let body = match &args.body {
        Some(path) => Some(std::fs::read(path).map_err(|source| CliError::ReadFile { path: path.clone(), source })?),
        None => None,
    };
    let header = |text: &String| {
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = pair.ok_or_else(|| CliError::ParamSyntax { text: text.clone() })?;
        Ok((name.to_lowercase(), value.to_owned()))
    };
    let headers = args.headers.iter().map(header).collect::<Result<Headers, CliError>>()?;
    let tried = hooks::try_out(&site(project).await?, (&args.pipeline, &args.trigger), body, headers).await?;
    let accepted = (200..300).contains(&tried.status);
    if out.json {
        out.value(&tried)?;
    } else {
        out.line(format!("POST {} {}", tried.path, out.paint.bold(&tried.status.to_string())))?;
        out.line(serde_json::to_string_pretty(&tried.answer).unwrap_or_default())?;
    }
    Ok(if accepted { Exit::Ok } else { Exit::Failed })
}

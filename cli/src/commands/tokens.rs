//! Tokens of the API.

use serde_json::json;
use tidemill_api::auth;
use tidemill_dag::time::{Span, Timestamp};

use crate::args::TokensCommand;
use crate::clock;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::words;

/// Makes, lists or revokes tokens.
pub async fn run(project: &Project, command: TokensCommand, out: Out) -> Result<Exit, CliError> {
    match command {
        TokensCommand::Create { name, role, expires } => create(project, (&name, role), expires, out).await,
        TokensCommand::List => list(project, out).await,
        TokensCommand::Revoke { name } => revoke(project, &name, out).await,
    }
}

async fn create(project: &Project, who: (&str, auth::Role), expires: Option<Span>, out: Out) -> Result<Exit, CliError> {
    let (store, _transport) = project.open().await?;
    let (clock, chance) = (clock::clock(), clock::chance());
    let life = expires.map(|span| span.0);
    let (token, record) = auth::create(&store, who, life, (&*clock, &*chance)).await.map_err(CliError::Token)?;
    let text = token.reveal();
    if out.json {
        let expires = record.expires_at.map(|at| at.to_string());
        out.value(
            &json!({"token": text, "id": record.id, "name": record.name, "role": record.role, "expires_at": expires}),
        )?;
    } else {
        out.line(&text)?;
        out.note("This is the only time that it is shown. Send it as `Authorization: Bearer TOKEN`.");
    }
    store.close().await;
    Ok(Exit::Ok)
}

async fn list(project: &Project, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let tokens = store.tokens().await?;
    let now = clock::clock().now();
    let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
    if out.json {
        let one = |token: &tidemill_store::TokenRecord| {
            json!({
                "id": token.id, "name": token.name, "role": token.role, "lives": token.lives(now),
                "created_at": token.created_at.to_string(), "expires_at": moment(token.expires_at),
                "last_used_at": moment(token.last_used_at), "revoked_at": moment(token.revoked_at),
            })
        };
        out.value(&tokens.iter().map(one).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    if tokens.is_empty() {
        out.line("there are no tokens yet; `tidemill tokens create NAME` makes one")?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["name", "token", "role", "made", "last used", "ends"]);
    for token in &tokens {
        let ago = |at: Timestamp| format!("{} ago", words::duration(now.since(at)));
        let ends = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {}", ago(at)),
            (None, Some(at)) if at <= now => format!("expired {}", ago(at)),
            (None, Some(at)) => format!("in {}", words::duration(at.since(now))),
            (None, None) => "never".to_owned(),
        };
        let used = token.last_used_at.map_or_else(|| "never".to_owned(), ago);
        let shown = format!("tm_{}_…", token.id);
        table.row(vec![token.name.clone(), shown, token.role.clone(), ago(token.created_at), used, ends]);
    }
    out.text(&table.render(out.width.max(110), out.paint))?;
    Ok(Exit::Ok)
}

async fn revoke(project: &Project, name: &str, out: Out) -> Result<Exit, CliError> {
    let (store, _transport) = project.open().await?;
    let token = store.revoke_token(name).await?;
    if out.json {
        out.value(
            &json!({"id": token.id, "name": token.name, "revoked_at": token.revoked_at.map(|at| at.to_string())}),
        )?;
    } else {
        out.line(format!("token {} (tm_{}_…) opens nothing any more", token.name, token.id))?;
    }
    store.close().await;
    Ok(Exit::Ok)
}

//! The LLM gateway as a server.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tidemill_llm_gateway::usage::{UsageRecord, UsageSink};
use tidemill_llm_gateway::{Gateway, Outside, Server, keys};

use crate::args::{GatewayArgs, GatewayCommand};
use crate::clock;
use crate::drive::Signals;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::words;

/// Writes records of use to the log, one JSON object each.
struct Log;

impl UsageSink for Log {
    fn record(&self, record: UsageRecord) {
        if tracing::enabled!(target: "tidemill::usage", tracing::Level::INFO) {
            let record = serde_json::to_string(&record).unwrap_or_default();
            tracing::info!(target: "tidemill::usage", "{record}");
        }
    }
}

/// Serves until it is interrupted, or makes a key.
pub async fn run(
    project: impl Fn() -> Result<Project, CliError>,
    args: GatewayArgs,
    out: Out,
) -> Result<Exit, CliError> {
    match args.command {
        Some(GatewayCommand::Key { name, tenant }) => key(&name, &tenant, out),
        None => serve(&project()?, args.listen.map(|listen| listen.to_string()), out).await,
    }
}

async fn serve(project: &Project, listen: Option<String>, out: Out) -> Result<Exit, CliError> {
    let start = Instant::now();
    let mut config = project.config.gateway.clone();
    if let Some(listen) = listen {
        config.server.listen = listen;
    }
    let (deployments, routes, keys) = (config.deployments.len(), config.routes.len(), config.keys.len());
    let ledger = if config.ledger.redis.is_some() { "Redis" } else { "this process" };
    let mut outside = Outside::of(&config, clock::clock(), clock::chance())?;
    outside.usage = Some(Arc::new(Log));
    let server = Server::bind(Gateway::new(config, outside)?)?;
    let mut signals = Signals::new()?;
    let url = format!("http://{}", server.address());
    if out.json {
        out.value_line(&json!({"event": "listening", "url": url, "pid": std::process::id()}))?;
    } else {
        out.line(format!("The gateway serves {} ({})", out.paint.bold(&url), words::duration(start.elapsed())))?;
        out.line(format!("  models     {deployments} deployments, {routes} routes; GET {url}/v1/models lists them"))?;
        let open = if keys == 0 { "none: whoever is on this machine may ask".to_owned() } else { keys.to_string() };
        out.line(format!("  keys       {open}"))?;
        out.line(format!("  limits     counted in {ledger}"))?;
    }
    let served = server.run(async move { signals.next().await }).await;
    served.map_err(|source| CliError::Machine { doing: "serve the gateway".into(), source: Box::new(source) })?;
    Ok(Exit::Ok)
}

fn key(name: &str, tenant: &str, out: Out) -> Result<Exit, CliError> {
    let (key, hash) = keys::make(&*clock::chance());
    if out.json {
        out.value(&json!({"key": key, "name": name, "tenant": tenant, "hash": hash}))?;
        return Ok(Exit::Ok);
    }
    out.line(format!("The key, shown only now:\n\n  {}\n", out.paint.bold(&key)))?;
    out.line("What goes into tidemill.yaml:\n")?;
    let section = json!({"gateway": {"keys": {name: {"hash": hash, "tenant": tenant}}}});
    out.text(&crate::yaml::block(&section))?;
    Ok(Exit::Ok)
}

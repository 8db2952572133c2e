//! The LLM gateway as a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_llm_gateway::usage::{UsageRecord, UsageSink};
use tidemill_llm_gateway::{Gateway, Outside, Server, keys};
use tidemill_telemetry::{Offer, Record, UseRow, Writer};

use crate::args::{GatewayArgs, GatewayCommand};
use crate::drive::Signals;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::{clock, outside, words};

/// Records of calls that are not written yet have so long when the server stops.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// Hands records of use to telemetry, and to the log where it listens, one JSON object each.
struct Uses(Offer);

impl UsageSink for Uses {
    fn record(&self, record: UsageRecord) {
        if tracing::enabled!(target: "tidemill::usage", tracing::Level::DEBUG) {
            let record = serde_json::to_string(&record).unwrap_or_default();
            tracing::debug!(target: "tidemill::usage", "{record}");
        }
        self.0.offer(Record::Use(Box::new(row(&record))));
    }
}

fn row(record: &UsageRecord) -> UseRow {
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
    let (caller, usage) = (&record.caller, &record.usage);
    UseRow {
        call_id: record.call.to_string(),
        at: record.at.0,
        tenant: caller.tenant.to_string(),
        key_name: caller.key.to_string(),
        user_name: text(&caller.user),
        pipeline: text(&caller.pipeline),
        run_id: text(&caller.run),
        task: text(&caller.task),
        asked: record.asked.to_string(),
        deployment: record.deployment.to_string(),
        provider: record.provider.to_string(),
        model: record.model.to_string(),
        attempts: record.attempts,
        cache: record.cache.name().to_owned(),
        input: usage.input,
        output: usage.output,
        cached: usage.cached,
        cache_written: usage.cache_written,
        reasoning: usage.reasoning,
        micros: record.micros,
        took_us: micros(record.took),
        overhead_us: micros(record.overhead),
        first_us: record.first_piece.map_or(0, micros),
        error: record.error.unwrap_or_default().to_owned(),
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
    project.make_state_folder()?;
    let writer = Writer::start(outside::records(project).await?);
    outside.usage = Some(Arc::new(Uses(writer.offer())));
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
    let lost = writer.finish(LAST_RECORDS).await;
    served.map_err(|source| CliError::Machine { doing: "serve the gateway".into(), source: Box::new(source) })?;
    if lost > 0 {
        out.note(format!("{} calls are not in the records", words::count(lost)));
    }
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

//! The LLM gateway between a load generator and an upstream, each in a process of its own, all on this machine: added
//! latency, requests per second, streams, processor time per request, memory over a million requests.

pub mod load;
mod peers;
pub mod process;
mod serve;
mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::Outcome;
use crate::table::{Line, Report};
use load::{Measured, Target};
use peers::{Peer, PeerSpec};
use process::Part;

pub use serve::serve;
pub use upstream::upstream;

/// What to measure, and how.
#[derive(Args, Debug, Clone)]
pub struct GatewayOptions {
    /// One JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// How often each is repeated; direct, gateway and peers take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each round of each takes, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Requests of the last part, which looks at memory; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Where the upstream listens; peers that run already must be set up to ask it.
    #[arg(long, default_value = "127.0.0.1:0")]
    upstream: SocketAddr,
    /// Another gateway beside ours: `litellm=FOLDER` (a Python environment with `litellm[proxy]`), `portkey=FOLDER` (one whose
    /// node_modules have @portkey-ai/gateway), or NAME=127.0.0.1:4000 where it runs and asks `--upstream` for both models.
    #[arg(long)]
    peer: Vec<PeerSpec>,
    /// A header for peers that run already, as in `authorization: Bearer sk-1`.
    #[arg(long)]
    peer_header: Vec<String>,
}

/// The models of the upstream: one answers at once, the other after 50 ms.
const AT_ONCE: &str = "instant";
const LATER: &str = "later";

/// One way to the model, and the process on it whose cost is counted.
struct Way<'a> {
    target: &'a Target,
    part: Option<&'a Part>,
}

const OURS: &str = "tidemill";

/// Measures what is wanted and prints it.
pub fn run(options: &GatewayOptions) -> Outcome<()> {
    let upstream = Part::start(&["upstream", &options.upstream.to_string()])?;
    let gateway = Part::start(&["gateway-process", &upstream.address.to_string()])?;
    let direct = Target::new("direct", upstream.address, &[]);
    let key = format!("authorization: Bearer {}", serve::KEY);
    let ours = Target::new(OURS, gateway.address, std::slice::from_ref(&key));
    let mut peers: Vec<Peer> = Vec::new();
    for spec in &options.peer {
        peers.push(Peer::start(spec, upstream.address, &options.peer_header)?);
    }
    let mut ways = vec![Way { target: &direct, part: None }, Way { target: &ours, part: Some(&gateway) }];
    ways.extend(peers.iter().map(|peer| Way { target: &peer.target, part: peer.part.as_ref() }));
    let mut lines = Vec::new();
    for (model, connections) in [(AT_ONCE, 1), (AT_ONCE, 32), (LATER, 1), (LATER, 32)] {
        lines.extend(whole(options, &ways, model, connections)?);
    }
    lines.extend(streams(options, &ways)?);
    let namespace = "x-tidemill-cache-namespace: bench".to_owned();
    let idempotent = "x-tidemill-idempotent: true".to_owned();
    let kept = Target::new("kept", gateway.address, &[key, namespace, idempotent]);
    let hits = kept.overheads(5_000)?;
    lines.push(
        Line::new("cache", "the same request again, one connection: time in the gateway", "µs", &hits)
            .beside("100", ""),
    );
    for peer in &peers {
        if let Some(part) = &peer.part {
            let what = format!("after these parts: resident memory, {}", peer.target.name);
            lines.push(Line::new("memory", what, "MiB", &[part.resident_mib()?]));
        }
    }
    drop(ways);
    drop(peers);
    if options.requests > 0 {
        lines.extend(long(options, &gateway, &ours)?);
    }
    lines.push(cold(&upstream)?);
    let report = Report { title: "LLM gateway", settings: settings(), lines };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.print());
    }
    Ok(())
}

/// Whole answers: what a gateway adds to the direct way, request by request, and how many it carries.
fn whole(options: &GatewayOptions, ways: &[Way<'_>], model: &str, connections: usize) -> Outcome<Vec<Line>> {
    let mut all: Vec<Measured> = ways.iter().map(|_| Measured::default()).collect();
    let mut spent = vec![0.0; ways.len()];
    for round in 0..=options.rounds {
        for (place, way) in ways.iter().enumerate() {
            let before = way.part.map_or(Ok(0.0), Part::processor_seconds)?;
            let measured = way.target.whole(model, connections, Duration::from_secs_f64(options.seconds))?;
            // The first round warms up.
            if round > 0 {
                spent[place] += way.part.map_or(Ok(0.0), Part::processor_seconds)? - before;
                all[place].add(measured);
            }
        }
    }
    let when = if model == AT_ONCE { "at once" } else { "after 50 ms" };
    let what = format!("{connections} connections, upstream answers {when}");
    let floor = &all[0];
    let direct = Line::new("direct", format!("{what}: latency"), "µs", &floor.micros);
    let mut lines = vec![direct.clone()];
    for ((way, measured), spent) in ways.iter().zip(&all).zip(spent).skip(1) {
        let name = &way.target.name;
        let mut added = Line::new("added", format!("{what}: {name} above direct"), "µs", &measured.micros);
        (added.p50, added.p90, added.p99) = (added.p50 - direct.p50, added.p90 - direct.p90, added.p99 - direct.p99);
        let rate =
            Line::new("rate", format!("{what}: {name}"), "/s", &measured.rates).floor("direct", median(&floor.rates));
        let each = [spent * 1e6 / measured.micros.len().max(1) as f64];
        let each = Line::new("processor", format!("{what}: user and system time per request, {name}"), "µs", &each);
        // A goal stands where it was set: latency without waiting for a processor, rate and cost at full load.
        lines.extend(match (model, connections) {
            _ if name != OURS => [added, rate, each],
            (AT_ONCE, 1) => [added.beside("150", "LiteLLM 7800, Portkey 560, TensorZero 850"), rate, each],
            (AT_ONCE, _) => [
                added,
                rate.beside("15000", "LiteLLM 132, Portkey 1050"),
                each.beside("60", "LiteLLM 7500, Portkey 700, TensorZero 170"),
            ],
            (_, 1) => [added, rate, each],
            (_, _) => [added.beside("1000", "p99: LiteLLM 614000, Portkey 13800"), rate, each],
        });
    }
    Ok(lines)
}

/// Streams: the time to the first frame, and how long each frame is on its way.
fn streams(options: &GatewayOptions, ways: &[Way<'_>]) -> Outcome<Vec<Line>> {
    let mut all: Vec<Outcome<(Vec<f64>, Vec<f64>)>> = ways.iter().map(|_| Ok(Default::default())).collect();
    for round in 0..=options.rounds {
        for (way, all) in ways.iter().zip(&mut all) {
            let Ok((first, late)) = all else { continue };
            match way.target.streams(Duration::from_secs_f64(options.seconds)) {
                Ok((firsts, lates)) if round > 0 => {
                    first.extend(firsts);
                    late.extend(lates);
                }
                Ok(_) => {}
                // A peer that does not stream is told, and the others are measured all the same.
                Err(error) if way.target.name == OURS => return Err(error),
                Err(error) => *all = Err(error),
            }
        }
    }
    let mut lines = Vec::new();
    for (way, measured) in ways.iter().zip(&all) {
        let name = &way.target.name;
        let (first, late) = match measured {
            Ok(measured) => measured,
            Err(error) => {
                eprintln!("{name} has no figures for streams: {error}");
                continue;
            }
        };
        let mut first = Line::new("first", format!("stream of 60 frames: first frame, {name}"), "µs", first);
        let mut late = Line::new("frame", format!("stream of 60 frames: a frame on its way, {name}"), "µs", late);
        if name == OURS {
            first = first.beside("+300", "Busbar +270, Bifrost +1200, LiteLLM-Rust +40800 (p99)");
            late = late.beside("+20", "Busbar +1, GoModel +10, Bifrost +28 (p99)");
        }
        lines.extend([first, late]);
    }
    Ok(lines)
}

/// Many requests: memory at the start, in the middle, at the end.
fn long(options: &GatewayOptions, gateway: &Part, ours: &Target) -> Outcome<Vec<Line>> {
    let mut memory = vec![gateway.resident_mib()?];
    let began = std::time::Instant::now();
    for _ in 0..20 {
        ours.many(AT_ONCE, 32, options.requests / 20)?;
        memory.push(gateway.resident_mib()?);
    }
    let rate = options.requests as f64 / began.elapsed().as_secs_f64();
    let what = format!("{} requests: resident memory", options.requests);
    let at = |name: &str, place: usize| {
        Line::new("memory", format!("{what} {name}"), "MiB", &[memory[place]])
            .beside("30", "LiteLLM 340, Portkey 200, TensorZero 71")
    };
    let rate = Line::new("rate", format!("{} requests, 32 connections", options.requests), "/s", &[rate]);
    Ok(vec![at("at the start", 0), at("at half", 10), at("at the end", 20), rate])
}

/// From the start of the process to the first answer.
fn cold(upstream: &Part) -> Outcome<Line> {
    let mut samples = Vec::new();
    for _ in 0..5 {
        let began = std::time::Instant::now();
        let gateway = Part::start(&["gateway-process", &upstream.address.to_string()])?;
        let target = Target::new("cold", gateway.address, &[format!("authorization: Bearer {}", serve::KEY)]);
        target.many(AT_ONCE, 1, 1)?;
        samples.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Line::new("cold", "start of the process to its first answer", "ms", &samples).beside("100", "LiteLLM 4700"))
}

fn median(samples: &[f64]) -> f64 {
    Line::new("", "", "", samples).p50
}

fn settings() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let build = if cfg!(debug_assertions) { "debug: figures mean nothing" } else { "release" };
    vec![
        ("tidemill", format!("{} ({build})", env!("CARGO_PKG_VERSION"))),
        ("machine", format!("{cores} cores shared by load, gateway and upstream, loopback, load {load} at the end")),
        (
            "gateway",
            "keys, six limits (requests, tokens, money; per minute and in all) and prices on; ledger in memory"
                .to_owned(),
        ),
        ("upstream", "an answer of 60 tokens; request of some 200 tokens; closed loop".to_owned()),
    ]
}

/// The body of a request: some 200 tokens.
fn body(model: &str, stream: bool) -> String {
    let words =
        "Summarise the orders of the last week by country and name the three largest customers of each. ".repeat(8);
    let system = "You are a careful analyst. Answer in plain words and keep to what the tables say.";
    let messages = json!([{"role": "system", "content": system}, {"role": "user", "content": words}]);
    json!({"model": model, "messages": messages, "temperature": 0.2, "max_tokens": 200, "stream": stream}).to_string()
}

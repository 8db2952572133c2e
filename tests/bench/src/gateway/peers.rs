//! Other gateways beside ours, in the same run, each asked for the same through the same upstream.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::load::Target;
use super::process::Part;
use super::{AT_ONCE, LATER};
use crate::Outcome;

/// Where another gateway is, or what it takes to start it.
#[derive(Debug, Clone)]
pub enum PeerSpec {
    /// It runs already and asks our upstream.
    Running(String, SocketAddr),
    /// A Python environment with LiteLLM's proxy in it.
    LiteLlm(PathBuf),
    /// A folder whose `node_modules` have `@portkey-ai/gateway`.
    Portkey(PathBuf),
}

impl std::str::FromStr for PeerSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("litellm", place)) => Ok(Self::LiteLlm(place.into())),
            Some(("portkey", place)) => Ok(Self::Portkey(place.into())),
            Some((name, place)) => match place.parse() {
                Ok(address) => Ok(Self::Running(name.to_owned(), address)),
                Err(_) => {
                    Err(format!("`{place}` is not an address and port, and `{name}` is neither litellm nor portkey"))
                }
            },
            None => Err("write litellm=ENVIRONMENT, portkey=FOLDER or NAME=ADDRESS:PORT".to_owned()),
        }
    }
}

/// Another gateway. Dropped, what was started for it ends.
pub struct Peer {
    pub target: Target,
    pub part: Option<Part>,
    _folder: Option<TempDir>,
}

/// LiteLLM wants a key before it starts, and it may as well be asked for it, as ours is.
const KEY: &str = "sk-benchmark-0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(120);

impl Peer {
    /// Starts one, if it does not run, and waits until it answers.
    pub fn start(spec: &PeerSpec, upstream: SocketAddr, headers: &[String]) -> Outcome<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let bearer = format!("authorization: Bearer {KEY}");
        match spec {
            PeerSpec::Running(name, address) => {
                Ok(Self { target: Target::new(name, *address, headers), part: None, _folder: None })
            }
            PeerSpec::LiteLlm(environment) => {
                let folder = TempDir::with_prefix("tidemill-bench-")?;
                let config = folder.path().join("config.yaml");
                std::fs::write(&config, litellm(upstream))?;
                let mut command = Command::new(environment.join("bin/litellm"));
                command.arg("--config").arg(&config).args(["--host", "127.0.0.1", "--num_workers", "1"]);
                command.args(["--port", &port.port().to_string(), "--telemetry", "False"]);
                command
                    .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
                    .env("LITELLM_LOG", "ERROR")
                    .current_dir(folder.path());
                let target = Target::new("litellm", port, &[bearer]);
                started(target, command, port, Some(folder))
            }
            PeerSpec::Portkey(folder) => {
                let mut command = Command::new("node");
                command.arg(folder.join("node_modules/@portkey-ai/gateway/build/start-server.js"));
                command.args(["--headless", &format!("--port={}", port.port())]).env("NODE_ENV", "production");
                let to = format!("x-portkey-custom-host: http://{upstream}/v1");
                let target = Target::new("portkey", port, &["x-portkey-provider: openai".to_owned(), to, bearer]);
                started(target, command, port, None)
            }
        }
    }
}

fn started(target: Target, mut command: Command, address: SocketAddr, folder: Option<TempDir>) -> Outcome<Peer> {
    let name = target.name.clone();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let part = Part::of(child.map_err(|error| format!("{name} does not start: {error}"))?, address);
    let began = Instant::now();
    while let Err(error) = target.many(AT_ONCE, 1, 1) {
        if began.elapsed() > PATIENCE {
            return Err(format!("{name} does not answer: {error}").into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(Peer { target, part: Some(part), _folder: folder })
}

/// The configuration of LiteLLM: both models of the upstream, no database, no cache.
fn litellm(upstream: SocketAddr) -> String {
    let model = |name: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: openai/{name}, api_base: \"http://{upstream}/v1\", api_key: sk-1}}\n"
        )
    };
    format!(
        "model_list:\n{}{}litellm_settings: {{num_retries: 0, telemetry: false}}\ngeneral_settings: {{master_key: {KEY}}}\n",
        model(AT_ONCE),
        model(LATER)
    )
}
